"""Paths of tables in day files, and the keys of records in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from dayfile.errors import SourceError

__all__ = ["Keys", "fill_path", "fill_template", "match_keys", "parse_key"]

WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")
NODE_SIZE = 480
"""Bytes of the longest path of a table; the ledger has room for it and a suffix."""

Keys = Mapping[str, str | int]


def fill_path(template: str, keys: Keys) -> str:
    """Fill the keys of a batch into the template of a node's path.

    Raises
    ------
    SourceError
        A key is missing, its value cannot be part of a path in a day file, or readers would find another value in the
        path: ``{a}_{b}`` gives the same one for ``1_2`` and ``3`` as for ``1`` and ``2_3``.
    """
    for name, value in keys.items():
        text = str(value)
        if not text or "/" in text or text in {".", ".."} or not text.isprintable():
            message = f"{name} is {text!r}, which cannot name a group in a day file"
            raise SourceError(message)
        if isinstance(value, str) and isinstance(parse_key(text), int):
            raise SourceError(f"{name} is the text {text!r}, which would be read back as a number; give the number")
    path = fill_template(template, keys)
    found = match_keys(template, path)
    if found is None or any(str(keys[name]) != text for name, text in found.items()):
        given = ", ".join(f"{name} {str(value)!r}" for name, value in keys.items())
        raise SourceError(f"{given} cannot be distinguished from other keys in {path!r}, made by {template!r}")
    if len(path.encode()) > NODE_SIZE:
        raise SourceError(f"{path[:60]}… is too long for a path in a day file ({NODE_SIZE} bytes)")
    return path


def parse_key(text: str) -> str | int:
    """Parse the text of a key: an integer where it is written as one and int64 holds it, else the text.

    Examples
    --------
    >>> parse_key("501"), parse_key("-5"), parse_key("05"), parse_key("²"), parse_key("99999999999999999999")
    (501, -5, '05', '²', '99999999999999999999')
    """
    if WHOLE_NUMBER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    return text


def fill_template(template: str, keys: Keys) -> str:
    """Fill the keys of a batch into a template; SourceError if one is missing."""
    try:
        return template.format(**keys)
    except KeyError as error:
        raise SourceError(f"the source does not say the {error.args[0]} of its records") from error


def match_keys(template: str, path: str) -> dict[str, str] | None:
    """Return the keys with which a node's template gives a path, as text; None if it cannot.

    Examples
    --------
    >>> match_keys("/array/telescope_{telescope}/events", "/array/telescope_7/events")
    {'telescope': '7'}
    >>> match_keys("/array/{telescope}", "/array/7_overlap")
    {'telescope': '7'}
    """
    match = compile_template(template).fullmatch(path)
    return match.groupdict() if match else None


@lru_cache(maxsize=256)
def compile_template(template: str) -> re.Pattern[str]:
    """Compile the pattern of paths that a node's template gives."""
    # Odd parts of the split are names of keys.
    parts = re.split(r"\{(\w+)\}", template)
    pattern = "".join(f"(?P<{part}>[^/]+?)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile(f"{pattern}(?:_overlap)?")
