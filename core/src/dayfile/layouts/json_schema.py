"""The vocabulary as a JSON Schema, by which editors complete words and underline mistakes."""

from __future__ import annotations

from typing import Any

from dayfile.layouts.schema import LayoutWords

__all__ = ["make_json_schema"]

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that all editors know."""


def make_json_schema(model: type[LayoutWords]) -> dict[str, Any]:
    """Make the JSON Schema of a vocabulary.

    It has the words as they are in the file, with their meanings. Contradictions, which need more than one word to be
    seen, are found by ``dayfile layout check`` alone.

    Examples
    --------
    >>> schema = make_json_schema(LayoutWords)
    >>> schema["title"], schema["properties"]["types"]["minProperties"]
    ('Layout of dayfile', 1)
    """
    schema: dict[str, Any] = simplify(model.model_json_schema(by_alias=True))
    return {"$schema": DRAFT, **schema, "title": "Layout of dayfile"}


def simplify(part: Any, *, names: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Leave out what editors show or check in vain: made-up titles, and forms of dates that YAML writes otherwise.

    Parameters
    ----------
    part : object
        A part of a schema.
    names : bool
        Whether the keys of the part are names that the schema declares, and not its own words.
    """
    if isinstance(part, list):
        return [simplify(each) for each in part]
    if not isinstance(part, dict):
        return part.replace("``", "'") if isinstance(part, str) else part
    part = {"anyOf" if key == "oneOf" else key: each for key, each in part.items()}  # forms of a word overlap
    kept = {key: each for key, each in part.items() if names or key not in ("title", "format")}
    return {key: simplify(each, names=not names and key in ("properties", "$defs")) for key, each in kept.items()}
