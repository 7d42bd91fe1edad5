"""Maintenance of an archive: rebuild its catalogue from day files, or a day file from its sources."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from dayfile.archive import disk
from dayfile.archive.bases import check_mounted
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.opening import DayFileError, Trouble, open_day_file
from dayfile.archive.reindexing import Reindexed, make_catalogue
from dayfile.archive.root import Root
from dayfile.archive.sources import list_stored, read_arrival, read_stored
from dayfile.engine.report import Report
from dayfile.engine.starting import start_run
from dayfile.errors import PluginError, StorageError, UsageError
from dayfile.messages import plural
from dayfile.model.instants import parse_day
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings
from dayfile.state.keys import NewestKeys
from dayfile.stores.ledger import Ledger

__all__ = ["adopt", "rebuild", "reindex"]


def adopt(root: Root, plugins: Plugins) -> Reindexed:
    """Turn a directory with day files of another program into an archive, without changing a byte of them.

    Parameters
    ----------
    root : Root
        The directory; it may have no day files yet.
    plugins : Plugins
        The plugins; their layouts say where day files belong, and what each table is.

    Raises
    ------
    UsageError
        The directory is within another archive.
    ArchiveLockedError, StorageError
        As for :func:`reindex`.
    """
    for name in plugins.bases:
        check_mounted(root, name)
    root.create()
    return reindex(root, plugins, trust=True)


def reindex(root: Root, plugins: Plugins | None = None, *, trust: bool = False) -> Reindexed:
    """Rebuild the catalogue from the day files, without changing a byte of them.

    Parameters
    ----------
    root : Root
        The archive.
    plugins : Plugins, optional
        The plugins; their layouts say where day files belong, and the type of tables without a ``data_type``.
    trust : bool
        Whether the day files are accepted as they are; see :func:`dayfile.archive.reindexing.make_catalogue`.

    Raises
    ------
    ArchiveLockedError
        A run works on the archive.
    LossError
        Day files are missing or hold fewer records than the catalogue lists, and ``trust`` is not set.
    StorageError
        The archive could not be written, or day files cannot be read now: a directory is not mounted or cannot be
        listed, or a file is in use.
    """
    for name in () if plugins is None else plugins.bases:
        check_mounted(root, name)
    root.prepare()
    with root.hold_lock():
        done = make_catalogue(root, plugins, trust=trust)
        NewestKeys(root).replace(Catalogue.of(root).list_newest())
        return done


def rebuild(root: Root, plugins: Plugins, settings: Settings, path: str) -> Report:
    """Rebuild a day file from the sources that are kept below ``sources/``.

    Parameters
    ----------
    root : Root
        The archive.
    plugins : Plugins
        The plugins that wrote the day file.
    settings : Settings
        Settings of the archive and of each plugin.
    path : str
        Path of the day file below the archive root.

    Raises
    ------
    UsageError
        The day of the file is unknown, or a source that the published file lists is not kept.
    StorageError
        A kept source cannot be read, or the archive could not be written; the published file is unchanged.
    """
    day, listed = look_up_day(root, path)
    order = {sha256[:16]: place for place, sha256 in enumerate(listed)}
    # As they were archived; without the ledger, as they arrived. Rows and blobs are in that order.
    sources = sorted(list_stored(root, day), key=lambda each: (order.get(each[0], len(order)), read_arrival(each[1])))
    there = {short for short, _ in sources}
    missing = [name for sha256, name in listed.items() if sha256[:16] not in there]
    if missing or not sources:
        what = plural(len(missing), "source") if missing else "every source"
        message = (
            f"{what} of it {'are' if len(missing) > 1 else 'is'} missing below sources/{day}"
            f"{': ' + ', '.join(missing[:5]) if missing else ''}; set sources.keep to always before the next loss"
        )
        raise UsageError(message, where=path)
    catalogue = Catalogue(root.catalogue)
    before = {name: records for _, name, records in catalogue.list_losses(path)}
    for row in catalogue.read_file_rows(path):
        before[row.data_type] = max(row.records, before.get(row.data_type, 0))
    with start_run(root, plugins, settings, command="rebuild", only=path) as run:
        useless = dict(listed)
        for short, source_path in sources:
            with disk.storage_errors("read a kept source", source_path):
                source = read_stored(source_path)
            if source.sha256[:16] != short:
                raise UsageError("this kept source has changed; restore it from a copy", where=source_path)
            ((conclusion,), _) = run.pipeline.take([source])
            if path in conclusion.days:
                useless.pop(source.sha256, None)
        for name in useless.values():
            raise UsageError(f"{name} has no records of it for these plugins and settings", where=path)
        run.publish()
        if not run.report.day_files:
            raise UsageError("none of the kept sources has records of it for these plugins", where=path)
        after = {row.data_type: row.records for row in run.pipeline.catalogue.read_file_rows(path)}
        fewer = {name: records for name, records in before.items() if after.get(name, 0) < records}
        for name, records in fewer.items():
            message = f"{path} holds {plural(after.get(name, 0), 'record')} of {name} now, and {records:,} before"
            run.report.failures.append(Failure("dayfile", message, UsageError.__name__))
        if not fewer:
            run.pipeline.catalogue.forget_losses(path)
    return run.report


def look_up_day(root: Root, path: str) -> tuple[np.datetime64, dict[str, str]]:
    """Look up the day of a day file, and the names of its sources by SHA-256; without the file, only the day."""
    try:
        published: Path = root.day_file(path)
    except PluginError as error:
        raise UsageError("this is not the path of a day file (below the archive, *.h5)", where=path) from error
    if disk.exists(published):
        try:
            with open_day_file(published) as file:
                ledger = Ledger.read(file)
            if ledger.day:
                return np.datetime64(ledger.day, "D"), {sha: entry.name for sha, entry in ledger.sources.items()}
        except DayFileError as error:
            if error.trouble is not Trouble.DAMAGED:  # a damaged file is why one rebuilds; its day is in the catalogue
                raise
    try:
        days = {row.day for row in Catalogue(root.catalogue).read_file_rows(path)}
    except StorageError:
        days = set()
    if len(days) == 1:
        return np.datetime64(days.pop(), "D"), {}
    match = re.search(r"(\d{4})\D(\d{1,2})\D(\d{1,2})", Path(path).name)
    if match:
        return parse_day(f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"), {}
    raise UsageError("neither the file nor the catalogue has the day of this file", where=path)
