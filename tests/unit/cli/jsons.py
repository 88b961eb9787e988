"""What Hypothesis makes JSON of."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = ["fields", "texts", "values"]

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values: st.SearchStrategy[Any] = st.recursive(scalars, lambda some: st.lists(some) | st.dictionaries(texts, some), max_leaves=8)
fields = st.dictionaries(texts.filter(lambda name: name != "@metadata"), values, max_size=4)
