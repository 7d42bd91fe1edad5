"""Find day files, and tables in them, that two data types would share."""

from __future__ import annotations

import re
from itertools import product

import numpy as np

from dayfile.model.datatype import DataType
from dayfile.model.places import OVERLAP_SUFFIX
from dayfile.stores.registry import find_store

__all__ = ["find_shared_node", "list_day_files", "list_nodes"]

DAYS = np.array(["2000-01-01", "2001-02-03", "2010-11-30"], "datetime64[D]")
"""Two data types share day files if they share one on any of these days."""
BRACES = re.compile(r"\{\w*\}")


def find_shared_node(one: DataType, other: DataType) -> str:
    """Find the node of a table of one data type that could also be a table of another, in the same day file; or empty.

    Keys are not known here: two templates share a node if some values of their keys give the same path, or one path
    above the other. A path that cannot be filled belongs to a plugin that locates its day files itself.
    """
    if not any(path and path == fill_day_file(other, day) for day in DAYS if (path := fill_day_file(one, day))):
        return ""
    for mine, theirs in product(list_nodes(one), list_nodes(other)):
        parts = zip(mine.strip("/").split("/"), theirs.strip("/").split("/"), strict=False)
        if all(can_be_equal(*each) for each in parts):
            return mine
    return ""


def list_day_files(data_type: DataType) -> list[str]:
    """List paths of a data type's day files, by its template, on some days."""
    return [path for day in DAYS if (path := fill_day_file(data_type, day))]


def fill_day_file(data_type: DataType, day: np.datetime64) -> str:
    """Return the path of a data type's day file by its template; empty if that cannot be filled."""
    try:
        return data_type.fill(data_type.placement.path, day)
    except (LookupError, ValueError, AttributeError):
        return ""


def list_nodes(data_type: DataType) -> list[str]:
    """List the templates of the paths of a data type's tables."""
    path = data_type.placement.node.path
    return [path, f"{path}{OVERLAP_SUFFIX}"] if find_store(data_type.placement.store).contends else [path]


def can_be_equal(one: str, other: str) -> bool:
    """Return whether two parts of templates can give the same text.

    Examples
    --------
    >>> can_be_equal("station_{station}", "station_5"), can_be_equal("station_{station}", "cluster_{cluster}")
    (True, False)
    """
    if not BRACES.search(one) or not BRACES.search(other):
        template, text = (one, other) if BRACES.search(one) else (other, one)
        return re.fullmatch("[^/]+".join(map(re.escape, BRACES.split(template))), text) is not None
    begins, ends = zip(*((BRACES.split(each)[0], BRACES.split(each)[-1]) for each in (one, other)), strict=True)
    prefixes = begins[0].startswith(begins[1]) or begins[1].startswith(begins[0])
    return bool(prefixes and (ends[0].endswith(ends[1]) or ends[1].endswith(ends[0])))
