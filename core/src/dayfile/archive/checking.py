"""Is the archive what it says it is? Day files, ledgers and catalogue held against each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.archive import disk
from dayfile.archive.catalogue import Catalogue, CatalogueRow
from dayfile.archive.digests import NOT_PUBLISHED
from dayfile.archive.homes import Content, Homes, content_of, second_copy
from dayfile.archive.opening import REMEDY, DayFileError, naming_trouble, open_day_file
from dayfile.archive.root import Root
from dayfile.archive.survey import NodeSummary, opened_leaves, read_blocks, survey_blobs, survey_table
from dayfile.hdf5.links import link_exists
from dayfile.hdf5.rows import Table
from dayfile.hdf5.vlen import VlenArray, open_vlen_array
from dayfile.messages import plural
from dayfile.model.datatype import DataType
from dayfile.plugins import Plugins
from dayfile.stores.declarations import TypeFinder, read_data_type
from dayfile.stores.ledger import Ledger
from dayfile.stores.registry import find_store

__all__ = ["Problem", "check", "check_day_file", "without_digest"]


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


def check(root: Root, *, deep: bool = False, plugins: Plugins | None = None) -> Iterator[Problem]:
    """Check an archive, while a run may be working on it.

    Every day file opens, is the one that was published, and is where its data types and day belong; its ledger and its
    tables have the same rows; the catalogue agrees; slots hold records of their times; blob indexes are in range.
    ``deep`` reads every byte and compares the checksums and digests that were kept when the file was published.

    Parameters
    ----------
    root : Root
        The archive.
    deep : bool
        Whether to compare checksums.
    plugins : Plugins, optional
        Whose layouts say where day files belong, and what tables of day files of other programs may be.

    Yields
    ------
    Problem
        One for each thing that is wrong.
    """
    homes = Homes(plugins)
    catalogue = Catalogue(root.catalogue)
    listed = {row.path for row in catalogue.rows()}
    unseen: list[Problem] = []

    def note(directory: Path, error: OSError) -> None:
        message = f"cannot be read ({error.strerror}); what is in this directory is not checked"
        unseen.append(Problem(os.path.relpath(directory, root.path), message))

    found = root.day_files(note)
    yield from unseen
    for path in sorted({*found, *listed}):
        problems = check_listed(root, catalogue, homes, path, deep=deep)
        if problems:
            # A run may have published the file between two of our looks; what is wrong stays wrong.
            problems = check_listed(root, catalogue, homes, path, deep=deep)
        yield from problems
    for path, name, records in catalogue.losses():
        message = (
            f"{plural(records, 'record')} of {name} were in this day file when it disappeared; a new one was started"
        )
        yield Problem(path, f"{message}. {REMEDY}, or accept the loss with: dayfile reindex --force")


def without_digest(root: Root) -> int:
    """How many day files were not published by a run that kept their digest: whether they changed is not known."""
    catalogue = Catalogue(root.catalogue)
    return len({row.path for row in catalogue.rows()} - catalogue.digests().keys())


def check_listed(root: Root, catalogue: Catalogue, homes: Homes, path: str, *, deep: bool) -> list[Problem]:
    """Check one day file and its rows in the catalogue."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return [Problem(path, "its name is not UTF-8, so it cannot be a day file; rename it or move it away")]
    announced = path in catalogue.announced()
    rows = {row.data_type: row for row in catalogue.rows_of(path)}
    try:
        with naming_trouble(root.path / path):
            there = (root.path / path).exists() or os.path.lexists(root.path / path)
        if not there:
            return [Problem(path, f"it is in the catalogue and not on disk; {REMEDY}")] if rows else []
        digest = catalogue.digest(path)
        taken = digest is not None and digest.taken
        summaries, problems = check_day_file(root.path / path, path, deep=deep, told=homes.told, taken=taken)
        if problems or announced:
            return problems
        if digest is not None and not digest.describes(root.path / path, deep=deep):
            return [Problem(path, NOT_PUBLISHED)]
        content = content_of(path, ledger_day(root, path), summaries)
    except DayFileError as error:
        return [Problem(path, error.message)]
    problems = [Problem(path, message) for message in homes.misplaced(summaries)]
    problems += [Problem(path, f"its records of {row.data_type} belong elsewhere") for row in homes.foreign(content)]
    if problems:
        return problems
    found = {row.data_type: row for row in content.rows}
    if not rows:
        return [Problem(path, unlisted(root, catalogue, homes, content))] if found else []
    for name in sorted(found.keys() | rows.keys()):
        if not same(found.get(name), rows.get(name)):
            problems.append(Problem(path, f"the catalogue says otherwise of {name}; rebuild it: dayfile reindex"))
    return problems


def unlisted(root: Root, catalogue: Catalogue, homes: Homes, content: Content) -> str:
    """What to say of a day file that is not in the catalogue."""
    others = [
        other
        for name, day in sorted(content.claims)
        for other in catalogue.elsewhere(name, day, content.path)
        if disk.exists(root.path / other)
    ]
    other = next(iter(others), None) or homes.occupied(root, content)
    if other is not None:
        return second_copy(content, other)
    return "it is not in the catalogue; take it in with: dayfile reindex"


def ledger_day(root: Root, path: str) -> str:
    """The day that a day file says it holds; empty if it has no ledger."""
    with open_day_file(root.path / path) as file:
        return Ledger.read(file).day


def same(found: CatalogueRow | None, listed: CatalogueRow | None) -> bool:
    """Whether a day file and the catalogue tell the same of a type."""
    if found is None or listed is None:
        return found is listed
    return (found.records, found.first, found.last) == (listed.records, listed.first, listed.last)


def check_day_file(
    path: Path, name: str, *, deep: bool, told: TypeFinder = read_data_type, taken: bool = False
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
    told : callable
        The data type of a table.
    taken : bool
        Whether the file was taken as it is, whatever its ledger says.

    Returns
    -------
    (list of NodeSummary, list of Problem)
        What the file holds, as far as it could be read, and what is wrong.
    """
    problems: list[Problem] = []
    summaries: list[NodeSummary] = []
    try:
        with open_day_file(path) as file:
            ledger = Ledger.read(file)
            if taken:
                ledger.checksums = {}
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
    except DayFileError as error:
        problems.append(Problem(name, error.message))
    return summaries, problems


def summary_of(node: Table | VlenArray, told: TypeFinder, *, deep: bool) -> NodeSummary:
    """What a node holds; of a blob array only the number of rows, unless all is to be read."""
    if not isinstance(node, VlenArray):
        return survey_table(node, told)
    return survey_blobs(node) if deep else NodeSummary(node.path, node.nrows, 0)


def check_node(
    file: tables.File, node: Table | VlenArray, summary: NodeSummary, ledger: Ledger, *, deep: bool
) -> Iterator[str]:
    """What is wrong with a table or blob array."""
    rows, checksum = ledger.checksums.get(summary.path, (None, None))
    if rows is not None and rows != summary.rows:
        yield f"{summary.path} has {plural(summary.rows, 'row')}, and {rows} by its ledger"
    elif deep and checksum is not None and checksum != summary.checksum:
        yield f"{summary.path} does not have the bytes that were published"
    if summary.data_type is None or isinstance(node, VlenArray):
        return
    yield from check_places(node, summary.data_type, ledger.day)
    if any(field.blob for field in summary.data_type.fields):
        yield from check_blobs(file, node, summary.data_type)


def check_places(table: Table, data_type: DataType, day: str) -> Iterator[str]:
    """Whether each row holds a record that belongs there."""
    store = find_store(data_type.placement.store)
    if not day or not store.sparse:
        return
    start = data_type.clock.day_start(np.datetime64(day, "D"))
    for first, rows in read_blocks(table):
        wrong = store.find_misplaced(rows, first, data_type, start)
        if len(wrong):
            yield f"{table.path}: slot {wrong[0] + first} holds a record of another time ({len(wrong)} such)"


def check_blobs(file: tables.File, table: Table, data_type: DataType) -> Iterator[str]:
    """Whether each index of a blob is one of the array beside the table."""
    path = f"{table.path.rsplit('/', 1)[0]}/{data_type.placement.node.blobs.rsplit('/', 1)[-1]}"
    count = 0
    if link_exists(file, path):
        with closing(open_vlen_array(file, path)) as array:
            count = array.nrows
    for field in data_type.fields:
        if not field.blob or field.name not in (table.dtype.names or ()):
            continue
        for _, rows in read_blocks(table):
            cells: npt.NDArray[Any] = rows[field.name]
            bad = int(((cells < -1) | (cells >= count)).sum())
            if bad:
                yield f"{table.path}: {bad} of {field.name} outside the {plural(count, 'blob')}"
