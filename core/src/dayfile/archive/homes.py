"""The homes of day files: the path that the plugin gives for a data type and day."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dayfile.archive.catalogue_rows import CatalogueRow, make_rows
from dayfile.archive.opening import open_day_file
from dayfile.archive.root import Root
from dayfile.archive.survey import NodeSummary, survey
from dayfile.errors import PluginError
from dayfile.model.datatype import DataType
from dayfile.plugins import Plugins
from dayfile.stores.declarations import TypeFinder, make_type_finder
from dayfile.stores.ledger import Chain, Ledger
from dayfile.stores.nodes import match_keys

__all__ = ["Content", "Homes", "describe_second_copy", "make_content"]


@dataclass(frozen=True)
class Content:
    """The content of a file that may be a day file.

    Parameters
    ----------
    path : str
        Below the archive root.
    day : str
        ISO date of its day; empty if it has no records.
    rows : list of CatalogueRow
        Its records by type; empty for a file without tables of a data type.
    summaries : list of NodeSummary
        Its tables and blob arrays.
    chain : Chain
        Its sources.
    """

    path: str
    day: str
    rows: list[CatalogueRow]
    summaries: list[NodeSummary]
    chain: Chain

    @property
    def claims(self) -> set[tuple[str, str]]:
        """Return its data types, each with the day: no other file of the archive may hold one of these."""
        return {(row.data_type, self.day) for row in self.rows}


class Homes:
    """Find where the day files of each data type belong, according to the plugins.

    Parameters
    ----------
    plugins : Plugins or None
        The plugins; without any, tables are known by their attributes only and no file has a home.
    """

    def __init__(self, plugins: Plugins | None) -> None:
        self.plugins = plugins
        self.types: dict[str, DataType] = {} if plugins is None else plugins.data_types
        self.find_type: TypeFinder = make_type_finder(self.types.values())

    def read(self, path: Path, name: str) -> Content:
        """Read the content of a file.

        Parameters
        ----------
        path : Path
            The file.
        name : str
            Its path below the archive root.

        Raises
        ------
        DayFileError
            It cannot be read.
        """
        with open_day_file(path) as file:
            ledger = Ledger.read(file)
            summaries = survey(file, self.find_type)
        return make_content(name, ledger, summaries)

    def find_home(self, data_type: str, day: str) -> str | None:
        """Find the path of the day file for a day of a data type; None if no plugin gives it."""
        if self.plugins is None or data_type not in self.types or not day:
            return None
        try:
            return self.plugins.locate_file(self.types[data_type], np.datetime64(day, "D"))
        except PluginError:
            return None  # it is reported where records are archived

    def find_homes(self, content: Content) -> set[str]:
        """Find the homes of a file, one for each of its data types that a plugin knows; usually one."""
        return {home for row in content.rows if (home := self.find_home(row.data_type, content.day)) is not None}

    def find_foreign(self, content: Content) -> list[CatalogueRow]:
        """Find the rows of a file, at home for some of its data types, that belong into another file."""
        if content.path not in self.find_homes(content):
            return []
        return [row for row in content.rows if self.find_home(row.data_type, content.day) not in {None, content.path}]

    def find_occupied(self, root: Root, content: Content) -> str | None:
        """Find an existing file at the home of a file that is elsewhere; None without one, or if it is at home."""
        homes = self.find_homes(content)
        if content.path in homes:
            return None
        return next((home for home in sorted(homes) if os.path.lexists(root.path / home)), None)

    def find_misplaced(self, summaries: Iterable[NodeSummary]) -> list[str]:
        """Describe the tables whose type and place disagree."""
        problems = []
        for summary in summaries:
            declared = summary.data_type
            if declared is None:
                continue
            known = self.types.get(declared.name)
            node = (known or declared).placement.node.path
            if match_keys(node, summary.path) is None:
                problems.append(
                    f"{summary.path} says that it is a table of {declared.name}, whose tables are at {node}"
                )
            elif known is not None and declared.code not in {known.code, *(each.code for each in known.versions)}:
                problems.append(
                    f"{summary.path} says that it is a table of {declared.name}, but its records have the code "
                    f"{declared.code}"
                )
        return problems


def make_content(path: str, ledger: Ledger, summaries: list[NodeSummary]) -> Content:
    """Make the content of a file from its summaries; without a ledger its day is that of the first record."""
    days = {
        str(each.data_type.clock.date_of(np.array(each.first)))
        for each in summaries
        if each.first is not None and each.data_type is not None
    }
    day = ledger.day or min(days, default="")
    return Content(path, day, make_rows(path, day, summaries) if day else [], summaries, ledger.chain)


def describe_second_copy(content: Content, other: str) -> str:
    """Describe the problem of a file whose records belong to a day file elsewhere."""
    types = ", ".join(sorted({row.data_type for row in content.rows}))
    return (
        f"it holds {content.day} of {types}, whose day file is {other}: a second copy is not added; move it out of "
        "the archive"
    )
