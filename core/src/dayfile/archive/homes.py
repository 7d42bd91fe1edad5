"""Which day file belongs where: its home is the path that the plugin gives for its data types and day."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dayfile.archive.catalogue import CatalogueRow, catalogue_rows
from dayfile.archive.opening import open_day_file
from dayfile.archive.root import Root
from dayfile.archive.survey import NodeSummary, survey
from dayfile.errors import PluginError
from dayfile.model.datatype import DataType
from dayfile.plugins import Plugins
from dayfile.stores.declarations import TypeFinder, make_type_finder
from dayfile.stores.ledger import Ledger
from dayfile.stores.nodes import match_keys

__all__ = ["Content", "Homes", "content_of", "second_copy"]


@dataclass(frozen=True)
class Content:
    """What a file has that may be a day file.

    Parameters
    ----------
    path : str
        Below the archive root.
    day : str
        ISO date of its day; empty if no record says it.
    rows : list of CatalogueRow
        Its records by type; none of a file that has no table of a data type.
    summaries : list of NodeSummary
        Its tables and blob arrays.
    """

    path: str
    day: str
    rows: list[CatalogueRow]
    summaries: list[NodeSummary]

    @property
    def claims(self) -> set[tuple[str, str]]:
        """Data types, each with the day: no other file of the archive may hold one of these."""
        return {(row.data_type, self.day) for row in self.rows}


class Homes:
    """Where the day files of each data type belong, as far as plugins know.

    Parameters
    ----------
    plugins : Plugins or None
        Those that are asked; without any, a table is known by its attributes and no file has a home.
    """

    def __init__(self, plugins: Plugins | None) -> None:
        self.plugins = plugins
        self.types: dict[str, DataType] = {} if plugins is None else plugins.data_types
        self.told: TypeFinder = make_type_finder(self.types.values())

    def read(self, path: Path, name: str) -> Content:
        """What a file has.

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
            summaries = survey(file, self.told)
        return content_of(name, ledger.day, summaries)

    def home(self, data_type: str, day: str) -> str | None:
        """Path of the day file for a day of a data type; None if no plugin says it."""
        if self.plugins is None or data_type not in self.types or not day:
            return None
        try:
            return self.plugins.locate_file(self.types[data_type], np.datetime64(day, "D"))
        except PluginError:
            return None  # it is reported where records are archived

    def homes(self, content: Content) -> set[str]:
        """The homes of a file, one for each of its data types that a plugin knows; usually one."""
        return {home for row in content.rows if (home := self.home(row.data_type, content.day)) is not None}

    def foreign(self, content: Content) -> list[CatalogueRow]:
        """Rows of a file at the home of some of its data types, whose own home is another file."""
        if content.path not in self.homes(content):
            return []
        return [row for row in content.rows if self.home(row.data_type, content.day) not in {None, content.path}]

    def occupied(self, root: Root, content: Content) -> str | None:
        """The home of a file that is elsewhere, if there is a file; None if it is at home, or its home is empty."""
        homes = self.homes(content)
        if content.path in homes:
            return None
        return next((home for home in sorted(homes) if os.path.lexists(root.path / home)), None)

    def misplaced(self, summaries: Iterable[NodeSummary]) -> list[str]:
        """What is wrong with tables whose type and place disagree."""
        problems = []
        for summary in summaries:
            told = summary.data_type
            if told is None:
                continue
            known = self.types.get(told.name)
            node = (known or told).placement.node.path
            if match_keys(node, summary.path) is None:
                problems.append(f"{summary.path} says that it is a table of {told.name}, whose tables are at {node}")
            elif known is not None and told.code not in {known.code, *(version.code for version in known.versions)}:
                problems.append(
                    f"{summary.path} says that it is a table of {told.name}, but its records are of code {told.code}"
                )
        return problems


def content_of(path: str, day: str, summaries: list[NodeSummary]) -> Content:
    """What a file has, from what was read of it; the day of one without a ledger is that of its first record."""
    days = {str(time.astype("datetime64[D]")) for time in (summary.first for summary in summaries) if time is not None}
    day = day or min(days, default="")
    return Content(path, day, catalogue_rows(path, day, summaries) if day else [], summaries)


def second_copy(content: Content, other: str) -> str:
    """What to say of a file whose records belong to a day file that is elsewhere."""
    types = ", ".join(sorted({row.data_type for row in content.rows}))
    return (
        f"it holds {content.day} of {types}, whose day file is {other}: a second copy is not taken in; move it out of "
        "the archive"
    )
