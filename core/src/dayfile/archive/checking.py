"""Check an archive: compare day files, ledgers and catalogue with each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.archive import disk
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.catalogue_rows import CatalogueRow
from dayfile.archive.digests import NOT_PUBLISHED
from dayfile.archive.homes import Content, Homes, describe_second_copy, make_content
from dayfile.archive.opening import REMEDY, DayFileError, name_trouble, open_day_file
from dayfile.archive.root import Root
from dayfile.archive.survey import NodeSummary, iterate_blocks, open_leaves, survey_blobs, survey_table
from dayfile.hdf5.links import link_exists
from dayfile.hdf5.rows import Table
from dayfile.hdf5.vlen import VlenArray, open_vlen_array
from dayfile.messages import plural
from dayfile.model.datatype import DataType
from dayfile.plugins import Plugins
from dayfile.stores.declarations import TypeFinder, read_data_type
from dayfile.stores.ledger import Ledger
from dayfile.stores.registry import find_store

__all__ = ["Defect", "check_archive", "check_day_file", "count_without_digest"]


@dataclass(frozen=True)
class Defect:
    """Something wrong with a day file.

    Parameters
    ----------
    path : str
        Day file, below the archive root.
    message : str
        What is wrong, and what to do.
    """

    path: str
    message: str


def check_archive(root: Root, *, deep: bool = False, plugins: Plugins | None = None) -> Iterator[Defect]:
    """Check an archive, while a run may be working on it.

    Every day file can be opened, is the one that was published, and is where its data types and day belong; its ledger
    and its tables have the same rows; the catalogue agrees; slots hold records of their times; blob indexes are in
    range. ``deep`` reads every byte and compares it with the checksums and digests of the published file.

    Parameters
    ----------
    root : Root
        The archive.
    deep : bool
        Whether to compare checksums.
    plugins : Plugins, optional
        Their layouts say where day files belong, and recognise the tables of foreign day files.

    Yields
    ------
    Defect
        One for each thing that is wrong.
    """
    homes = Homes(plugins)
    catalogue = Catalogue(root.catalogue)
    listed = {row.path for row in catalogue.rows()}
    unseen: list[Defect] = []

    def note(directory: Path, error: OSError) -> None:
        message = f"cannot be read ({error.strerror}); files in this directory are not checked"
        unseen.append(Defect(os.path.relpath(directory, root.path), message))

    found = root.list_day_files(note)
    yield from unseen
    for path in sorted({*found, *listed}):
        problems = check_listed(root, catalogue, homes, path, deep=deep)
        if problems:
            # A run may have published the file between two reads; a real defect is found again.
            problems = check_listed(root, catalogue, homes, path, deep=deep)
        yield from problems
    for path, name, records in catalogue.list_losses():
        message = (
            f"{plural(records, 'record')} of {name} were in this day file when it disappeared; a new one was started"
        )
        yield Defect(path, f"{message}. {REMEDY}, or accept the loss with: dayfile reindex --force")


def count_without_digest(root: Root) -> int:
    """Count the day files that were published without a digest: whether they changed is not known."""
    catalogue = Catalogue(root.catalogue)
    return len({row.path for row in catalogue.rows()} - catalogue.digests().keys())


def check_listed(root: Root, catalogue: Catalogue, homes: Homes, path: str, *, deep: bool) -> list[Defect]:
    """Check one day file and its rows in the catalogue."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return [Defect(path, "its name is not UTF-8, so it cannot be a day file; rename it or move it away")]
    announced = path in catalogue.list_announced()
    rows = {row.data_type: row for row in catalogue.read_file_rows(path)}
    try:
        with name_trouble(root.path / path):
            there = (root.path / path).exists() or os.path.lexists(root.path / path)
        if not there:
            return [Defect(path, f"it is in the catalogue but not on disk; {REMEDY}")] if rows else []
        digest = catalogue.digest(path)
        taken = digest is not None and digest.taken
        summaries, problems = check_day_file(root.path / path, path, deep=deep, find_type=homes.find_type, taken=taken)
        if problems or announced:
            return problems
        if digest is not None and not digest.describes(root.path / path, deep=deep):
            return [Defect(path, NOT_PUBLISHED)]
        content = make_content(path, read_ledger(root, path), summaries)
    except DayFileError as error:
        return [Defect(path, error.message)]
    problems = [Defect(path, message) for message in homes.find_misplaced(summaries)]
    problems += [
        Defect(path, f"its records of {row.data_type} belong elsewhere") for row in homes.find_foreign(content)
    ]
    if problems:
        return problems
    found = {row.data_type: row for row in content.rows}
    if not rows:
        return [Defect(path, describe_unlisted(root, catalogue, homes, content))] if found else []
    for name in sorted(found.keys() | rows.keys()):
        if not are_equal(found.get(name), rows.get(name)):
            problems.append(Defect(path, f"the catalogue says otherwise of {name}; rebuild it: dayfile reindex"))
    return problems


def describe_unlisted(root: Root, catalogue: Catalogue, homes: Homes, content: Content) -> str:
    """Describe what is wrong with a day file that is not in the catalogue."""
    others = [
        other
        for name, day in sorted(content.claims)
        for other in catalogue.find_elsewhere(name, day, content.path)
        if disk.exists(root.path / other)
    ]
    other = next(iter(others), None) or homes.find_occupied(root, content)
    if other is not None:
        return describe_second_copy(content, other)
    return "it is not in the catalogue; add it with: dayfile reindex"


def read_ledger(root: Root, path: str) -> Ledger:
    """Read the ledger of a day file."""
    with open_day_file(root.path / path) as file:
        return Ledger.read(file)


def are_equal(found: CatalogueRow | None, listed: CatalogueRow | None) -> bool:
    """Return whether a day file and the catalogue agree about a type, and about each key that the catalogue knows."""
    if found is None or listed is None:
        return found is listed
    return replace(found, counts=None) == replace(listed, counts=None) and listed.counts in (None, found.counts)


def check_day_file(
    path: Path, name: str, *, deep: bool, find_type: TypeFinder = read_data_type, taken: bool = False
) -> tuple[list[NodeSummary], list[Defect]]:
    """Check one day file by itself.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its path below the archive root, for messages.
    deep : bool
        Whether to read blobs and compare checksums.
    find_type : callable
        Returns the data type of a table.
    taken : bool
        Whether the file was adopted as it is, whatever its ledger says.

    Returns
    -------
    (list of NodeSummary, list of Defect)
        The content of the file, as far as it could be read, and what is wrong.
    """
    problems: list[Defect] = []
    summaries: list[NodeSummary] = []
    try:
        with open_day_file(path) as file:
            ledger = Ledger.read(file)
            if taken:
                ledger.checksums = {}
            for node in open_leaves(file):
                summary = summarise(node, find_type, deep=deep)
                summaries.append(summary)
                problems += [
                    Defect(name, f"{text}; {REMEDY}") for text in check_leaf(file, node, summary, ledger, deep=deep)
                ]
            missing = ledger.checksums.keys() - {summary.path for summary in summaries}
            problems += [
                Defect(name, f"{node} is in the ledger but not in the file; {REMEDY}") for node in sorted(missing)
            ]
    except DayFileError as error:
        problems.append(Defect(name, error.message))
    return summaries, problems


def summarise(node: Table | VlenArray, find_type: TypeFinder, *, deep: bool) -> NodeSummary:
    """Summarise a node; a blob array by its number of rows only, unless ``deep``."""
    if not isinstance(node, VlenArray):
        return survey_table(node, find_type)
    return survey_blobs(node) if deep else NodeSummary(node.path, node.nrows, 0)


def check_leaf(
    file: tables.File, node: Table | VlenArray, summary: NodeSummary, ledger: Ledger, *, deep: bool
) -> Iterator[str]:
    """Check a table or blob array; yield what is wrong."""
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
    """Check that each row holds a record that belongs there."""
    store = find_store(data_type.placement.store)
    if not day or not store.sparse:
        return
    start = data_type.clock.day_start(np.datetime64(day, "D"))
    for first, rows in iterate_blocks(table):
        wrong = store.find_misplaced(rows, first, data_type, start)
        if len(wrong):
            yield f"{table.path}: slot {wrong[0] + first} holds a record of another time ({len(wrong)} such)"


def check_blobs(file: tables.File, table: Table, data_type: DataType) -> Iterator[str]:
    """Check that each blob index is within the array beside the table."""
    path = f"{table.path.rsplit('/', 1)[0]}/{data_type.placement.node.blobs.rsplit('/', 1)[-1]}"
    count = 0
    if link_exists(file, path):
        with closing(open_vlen_array(file, path)) as array:
            count = array.nrows
    for field in data_type.fields:
        if not field.blob or field.name not in (table.dtype.names or ()):
            continue
        for _, rows in iterate_blocks(table):
            cells: npt.NDArray[Any] = rows[field.name]
            bad = int(((cells < -1) | (cells >= count)).sum())
            if bad:
                yield f"{table.path}: {bad} of {field.name} outside the {plural(count, 'blob')}"
