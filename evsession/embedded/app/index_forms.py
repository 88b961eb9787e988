"""How definitions of indexes look in answers, static and automatic ones. Knows RavenDB's names for everything in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.query import AutoIndex, one_of
from evsession.embedded.storage.keys import complaint_about, fold_key
from evsession.wire.json import JSON

__all__ = ["LOCK_MODES", "PRIORITIES", "alike", "auto_form", "check_shape", "form", "same_files"]

LOCK_MODES = ("Unlock", "LockedIgnore", "LockedError")
PRIORITIES = ("Normal", "Low", "High")
MAX_NAME_LENGTH = 206
"""Characters of an index's name (seen on 7.1)."""

_CHOICES = {
    "LockMode": ("IndexLockMode", LOCK_MODES),
    "Priority": ("IndexPriority", PRIORITIES),
    "State": ("IndexState", ("Normal", "Disabled", "Idle", "Error")),
    "SourceType": ("IndexSourceType", ("None", "Documents")),
    "Type": (
        "IndexType",
        ("None", "AutoMap", "AutoMapReduce", "Map", "MapReduce", "Faulty", "JavaScriptMap", "JavaScriptMapReduce"),
    ),
}
_DEFAULTS: dict[str, JSON] = {
    "SourceType": "Documents",
    "Type": "Map",
    "LockMode": "Unlock",
    "ArchivedDataProcessingBehavior": None,
    "Priority": "Normal",
    "State": "Normal",
    "OutputReduceToCollection": None,
    "DeploymentMode": None,
    "ReduceOutputIndex": None,
    "PatternForOutputReduceToCollectionReferences": None,
    "PatternReferencesCollectionName": None,
    "Configuration": {},
    "AdditionalSources": {},
    "AdditionalAssemblies": [],
    "Reduce": None,
    "Maps": [],
    "Fields": {},
}
_FIELD: dict[str, JSON] = dict.fromkeys(("Analyzer", "Indexing", "Storage", "Suggestions", "TermVector", "Spatial", "Vector"))
_AUTO_FIELD = {**_FIELD, "Indexing": "Default", "Storage": "No", "Suggestions": False, "TermVector": "No"}
_WHAT_IT_DOES = ("Maps", "Reduce", "Fields", "Configuration", "OutputReduceToCollection", "SourceType")
_WHAT_IT_IS = (*_WHAT_IT_DOES, "LockMode", "Priority")


def check_shape(definition: Mapping[str, JSON]) -> None:
    """See that a definition has a name, maps, and options that there are.

    Raises:
        RavenFailure: it has not.
    """
    _check_name(definition.get("Name"))
    maps = definition.get("Maps")
    if maps is not None and not isinstance(maps, list):
        raise RavenFailure(500, "System.FormatException", f"'Maps' must be a list, not {maps!r}")
    if not maps or not all(isinstance(text, str) for text in maps):
        raise invalid_argument("Index must have a 'Maps' fields")
    if not all(text.strip() for text in maps):
        raise invalid_argument("Value cannot be null or whitespace. (Parameter 'map')")
    for name, (kind, choices) in _CHOICES.items():
        one_of(definition, name, choices, kind)
    configuration = definition.get("Configuration")
    if configuration is not None and not isinstance(configuration, dict):
        raise RavenFailure(500, "System.FormatException", f"'Configuration' must be an object, not {configuration!r}")


def _check_name(name: JSON) -> None:
    if not isinstance(name, str):
        raise RavenFailure(500, "System.NullReferenceException", "An index must have a 'Name'")
    if not name.strip():
        raise invalid_argument("Index name cannot be empty!")
    if name.lower().startswith("replacementof/"):
        raise invalid_argument(f"Index name must not start with 'ReplacementOf/'. Provided index name: '{name}'")
    complaint: str | None = None
    if name.lower().startswith("auto/"):
        complaint = "Static index name cannot start with 'Auto/'"
    elif "//" in name:
        complaint = "Index name cannot contain // (double slashes)"
    elif len(name) > MAX_NAME_LENGTH:
        complaint = f"Index name cannot exceed {MAX_NAME_LENGTH} characters."
    if complaint := complaint or complaint_about(name, "_-./"):
        raise invalid_argument(f"Index name '{name}' is not permitted. {complaint}")


def same_files(name: str, other: str) -> bool:
    """Return whether RavenDB would keep two indexes in the same place, so that there can be only one of them."""
    return name != other and fold_key(name).replace("/", "_") == fold_key(other).replace("/", "_")


def form(definition: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return a static definition as answers show it, with everything that it leaves out."""
    given = {name: definition[name] for name in _DEFAULTS if definition.get(name) is not None}
    fields = {field: {name: options.get(name) for name in _FIELD} for field, options in (definition.get("Fields") or {}).items()}
    is_javascript = any(text.lstrip().startswith("map") for text in given.get("Maps", []))
    kind = f"{'JavaScript' if is_javascript else ''}Map{'Reduce' if given.get('Reduce') else ''}"
    return {"Name": definition["Name"], **_DEFAULTS, **given, "Type": kind, "Fields": fields}


def alike(one: Mapping[str, JSON], other: Mapping[str, JSON], *, with_options: bool = False) -> bool:
    """Return whether two forms find the same, and with options whether they are the same."""
    names = _WHAT_IT_IS if with_options else _WHAT_IT_DOES
    return all(one[name] == other[name] for name in names)


def auto_form(index: AutoIndex) -> dict[str, JSON]:
    """Return an automatic index as answers show it."""
    keys = [_bare(key) for key in index.keys]
    fields: dict[str, JSON] = {}
    for field in sorted(index.fields):
        if (name := _bare(field)) != field and not field.startswith("'"):
            fields[field[0].lower() + field[1:]] = {**_AUTO_FIELD, "Indexing": field.partition("(")[0]}
        fields[name] = _AUTO_FIELD
    fields |= dict.fromkeys(keys, _AUTO_FIELD)
    aggregated = {"Count": "#Operation:Count"} if keys else {}
    names = sorted({_bare(field) for field in index.fields})
    maps = [f"<Name:{name}{aggregated.get(name, '#Operation:Sum' if keys else '')}>" for name in names]
    return {
        "Name": index.name,
        **_DEFAULTS,
        "Type": "AutoMapReduce" if keys else "AutoMap",
        "Maps": [_listed(index, maps)],
        "Reduce": _listed(index, (f"<Name:{key}>" for key in keys)) if keys else None,
        "Fields": fields,
    }


def _listed(index: AutoIndex, parts: Iterable[str]) -> str:
    return f"{index.collection}:[{';'.join(parts)}]"


def _bare(field: str) -> str:
    """Return the field itself of ``Search(field)``, ``Exact(field)``, ``Array(field)`` or one in quotes."""
    for prefix in ("Search(", "Exact(", "Array("):
        if field.startswith(prefix):
            return field[len(prefix) : -1]
    return field[1:-1] if field.startswith("'") else field
