"""How a data type is drawn if nobody says otherwise, as its layout declares it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["PlotDefault", "has_element", "split_element"]

ELEMENT = re.compile(r"(?P<name>\w+)\[(?P<place>\d{1,9}(?:,\d{1,9})*)\]")


@dataclass(frozen=True)
class PlotDefault:
    """The default plot of a data type.

    It is a matter of looking, not of meaning, so day files do not declare it: without the plugin, what is worth drawing
    is guessed from the fields.

    Parameters
    ----------
    kind : str
        Name of a plot of the core or of a plugin; empty: ``series`` for periodic types and those with ``y``, else
        ``rates``.
    y : tuple of str
        Fields or elements, ``hp`` or ``hp[0]``.
    log : bool
        Whether the axis of values, or of counts, is logarithmic.
    """

    kind: str = ""
    y: tuple[str, ...] = ()
    log: bool = False


def split_element(text: str) -> tuple[str, tuple[int, ...] | None]:
    """Split a text into the name of a field and the place of an element; None if the whole field is meant.

    Examples
    --------
    >>> split_element("hp[0]"), split_element("grid[2, 3]"), split_element("hp")
    (('hp', (0,)), ('grid', (2, 3)), ('hp', None))
    """
    match = ELEMENT.fullmatch(text.replace(" ", ""))
    if match is None:
        return text, None
    return match["name"], tuple(int(number) for number in match["place"].split(","))


def has_element(shape: tuple[int, ...], place: tuple[int, ...] | None) -> bool:
    """Return whether a field of a shape has an element at a place; for no place, True."""
    if place is None:
        return True
    return len(place) == len(shape) and all(index < length for index, length in zip(place, shape, strict=True))
