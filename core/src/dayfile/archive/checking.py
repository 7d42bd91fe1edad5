"""Is the archive what it says it is? Day files, ledgers and catalogue held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.archive.catalogue import Catalogue, CatalogueRow, catalogue_rows
from dayfile.archive.root import Root
from dayfile.archive.survey import DAMAGED, REMEDY, NodeSummary, blocks, opened_leaves, survey_blobs, survey_table
from dayfile.model.datatype import DataType
from dayfile.stores.ledger import Ledger
from dayfile.stores.nodes import Told, data_type_of, recogniser
from dayfile.stores.rows import Rows, exists
from dayfile.stores.slots import filled, slots_of
from dayfile.stores.vlen import Values, array_at

__all__ = ["Problem", "check", "check_day_file"]


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Parameters
    ----------
    path : str
        Day file, below the archive root.
    message : str
        What is wrong, and what to do.
    """

    path: str
    message: str


def check(root: Root, *, deep: bool = False, types: Iterable[DataType] = ()) -> Iterator[Problem]:
    """Check an archive, while a run may be working on it.

    Every day file opens; its ledger and its tables have the same rows; the catalogue agrees; slots stand where their
    times say; blob indexes are in range. ``deep`` reads every byte and compares the checksums that were kept when the
    file was published.

    Parameters
    ----------
    root : Root
        The archive.
    deep : bool
        Whether to compare checksums.
    types : iterable of DataType
        What tables of day files of other origin may be, which do not tell it themselves.

    Yields
    ------
    Problem
        One for each thing that is wrong.
    """
    told = recogniser(types)
    catalogue = Catalogue(root.catalogue)
    listed = {row.path for row in catalogue.rows()}
    for path in sorted({*root.day_files(), *listed}):
        problems = check_listed(root, catalogue, path, deep=deep, told=told)
        if problems:
            # A run may have published the file between two of our looks; what is wrong stays wrong.
            problems = check_listed(root, catalogue, path, deep=deep, told=told)
        yield from problems


def check_listed(root: Root, catalogue: Catalogue, path: str, *, deep: bool, told: Told) -> list[Problem]:
    """Check one day file and its rows in the catalogue."""
    announced = path in catalogue.announced()
    rows = {row.data_type: row for row in catalogue.rows_of(path)}
    if not (root.path / path).exists():
        return [Problem(path, f"it is in the catalogue and not on disk; {REMEDY}")] if rows else []
    summaries, problems = check_day_file(root.path / path, path, deep=deep, told=told)
    if problems or announced:
        return problems
    found = {row.data_type: row for row in catalogue_rows(path, "", summaries)}
    for name in sorted(found.keys() | rows.keys()):
        if not same(found.get(name), rows.get(name)):
            problems.append(Problem(path, f"the catalogue says otherwise of {name}; make it anew: dayfile reindex"))
    return problems


def same(found: CatalogueRow | None, listed: CatalogueRow | None) -> bool:
    """Whether a day file and the catalogue tell the same of a type."""
    if found is None or listed is None:
        return found is listed
    return (found.records, found.first, found.last) == (listed.records, listed.first, listed.last)


def check_day_file(
    path: Path, name: str, *, deep: bool, told: Told = data_type_of
) -> tuple[list[NodeSummary], list[Problem]]:
    """Check one day file by itself.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its path below the archive root, for messages.
    deep : bool
        Whether to read blobs and compare checksums.

    Returns
    -------
    (list of NodeSummary, list of Problem)
        What the file holds, as far as it could be read, and what is wrong.
    """
    problems: list[Problem] = []
    summaries: list[NodeSummary] = []
    try:
        with tables.open_file(path, "r") as file:
            ledger = Ledger.read(file)
            for node in opened_leaves(file):
                summary = summary_of(node, told, deep=deep)
                summaries.append(summary)
                problems += [
                    Problem(name, f"{text}; {REMEDY}") for text in check_node(file, node, summary, ledger, deep=deep)
                ]
            missing = ledger.checksums.keys() - {summary.path for summary in summaries}
            problems += [
                Problem(name, f"{node} is in the ledger and not in the file; {REMEDY}") for node in sorted(missing)
            ]
    except DAMAGED as error:
        problems.append(Problem(name, f"cannot be read ({type(error).__name__}); {REMEDY}"))
    return summaries, problems


def summary_of(node: Rows | Values, told: Told, *, deep: bool) -> NodeSummary:
    """What a node holds; of a blob array only the number of rows, unless all is to be read."""
    if not isinstance(node, Values):
        return survey_table(node, told)
    return survey_blobs(node) if deep else NodeSummary(node.path, node.nrows, 0)


def check_node(
    file: tables.File, node: Rows | Values, summary: NodeSummary, ledger: Ledger, *, deep: bool
) -> Iterator[str]:
    """What is wrong with a table or blob array."""
    rows, checksum = ledger.checksums.get(summary.path, (None, None))
    if rows is not None and rows != summary.rows:
        yield f"{summary.path} has {summary.rows} rows, and {rows} by its ledger"
    elif deep and checksum is not None and checksum != summary.checksum:
        yield f"{summary.path} does not have the bytes that were published"
    if summary.data_type is None or isinstance(node, Values):
        return
    if summary.data_type.store == "slots":
        yield from check_slots(node, summary.data_type, ledger.day)
    if any(field.blob for field in summary.data_type.fields):
        yield from check_blobs(file, node, summary.data_type)


def check_slots(table: Rows, data_type: DataType, day: str) -> Iterator[str]:
    """Whether each slot holds a record of its own period."""
    if not day:
        return
    start = data_type.clock.day_start(np.datetime64(day, "D"))
    for first, rows in blocks(table):
        held = np.flatnonzero(filled(rows))
        wrong = held[slots_of(rows[held], data_type, start) != held + first]
        if len(wrong):
            yield f"{table.path}: slot {wrong[0] + first} holds a record of another time ({len(wrong)} such)"


def check_blobs(file: tables.File, table: Rows, data_type: DataType) -> Iterator[str]:
    """Whether each index of a blob is one of the array beside the table."""
    path = f"{table.path.rsplit('/', 1)[0]}/{data_type.node.blobs.rsplit('/', 1)[-1]}"
    count = 0
    if exists(file, path):
        with closing(array_at(file, path)) as array:
            count = array.nrows
    for field in data_type.fields:
        if not field.blob or field.name not in (table.dtype.names or ()):
            continue
        for _, rows in blocks(table):
            cells: npt.NDArray[Any] = rows[field.name]
            bad = int(((cells < -1) | (cells >= count)).sum())
            if bad:
                yield f"{table.path}: {bad} of {field.name} point outside the {count} blobs"
