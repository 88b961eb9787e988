"""Random programs on documents: what is asked of both servers, from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

Step = tuple[str, str, Any, dict[str, str]]
"""Method, path within the database, body, headers."""

KEYS = ("dogs/1", "dogs/2", "Dogs/3", "cats/1", "cats/2-A", "people/ö", "a b+c&d", "dogs/sub/1", "x")
COLLECTIONS = ("Dogs", "Cats", "People")
SCRIPTS = (
    "this.count = (this.count || 0) + 1;",
    "this.name = args.name;",
    "this.same = this.same;",
    "delete this.name;",
    "this.tags = [1, 'two', {three: 3}];",
    "if (this.count > 2) { throw 'enough'; } this.count = 3;",
    "this.copy = load('dogs/1') !== null;",
    "put('made/' + id(this).length, {by: id(this), '@metadata': {'@collection': 'Made'}});",
    "del('cats/1'); this.deleted = true;",
    "this.nested = {a: {b: [1, 2, 3]}};",
    "this.x = args.missing;",
    "this.name = undefined;",
    "this.tags = [1, , 2];",
    "delete this.copy; this.copy = load('cats/1');",
    "syntax error here",
)
STEPS: tuple[dict[str, Any], ...] = (
    {"op": "add", "path": "/name", "value": "patched"},
    {"op": "add", "path": "/count", "value": 1.50},
    {"op": "add", "path": "/tags/-", "value": {"a": [1]}},
    {"op": "add", "path": "/tags/0", "value": None},
    {"op": "replace", "path": "/name", "value": 5},
    {"op": "remove", "path": "/count"},
    {"op": "remove", "path": "/tags/1"},
    {"op": "move", "from": "/name", "path": "/friend"},
    {"op": "move", "from": "/tags/0", "path": "/owner"},
    {"op": "copy", "from": "/tags", "path": "/friends"},
    {"op": "copy", "from": "/@metadata/Custom", "path": "/a.b"},
    {"op": "add", "path": "/a.b/a/c", "value": True},
    {"op": "test", "path": "/name", "value": "patched"},
    {"op": "test", "path": "/tags/0", "value": 1},
    {"op": "add", "path": "/@metadata/Custom", "value": "by steps"},
)
"""Operations of JSON patches; which can be done depends on what others have left."""

NUMBERS = (0, 1, -1, 1.5, 2**40, 1e-7)
VALUES: tuple[Any, ...] = (*NUMBERS, "", "text", "Ünïcödé ☃", True, False, None, [], {}, [1, 2], {"a": {"b": None}})
OWNED = {"@id": "other", "@change-vector": "x", "@last-modified": "2020-01-01T00:00:00.0000000Z"}
"""What is the server's, as a client might send it back."""


class Program:
    """Makes steps, and remembers what it saw, so as to ask for what exists."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._vectors: list[str] = []
        self._makers = {
            self.put: 10,
            self.delete: 5,
            self.load: 10,
            self.load_many: 5,
            self.head: 3,
            self.listed: 5,
            self.batch: 20,
            self.patch: 8,
            self.numbers: 4,
            self.statistics: 2,
            self.several: 3,
            self.bulk: 3,
            self.wrong: 4,
        }

    def steps(self, count: int) -> Iterator[Step]:
        """Yield so many steps."""
        makers, weights = list(self._makers), list(self._makers.values())
        for maker in self.random.choices(makers, weights, k=count):
            yield maker()

    def saw(self, etag: str | None) -> None:
        """Remember a change vector."""
        if etag and etag.startswith('"<cv:'):
            self._vectors = [*self._vectors[-20:], etag.strip('"')]

    def key(self) -> str:
        key = self.random.choice(KEYS)
        return self.random.choice((key, key, key, key.upper(), key.lower()))

    def _id(self) -> str:
        return "id=" + quote(self.key(), safe="")

    def _vector(self) -> str:
        return self.random.choice([*self._vectors, "", "A:1-none"])

    def _match(self, name: str, chance: float = 0.3) -> dict[str, str]:
        return {name: f'"{self._vector()}"'} if self.random.random() < chance else {}

    def document(self, *, always_collection: bool = False) -> dict[str, Any]:
        pick = self.random
        names = pick.sample(("name", "count", "tags", "owner", "friend", "friends", "Ünï", "a.b", "$x"), pick.randint(0, 5))
        fields = {name: pick.choice(VALUES) for name in names}
        if pick.random() < 0.4:
            fields["friend"] = self.key()
        if pick.random() < 0.3:
            fields["friends"] = [self.key(), {"id": self.key()}, None, 5]
        metadata: dict[str, Any] = {"@collection": pick.choice((*COLLECTIONS, "dogs"))}
        if pick.random() < 0.15 and not always_collection:
            return fields
        if pick.random() < 0.3:
            metadata |= {"Custom": pick.choice(VALUES), **OWNED}
        return {**fields, "@metadata": metadata}

    def put(self) -> Step:
        document = self.document()
        for name in OWNED:  # what `bulk_docs` drops is kept here, and shown by patches (seen on 7.1)
            document.get("@metadata", {}).pop(name, None)
        return "PUT", f"docs?{self._id()}", document, self._match("If-Match")

    def delete(self) -> Step:
        return "DELETE", f"docs?{self._id()}", None, self._match("If-Match")

    def load(self) -> Step:
        includes = self.random.sample(("friend", "friends", "friends[]", "friends[].id", "count(dogs/)", "a.b", "nope"), 2)
        query = "".join(f"&include={quote(path)}" for path in includes) if self.random.random() < 0.5 else ""
        query += "&metadataOnly=true" if self.random.random() < 0.1 else ""
        return "GET", f"docs?{self._id()}{query}", None, self._match("If-None-Match")

    def load_many(self) -> Step:
        keys = [self.random.choice((self.key(), self.key(), self.key(), None, "")) for _ in range(self.random.randint(1, 5))]
        if self.random.random() < 0.5:
            return "POST", "docs?include=friend", {"Ids": keys}, {}
        return "GET", "docs?" + "&".join(f"id={quote(key or '', safe='')}" for key in keys), None, {}

    def head(self) -> Step:
        return "HEAD", f"docs?{self._id()}", None, self._match("If-None-Match")

    def listed(self) -> Step:
        pick = self.random
        parts = {"startsWith": pick.choice(("dogs/", "DOGS", "cats", "nope", "people/ö"))}
        for name, values in {
            "matches": ("1", "2*", "1|2", "?", "sub/*"),
            "startAfter": ("dogs/1", "x"),
            "start": ("0", "1", "-1"),
            "pageSize": ("0", "1", "2", "100", "-1"),
            "metadataOnly": ("true",),
        }.items():
            if pick.random() < 0.25:
                parts[name] = pick.choice(values)
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parts.items())
        if pick.random() < 0.3:
            query += pick.choice(("", "&excludes=1", "&excludes=2|3"))
            return "GET", f"streams/docs?{query}" + pick.choice(("", "&format=jsonl")), None, {}
        exclude = pick.choice(("", "&exclude=1", "&exclude=*A", "&exclude=2|3"))
        return "GET", f"docs?{query}{exclude}", None, {}

    def batch(self) -> Step:
        return "POST", "bulk_docs", {"Commands": [self.command() for _ in range(self.random.randint(0, 5))]}, {}

    def command(self) -> dict[str, Any]:
        pick = self.random
        kind = pick.choices(("PUT", "DELETE", "PATCH", "JsonPatch", "BatchPATCH", "prefixed", "made"), (10, 5, 5, 3, 2, 1, 3))[0]
        vector = self._vector() if pick.random() < 0.15 else None
        if kind == "PUT":
            return {"Type": "PUT", "Id": self.key(), "ChangeVector": vector, "Document": self.document(always_collection=True)}
        if kind == "made":
            key = pick.choice((None, "", "dogs/", "fleas|", "FLEAS|", "cats//", "made-"))
            return {"Type": "PUT", "Id": key, "ChangeVector": None, "Document": self.document(always_collection=True)}
        if kind == "DELETE":
            return {"Type": "DELETE", "Id": self.key(), "ChangeVector": vector}
        if kind == "prefixed":
            return {"Type": "DELETE", "Id": pick.choice(("made/", "nope/", "dogs/s")), "IdPrefixed": True}
        if kind == "JsonPatch":
            steps = {"Operations": pick.sample(STEPS, pick.randint(0, 2))}
            return {"Type": "JsonPatch", "Id": self.key(), "ChangeVector": vector, "JsonPatch": steps, "ReturnDocument": True}
        script = {"Script": pick.choice(SCRIPTS[:-1]), "Values": {"name": pick.choice(VALUES)}}
        if kind == "BatchPATCH":
            return {"Type": "BatchPATCH", "Ids": [{"Id": self.key()}, {"Id": self.key()}], "Patch": script}
        command: dict[str, Any] = {"Type": "PATCH", "Id": self.key(), "ChangeVector": vector, "Patch": script}
        if pick.random() < 0.2:
            command["PatchIfMissing"] = {"Script": "this.made = args.how;", "Values": {"how": "patch"}}
        if pick.random() < 0.2:
            command["ReturnDocument"] = True
        return command

    def patch(self) -> Step:
        pick = self.random
        body: dict[str, Any] = {"Patch": {"Script": pick.choice(SCRIPTS), "Values": {"name": pick.choice(VALUES)}}}
        if pick.random() < 0.3:
            body["PatchIfMissing"] = {"Script": "this.made = true; this['@metadata'] = {'@collection': 'Dogs'};"}
        query = pick.choice(("", "", "", "&test=true", "&debug=true", "&skipPatchIfChangeVectorMismatch=true"))
        if "test" in query:  # what such a script did to others, RavenDB tells as if it were true (seen on 7.1)
            body["Patch"]["Script"] = SCRIPTS[0]
        return "PATCH", f"docs?{self._id()}{query}", body, self._match("If-Match")

    def numbers(self) -> Step:
        name = quote(self.random.choice(("fleas|", "Ticks|", "fleas")))
        return self.random.choice(
            (
                ("POST", f"identity/next?name={name}", None, {}),
                ("POST", f"identity/seed?name={name}&value={self.random.randint(1, 50)}", None, {}),
                ("POST", f"identity/seed?name={name}&value=5&force=true", None, {}),
                ("GET", "debug/identities", None, {}),
                ("GET", "hilo/next?tag=Dogs&lastBatchSize=0&lastRangeAt=&lastMax=0", None, {}),
                ("GET", "hilo/next?tag=Dogs&lastBatchSize=128&lastRangeAt=2020-01-01T00:00:00.0000000Z&lastMax=0", None, {}),
                ("GET", f"hilo/next?tag=Cats&lastMax={self.random.randint(0, 200)}", None, {}),
                ("PUT", f"hilo/return?tag=Dogs&end={self.random.choice((32, 64, 96))}&last=20", None, {}),
            )
        )

    def statistics(self) -> Step:
        return "GET", "collections/stats", None, {}

    def several(self) -> Step:
        asked = [self.load(), self.load_many(), self.load()]
        url = "/databases/{database}/"
        requests = []
        for method, path, body, _ in asked:
            target, _, query = path.partition("?")
            if target == "docs":
                requests.append({"Url": url + target, "Query": f"?{query}", "Method": method, "Content": body})
        return "POST", "multi_get", {"Requests": requests}, {}

    def bulk(self) -> Step:
        items: list[dict[str, Any]] = []
        for _ in range(self.random.randint(0, 4)):
            document = self.document(always_collection=True)
            items.append({"Id": f"bulk/{self.random.randint(1, 9)}", "Type": "PUT", "Document": document})
        if self.random.random() < 0.2:
            items.append({"Type": "HeartBeat"})
        if self.random.random() < 0.2:
            key, kind = self.random.choice((("bulk/", "PUT"), ("bulk/|", "PUT"), ("bulk/1", "Foo")))
            items.append({"Id": key, "Type": kind, "Document": {}})
        return "POST", "bulk_insert?id=1", items, {}

    def wrong(self) -> Step:
        return self.random.choice(WRONG)


WRONG: tuple[Step, ...] = (
    ("PUT", "docs", {}, {}),
    ("PUT", "docs?id=", {}, {}),
    ("DELETE", "docs", None, {}),
    ("HEAD", "docs", None, {}),
    ("HEAD", "docs?id=a&id=b", None, {}),
    ("GET", "docs?id=", None, {}),
    ("POST", "docs?id=1", None, {}),
    ("PUT", "docs?id=w", "zzz", {}),
    ("PUT", "docs?id=w", "", {}),
    ("PUT", "docs?id=w", "[1]", {}),
    ("PUT", "docs?id=w", '{"a":', {}),
    ("PUT", "docs?id=w", '{"a":01}', {}),
    ("PUT", "docs?id=w", '{"a":.5}', {}),
    ("PUT", "docs?id=w", '{"a":tru}', {}),
    ("PUT", "docs?id=w", '{"a":1,"@metadata":null}', {}),
    ("PUT", "docs?id=w", '{"a":1,"@metadata":5}', {}),
    ("PUT", "docs?id=" + "k" * 513, {}, {}),
    ("GET", "docs?id=" + "k" * 513, None, {}),
    ("DELETE", "docs?id=" + "k" * 513, None, {}),
    ("GET", "docs?startsWith=d&start=x", None, {}),
    ("GET", "docs?startsWith=d&pageSize=x", None, {}),
    ("GET", "docs?startsWith=d&pageSize=2147483648", None, {}),
    ("GET", "nope", None, {}),
    ("POST", "bulk_docs", "[]", {}),
    ("POST", "bulk_docs", "", {}),
    ("POST", "bulk_docs", {"Commands": 5}, {}),
    ("POST", "bulk_docs", {"Commands": None}, {}),
    ("POST", "bulk_docs", {"Commands": [5]}, {}),
    ("POST", "bulk_docs", {"Commands": [None]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Id": "a"}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "put", "Id": "a"}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PUT", "Id": "a"}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PUT", "Id": "a", "Document": None}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PUT", "Id": "a", "Document": 5}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PUT", "Id": "a", "Document": [1]}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PUT", "Id": 5, "Document": {}}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PUT", "Id": "a", "ChangeVector": 5, "Document": {}}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "DELETE"}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "DELETE", "Id": ""}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "DELETE", "Id": "k" * 513}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PATCH", "Id": "p/1"}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PATCH", "Id": "p/1", "Patch": {}}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "PATCH", "Patch": {"Script": "1"}}]}, {}),
    ("POST", "bulk_docs", {"Commands": [{"Type": "BatchPATCH", "Ids": ["p/1"], "Patch": {"Script": "1"}}]}, {}),
    ("POST", "bulk_docs", {"Commands": [], "TransactionMode": "Foo"}, {}),
    ("PATCH", "docs?id=dogs/1", {}, {}),
    ("PATCH", "docs?id=dogs/1", {"Patch": None}, {}),
    ("PATCH", "docs?id=dogs/1", {"Patch": {"Script": 5}}, {}),
    ("PATCH", "docs?id=dogs/1", {"Patch": {"Script": "1", "Values": [1]}}, {}),
    ("PATCH", "docs", {"Patch": {"Script": "1"}}, {}),
    ("PATCH", "json-patch?id=dogs/1", {}, {}),
    ("PATCH", "json-patch", {"Operations": []}, {}),
    ("PUT", "docs?id=w", '{"a":1e400}', {}),
    ("POST", "docs", {"Ids": 5}, {}),
    ("POST", "docs", {"Ids": [5]}, {}),
    ("POST", "docs", [], {}),
    ("POST", "indexes/set-lock", {}, {}),
    ("POST", "admin/indexes/disable", None, {}),
    ("GET", "indexes/terms", None, {}),
    ("GET", "hilo/next?", None, {}),
    ("GET", "hilo/next?tag=Dogs&identityPartsSeparator=ab", None, {}),
    ("GET", "hilo/next?tag=Dogs&lastBatchSize=x", None, {}),
    ("PUT", "hilo/return?tag=Dogs", None, {}),
    ("POST", "identity/next?", None, {}),
    ("POST", "identity/seed?name=cats", None, {}),
    ("POST", "identity/seed?name=cats&value=x", None, {}),
    ("GET", "operations/state?id=999", None, {}),
    ("GET", "operations/state", None, {}),
    ("POST", "operations/kill?id=999", None, {}),
    ("POST", "bulk_insert", [], {}),
    ("POST", "bulk_insert?id=1", "{}", {}),
    ("POST", "bulk_insert?id=1", "zz", {}),
    ("POST", "bulk_insert?id=1", '[{"Id":"bi/2","Type":"PUT","Document":{}}', {}),
    ("POST", "bulk_insert?id=1", '[{"Id":"bi/5","Type":"PUT","Document":{}}]trailing', {}),
    ("POST", "bulk_insert?id=1", '[{"Id":"bi/4","Type":"PUT","Document":5}]', {}),
    ("POST", "multi_get", "{}", {}),
    ("POST", "multi_get", {"Requests": 5}, {}),
    ("POST", "multi_get", {"Requests": []}, {}),
    ("POST", "multi_get", {"Requests": [{"Query": "?id=1"}]}, {}),
)
