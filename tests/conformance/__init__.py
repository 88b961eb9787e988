"""One suite for every backend that speaks RavenDB's protocol: the public API and the fixtures, nothing else.

`conftest` says where the server is; `kennel`, `pack` and `farm` hold what the tests share. No test knows the server's version:
where 5.4, 6.2 and 7.1 differ, the suite asks for what they have in common, and a comment says in what they differ.
"""
