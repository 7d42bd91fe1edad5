"""Checks of the templates in a layout: they can be filled, and each day and table gets a place of its own."""

from __future__ import annotations

import re
from string import Formatter

import numpy as np

from dayfile.layouts.document import Document, Path
from dayfile.layouts.schema import LayoutWords
from dayfile.messages import suggest
from dayfile.model.datatype import DataType
from dayfile.model.places import DIRECTORIES, LEDGER, may_be_day_file
from dayfile.stores.registry import find_store
from dayfile.stores.sharing import list_nodes

__all__ = ["DAY", "RESERVED", "check_day_files", "check_day_template", "check_nodes", "check_path", "check_tables"]

PATH_KEYS: dict[str, int | str] = {"year": 2000, "month": 1, "day": 1, "instrument": "", "type": "", "suffix": ""}
DAY = np.datetime64("2000-01-01")
OTHER_DAYS = np.array(["2001-01-01", "2000-02-01", "2000-01-02", "2000-01-11", "2000-11-01"], "datetime64[D]")
"""Two of these and DAY share a path if the template lacks year, month or day, or runs numbers together (1/11, 11/1)."""
FORMAT = re.compile(r"0?[0-9]{0,2}d?")
KEY = r"\{[A-Za-z_]\w*\}"
NODE_TEMPLATE, TITLE_TEMPLATE = re.compile(rf"(/([^/{{}}]|{KEY})+)+"), re.compile(rf"([^{{}}]|{KEY})*")
RESERVED = re.compile(r"_[cfgipv]_|__members__$")
"""Names that PyTables refuses or hides."""


def check_path(template: str, document: Document) -> None:
    """Check that the template of the day file's path can be filled."""
    check_day_template(template, document, ("path",))
    if not template.endswith(".h5"):
        document.fail(("path",), f"{template!r} does not end in .h5")


def check_day_template(template: str, document: Document, path: Path) -> None:
    """Check that a template can be filled with a day and a data type."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        document.fail(path, f"{template!r} is not a template: {error}")
    for _, name, form, _ in parts:
        if name is not None and not FORMAT.fullmatch(form or ""):
            document.fail(path, f"{template!r} is not a template: {{{name}}} can be written as {{{name}:02}}")
        if name is not None and name not in PATH_KEYS:
            document.fail(path, f"unknown key {{{name}}}{suggest(name, PATH_KEYS)}")
        if name is not None and " " in format(PATH_KEYS[name], form or ""):
            right = f"{name}:02" if name in ("month", "day") else name
            document.fail(path, f"{{{name}:{form}}} would put a blank into paths; write {{{right}}}")
    try:
        template.format(**PATH_KEYS)
    except (ValueError, AttributeError, LookupError) as error:
        document.fail(path, f"{template!r} is not a template: {error}")


def check_nodes(words: LayoutWords, document: Document) -> None:
    """Check that nodes and titles can be filled with the keys of a batch, and keys be read back from a table's node."""
    nodes = {("node",): words.node} | ({("blobs", "node"): words.blobs.node} if words.blobs else {})
    for path, node in nodes.items():
        if not NODE_TEMPLATE.fullmatch(node):
            problem = "is not a path in a day file: '/' begins each part, and a key has no format, such as {station}"
            document.fail(path, f"{node!r} {problem}")
        check_parts(node, document, path)
    for index, title in enumerate(words.titles):
        if not TITLE_TEMPLATE.fullmatch(title):
            document.fail(("titles", index), f"{title!r} is not a template: a key has no format, such as {{station}}")
    keys = [key for key in re.findall(KEY, words.node) if key != "{type}"]
    for key in keys:
        if keys.count(key) > 1:
            document.fail(("node",), f"{key} is in {words.node!r} twice; once is enough")
    names = [key.strip("{}") for key in keys]
    if words.main_key is not None and words.main_key not in names:
        document.fail(("main_key",), f"{words.main_key!r} is not a key in 'node'{suggest(words.main_key, names)}")
    for key in re.findall(KEY, words.blobs.node) if words.blobs else ():
        if key not in keys:
            document.fail(("blobs", "node"), f"{key} is not a key of 'node', where readers find the keys of a table")


def check_day_files(words: LayoutWords, types: tuple[DataType, ...], document: Document) -> None:
    """Check that each day of a data type has its own day file, in a place where an archive can have day files."""
    for data_type in types:
        days: dict[str, np.datetime64] = {data_type.fill(words.path, DAY): DAY}
        (path,) = days
        if not may_be_day_file(path):
            own = ", ".join(sorted(DIRECTORIES))
            problem = f"{path!r} cannot be a day file of {data_type.type}: it must be below the archive, not"
            document.fail(("path",), f"{problem} below its own {own}, and no part may begin with '.'")
        for day in OTHER_DAYS:
            other = days.setdefault(data_type.fill(words.path, day), day)
            if other != day:
                problem = f"{other} and {day} would share the day file {data_type.fill(words.path, day)!r} of"
                remedy = "{year}, {month:02} and {day:02} give each day its own"
                document.fail(("path",), f"{problem} {data_type.type}; {remedy}")


def check_tables(words: LayoutWords, types: tuple[DataType, ...], document: Document) -> None:
    """Check that tables and arrays of a day file each have a place of their own, with a name that is free."""
    taken: dict[tuple[str, str], str] = {}
    for data_type in types:
        name, file = data_type.type, data_type.fill(words.path, DAY)
        of_type = "{type}" in words.node
        place: Path = ("types", name) if of_type else ("node",)
        check_parts(data_type.placement.node.path, document, place, at_key=of_type)
        for node in list_nodes(data_type):
            if (file, node) in taken:
                remedy = "give it another name" if of_type else "put {type} into it, or into 'path'"
                problem = f"records of {name} and {taken[file, node]} would share {node} of one day file; {remedy}"
                document.fail(place, problem, at_key=of_type)
            taken[file, node] = name
    if words.blobs is None:
        return
    beside = {
        data_type.fill(words.path, DAY) for data_type in types if not find_store(data_type.placement.store).sparse
    }
    for (file, node), name in taken.items():
        below = f"{node}/".startswith(f"{words.blobs.node}/") or f"{words.blobs.node}/".startswith(f"{node}/")
        if file in beside and below:
            problem = f"{words.blobs.node!r} is, or is above or below, {node}, the table of {name}"
            document.fail(("blobs", "node"), f"{problem}; the array needs a place of its own")


def check_parts(node: str, document: Document, place: Path, *, at_key: bool = False) -> None:
    """Check that no part of a node's path is a name that day files or PyTables reserve."""
    for part in node.split("/"):
        if part in {LEDGER, ".", ".."} or RESERVED.match(part):
            problem = f"{part!r} in {node!r} is a reserved name in day files; use another one"
            document.fail(place, problem, at_key=at_key)
