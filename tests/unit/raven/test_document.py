"""The document: a dict with attributes, a key and metadata."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import ConfigurationError
from evsession.raven.document import Document, DocumentType, make, put_key, put_metadata
from evsession.raven.types import info_of, type_of_collection

Dog = DocumentType("Dog")
NAMES = st.text(max_size=8) | st.sampled_from(["id", "_key", "items", "metadata"])
VALUES = st.none() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=3)


class Kennel(DocumentType("Kennel")):  # type: ignore[misc]
    legs = 4

    @property
    def size(self) -> int:
        return len(self)

    @property
    def city(self) -> Any:
        return self["town"]

    @city.setter
    def city(self, value: str) -> None:
        self["town"] = value

    def bark(self) -> str:
        return f"{self.name} barks"


def test_items_are_attributes() -> None:
    max = Dog(name="Max", age=12)
    max.age += 1
    max["breed"] = "Labrador"
    assert (max.name, max.age, max.breed) == ("Max", 13, "Labrador")
    del max.breed
    assert max == {"name": "Max", "age": 13}


def test_a_missing_field_is_named() -> None:
    max = Dog(name="Max")
    with pytest.raises(AttributeError, match="has no field 'age'"):
        _ = max.age
    with pytest.raises(AttributeError, match="has no field 'age'"):
        del max.age
    assert not hasattr(max, "age")


@pytest.mark.parametrize("name", ["items", "keys", "get", "copy", "metadata"])
def test_names_of_the_class_are_no_fields(name: str) -> None:
    document = Document()
    with pytest.raises(AttributeError, match=rf"write doc\['{name}'\]"):
        setattr(document, name, 1)
    with pytest.raises(AttributeError, match=rf"write doc\['{name}'\]"):
        delattr(document, name)
    document[name] = 1
    assert document == {name: 1}


@pytest.mark.parametrize("name", ["_id", "_key", "_metadata", "_other", "__x"])
def test_underscore_names_are_items_only(name: str) -> None:
    document = Document({name: 1})
    with pytest.raises(AttributeError):
        setattr(document, name, 2)
    assert document == {name: 1}
    assert document.id is None
    assert document.metadata == {}


def test_reading_an_underscore_name_gives_advice() -> None:
    with pytest.raises(AttributeError, match="as an item"):
        _ = Document({"_x": 1})._x


def test_a_metaclass_attribute_is_a_field() -> None:
    document = Document()
    document.mro = 1
    assert document == {"mro": 1}


def test_subclasses_may_have_methods_and_properties() -> None:
    kennel = Kennel(name="K")
    kennel.city = "Rome"
    assert (kennel.city, kennel, kennel.bark()) == ("Rome", {"name": "K", "town": "Rome"}, "K barks")
    for name in ("size", "legs"):
        with pytest.raises(AttributeError, match="an attribute of the class Kennel"):
            setattr(kennel, name, 1)
    with pytest.raises(AttributeError):
        del kennel.city


def test_the_id_and_a_field_called_id_are_two() -> None:
    document = Document({"id": 5})
    assert (document.id, document["id"]) == (None, 5)
    document.id = "dogs/max"
    assert (document.id, document["id"]) == ("dogs/max", 5)
    assert Document(id="x").id == "x"
    assert Document(id="x") == {}


def test_the_id_of_a_new_document_may_change() -> None:
    document = Document(id="a")
    document.id = "b"
    document.id = None
    assert document.id is None


@pytest.mark.parametrize("bad", ["", 5, b"x"])
def test_the_id_is_text(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="text"):
        Document().id = bad


def test_a_key_does_not_change() -> None:
    document = Document(id="Max")
    put_key(document, "dogs/max")
    assert document.id == "dogs/max"
    document.id = "dogs/max"
    with pytest.raises(ConfigurationError, match="cannot change") as caught:
        document.id = "dogs/other"
    assert caught.value.key == "dogs/max"
    with pytest.raises(AttributeError):
        del document.id
    put_key(document, None)
    assert document.id is None


def test_metadata_is_read_only() -> None:
    document = Document(a=1)
    assert document.metadata == {}
    put_metadata(document, {"@collection": "Dogs"})
    assert document.metadata["@collection"] == "Dogs"
    with pytest.raises(TypeError):
        document.metadata["@collection"] = "Cats"  # type: ignore[index]


def test_an_id_reads_as_the_key_that_it_means() -> None:
    dog = Dog(name="Max")
    dog.id = "Max"
    assert dog.id == "dogs/max"
    dog.id = "Dogs/MAX"
    assert dog.id == "Dogs/MAX"
    assert DocumentType("Cat", id_separator="-")(id="Tom").id == "cats-tom"
    assert Document(id="Max").id == "Max"


def loaded() -> Any:
    document = make(Dog, {"name": "Max", "tags": ["a"], "id": 1})
    put_key(document, "dogs/max")
    put_metadata(document, {"@collection": "Dogs"})
    return document


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_everything(protocol: int) -> None:
    twin = pickle.loads(pickle.dumps(loaded(), protocol))
    assert (type(twin), twin, twin.id, twin.metadata) == (Dog, loaded(), "dogs/max", {"@collection": "Dogs"})
    new = pickle.loads(pickle.dumps(Dog({"_key": 1}, id="Max"), protocol))
    assert (new, new.id) == ({"_key": 1}, "dogs/max")
    assert pickle.loads(pickle.dumps(Dog(a=1), protocol)).id is None


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda document: document.copy()])
def test_a_copy_is_a_new_document(copied: Any) -> None:
    document = loaded()
    twin = copied(document)
    assert (type(twin), twin, twin.id, twin.metadata) == (Dog, document, None, {})
    assert (twin["tags"] is document["tags"]) == (copied is not copy.deepcopy)


def test_deep_copies_keep_cycles() -> None:
    document = Document()
    document.me = document
    twin = copy.deepcopy(document)
    assert twin.me is twin


def test_repr_names_type_and_key() -> None:
    assert repr(Dog(name="Max")) == "Dog({'name': 'Max'})"
    assert repr(loaded()).endswith(", id='dogs/max')")


def test_dir_offers_the_fields() -> None:
    assert {"name", "id", "items"} <= set(dir(Document({"name": 1, "no identifier": 2})))


def test_documents_take_weak_references() -> None:
    document = Document()
    assert weakref.ref(document)() is document


def test_making_skips_init() -> None:
    class Strict(Document):
        def __init__(self, name: str) -> None:
            super().__init__(name=name)

    assert make(Strict, {"age": 1}) == {"age": 1}
    assert Strict("Max").name == "Max"


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_any_dict_goes_in_and_out(fields: dict[str, Any]) -> None:
    document = Document(fields)
    assert document == fields
    assert dict(document) == fields
    assert pickle.loads(pickle.dumps(document)) == fields
    for name in fields:
        if not name.startswith("_") and not hasattr(Document, name):
            assert getattr(document, name) == fields[name]


@pytest.mark.parametrize(
    ("name", "collection"),
    [
        ("Dog", "Dogs"),
        ("Person", "People"),
        ("Category", "Categories"),
        ("Bus", "Buses"),
        ("Mouse", "Mice"),
        ("Address", "Addresses"),
        ("Child", "Children"),
        ("OrderLine", "OrderLines"),
        ("News", "News"),
        ("Status", "Statuses"),
    ],
)
def test_collections_are_plurals(name: str, collection: str) -> None:
    info = info_of(DocumentType(name))
    assert info is not None
    assert (info.name, info.collection, info.key_field) == (name, collection, None)


def test_options_of_a_type() -> None:
    made = DocumentType("Cow", collection="Cows", id_separator="-", id_generation_strategy="guid", key=lambda cow: "k")
    info = info_of(made())
    assert info is not None
    assert (info.cls, info.collection, info.id_separator, info.id_generation_strategy) == (made, "Cows", "-", "guid")
    assert info.key is not None
    assert made.__module__ == __name__


@pytest.mark.parametrize(
    "options",
    [
        {"collection": ""},
        {"collection": "@hilo"},
        {"collection": 1},
        {"collection": "a\nb"},
        {"id_separator": "|"},
        {"id_separator": ""},
        {"id_generation_strategy": "random"},
        {"key": "name"},
    ],
)
def test_bad_options(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        DocumentType("Dog", **options)


@pytest.mark.parametrize("name", ["", "a b", 5, None])
def test_bad_names(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name of a document type"):
        DocumentType(name)


def test_a_subclass_of_the_same_name_takes_over() -> None:
    class Horse(DocumentType("Horse")):  # type: ignore[misc]
        pass

    class Pony(Horse):
        pass

    assert type_of_collection("Horses") is Horse
    info = info_of(Pony)
    assert info is not None
    assert (info.cls, info.name, info.collection) == (Pony, "Horse", "Horses")
    del Horse, Pony, info
    gc.collect()
    assert type_of_collection("Horses") is None
