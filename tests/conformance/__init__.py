"""One suite for every backend that speaks RavenDB's protocol: the public API and the fixtures, nothing else.

`conftest` says where the server is, `kennel` holds the documents that most tests share, and `capabilities` lists the few things
in which servers differ. A backend that passes needs no change here.
"""
