"""Places that two data types would share: day files, and tables in them."""

from __future__ import annotations

import re
from itertools import product

import numpy as np

from dayfile.model.datatype import DataType
from dayfile.model.places import OVERLAP
from dayfile.stores.registry import find_store

__all__ = ["day_files", "nodes_of", "shared_node"]

DAYS = np.array(["2000-01-01", "2001-02-03", "2010-11-30"], "datetime64[D]")
"""Two data types share day files if they do on any of these."""
KEY = re.compile(r"\{\w*\}")


def shared_node(one: DataType, other: DataType) -> str:
    """Node of a table of one data type that could be a table of another too, in the same day file; empty if none.

    Keys are not known here: two templates share a node if some values of their keys give the same path, or paths of
    which one is above the other. A path that cannot be filled belongs to a plugin that locates its day files itself.
    """
    if not any(path and path == day_file(other, day) for day in DAYS if (path := day_file(one, day))):
        return ""
    for mine, theirs in product(nodes_of(one), nodes_of(other)):
        parts = zip(mine.strip("/").split("/"), theirs.strip("/").split("/"), strict=False)
        if all(can_be_equal(*each) for each in parts):
            return mine
    return ""


def day_files(data_type: DataType) -> list[str]:
    """Paths of a data type's day files, by its template, on some days."""
    return [path for day in DAYS if (path := day_file(data_type, day))]


def day_file(data_type: DataType, day: np.datetime64) -> str:
    """Path of a data type's day file by its template; empty if that cannot be filled."""
    try:
        return data_type.fill(data_type.placement.path, day)
    except (LookupError, ValueError, AttributeError):
        return ""


def nodes_of(data_type: DataType) -> list[str]:
    """Templates of the paths of a data type's tables."""
    path = data_type.placement.node.path
    return [path, f"{path}{OVERLAP}"] if find_store(data_type.placement.store).contends else [path]


def can_be_equal(one: str, other: str) -> bool:
    """Whether two parts of templates can give the same text.

    Examples
    --------
    >>> can_be_equal("station_{station}", "station_5"), can_be_equal("station_{station}", "cluster_{cluster}")
    (True, False)
    """
    if not KEY.search(one) or not KEY.search(other):
        template, text = (one, other) if KEY.search(one) else (other, one)
        return re.fullmatch("[^/]+".join(map(re.escape, KEY.split(template))), text) is not None
    begins, ends = zip(*((KEY.split(each)[0], KEY.split(each)[-1]) for each in (one, other)), strict=True)
    prefixes = begins[0].startswith(begins[1]) or begins[1].startswith(begins[0])
    return bool(prefixes and (ends[0].endswith(ends[1]) or ends[1].endswith(ends[0])))
