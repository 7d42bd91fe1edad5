"""The public surface: open or make an archive, read from it, put records into it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dayfile.archive.answering import DayReader
from dayfile.archive.exported import Exported
from dayfile.archive.identity import refuse_url
from dayfile.archive.pictured import Pictured
from dayfile.archive.question import KeyValues, Missing
from dayfile.archive.reading import ask_range
from dayfile.archive.root import Root
from dayfile.configuration import choose_plugins, read_settings
from dayfile.engine.executors import run_given
from dayfile.engine.offering import list_offers
from dayfile.engine.putting import PUBLISH_BYTES, Putting
from dayfile.engine.starting import start_run
from dayfile.errors import UsageError
from dayfile.plugins import Plugins
from dayfile.settings import Settings, from_program, keys_of, resolve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dayfile.archive.records import Records
    from dayfile.engine.report import Report
    from dayfile.model.instants import Time

GivenSource = str | Path | bytes | tuple[str, bytes]
"""A source as a program gives it: a path, its content, or its name and content."""

__all__ = ["Archive", "create_archive", "open_archive"]

logger = logging.getLogger(__name__)


class Archive(Pictured, Exported):
    """An archive to read from and to put records into; :func:`open_archive` and :func:`create_archive` return one.

    Parameters
    ----------
    root : Root
        Its directory.
    plugins : list of str or Path, mapping of str to object, or Plugins, optional
        As for :func:`open_archive`.
    settings : mapping of str to object, optional
        As for :func:`open_archive`.

    Raises
    ------
    UsageError
        A plugin is not installed.
    SettingsError
        A setting in ``settings`` does not exist, or has an impossible value.
    """

    def __init__(
        self,
        root: Root,
        *,
        plugins: Iterable[str | Path] | Mapping[str, object] | Plugins | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        if plugins is not None:
            self.plugins = choose_plugins(plugins)
        super().__init__(root, None if plugins is None else self.plugins.data_types.values())
        self._given = from_program({} if settings is None else settings)
        if self._given:
            resolve(self.plugins.settings_models, self._given)  # what is wrong with them is said at once

    @cached_property
    def plugins(self) -> Plugins:
        """The plugins that were chosen, or all that are installed, which are loaded when they are first needed."""
        return choose_plugins(None)

    @cached_property
    def settings(self) -> Settings:
        """The settings that were given, over environment, ``archive.yaml`` and defaults; read when first needed."""
        return read_settings(self.root, self.plugins, self._given)

    def __repr__(self) -> str:
        return f"<archive {self.root.path}>"

    def to_dask(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        fields: str | Iterable[str] | None = None,
        where: str | None = None,
        inside: bool = False,
        missing: Missing = "keep",
        physical: bool = False,
        **keys: KeyValues,
    ) -> Any:  # noqa: ANN401 - dask has no types
        """Make a DataFrame of dask, one partition a day, each read where it is worked on.

        Its columns are those of :meth:`dayfile.Records.to_pandas`; its index is UTC time, with known divisions. The
        directory must be at the same path for all workers. Threads of a process read one after the other.

        Parameters
        ----------
        data_type, start, stop, fields, where, inside, missing, physical, **keys
            As for :meth:`read`; what is missing is NaN here in any case.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`read`.
        MissingExtraError
            dask is not installed.

        Examples
        --------
        ``open_archive("archive").to_dask("muon.hits", "2024", "2025")["energy"].mean().compute()``
        """
        from dayfile.handover.dask import make_dask_frame

        question = ask_range(
            self.finder,
            data_type,
            start,
            stop,
            keys,
            fields=fields,
            where=where,
            inside=inside,
            missing=missing,
            physical=physical,
        )
        days = DayReader(self.finder, question, self.read_bytes)
        return make_dask_frame(days.read, len(days.divisions) - 1, days.divisions)

    def _repr_html_(self) -> str:
        """Show the data types as a table, as notebooks do."""
        from dayfile.handover.markup import show_archive

        return show_archive(str(self.root.path), self.catalogue.sum_types())

    def put(
        self,
        data_type: str,
        records: Records | npt.ArrayLike,
        *,
        blobs: Mapping[str, npt.ArrayLike] | None = None,
        wait: float = 0.0,
        **keys: object,
    ) -> npt.NDArray[np.uint8]:
        """Put records into the day files of their times; they are published when this returns.

        Parameters
        ----------
        data_type : str
            Name of the type, ``muon.hits``.
        records : Records, structured array of shape (n,), or one struct
            With the fields of the type, by name, in any byte order and alignment. Fields that number the rows of a
            table, or hold indexes of blobs, may be left out. Records that were read bring their keys and blobs.
        blobs : mapping of str to array of object, optional
            Values of variable length by the name of their field, each bytes or None, one for each record and element,
            as :meth:`dayfile.Records.all_blobs` returns them. A field of ``records`` may be of dtype object instead.
        wait : float
            Seconds to wait for another run on the archive to end; by default, that is an error at once.
        **keys : str or int
            The keys of the type, such as ``station=501``, for all of these records.

        Returns
        -------
        array of uint8, shape (n,)
            A :class:`dayfile.Status` for each record, in order: 0 written, 3 the same is there already, 1 its slot held
            another, 2 its slot was in conflict before; see :class:`dayfile.stores.slots.Slots`. 4 it has no time,
            or none that is plausible, and was kept in quarantine.

        Raises
        ------
        UsageError
            No such type, or the records do not have its fields, or have values that do not fit them, or begin more new
            days than ``run.most_new_days``; or keys or blobs are not those of the type. Nothing is put.
        SettingsError
            A setting of ``archive.yaml`` or the environment does not exist, or has an impossible value.
        ArchiveLockedError
            A run is working on the archive, and did not end within ``wait`` seconds.
        HeldError
            A day file cannot take records now: it cannot be read, or is not the one that was published.
        PluginError
            The plugin of the type failed; the message names it.
        StorageError
            The archive could not be written. Each day file is as it was, or has all its records; those have status 3
            when all are put again.

        Examples
        --------
        ``open_archive("archive").put("muon.hits", records)``

        ``open_archive("archive").put("school.events", records, station=501, blobs={"traces": traces}, wait=10)``
        """
        with self.putting(wait=wait) as put:
            return put(data_type, records, blobs=blobs, **keys)

    @contextmanager
    def putting(self, *, publish_bytes: int = PUBLISH_BYTES, wait: float = 0.0) -> Iterator[Putting]:
        """Put records in several calls, which is much quicker than as many calls of :meth:`put`.

        Parameters
        ----------
        publish_bytes : int
            Bytes of records to hold in memory, 64 MB if not given; once there are more, they are published.
        wait : float
            As for :meth:`put`.

        Yields
        ------
        Putting
            To be called with a type and records, as :meth:`put`. What it was given is published at the end, also if
            that comes by an exception, and meanwhile whenever it is more than ``publish_bytes``. It belongs to the
            thread that calls it first, and to this process: calls from other threads and from forks are refused.

        Raises
        ------
        UsageError, SettingsError, ArchiveLockedError, HeldError, PluginError, StorageError
            As for :meth:`put`.

        Examples
        --------
        ``with archive.putting() as put: statuses = [put("muon.hits", record) for record in records]``
        """
        with start_run(self.root, self.plugins, self.settings, command="put", wait=check_wait(wait)) as run:
            putting = Putting(run, publish_bytes)
            try:
                yield putting
            finally:
                putting.close()

    def ingest(
        self,
        sources: GivenSource | Iterable[GivenSource],
        *,
        plugins: Iterable[str | Path] | Mapping[str, object] | Plugins | None = None,
        wait: float = 0.0,
        **keys: str | int,
    ) -> Report:
        """Archive sources, as ``archive-run`` does; their day files are published when this returns.

        Bytes are in ``accepted/``, on disk, before anything of them is archived. Files are read in place. What cannot
        be archived is in quarantine, and in the report. Bytes that no plugin of the call recognises, while others that
        are installed may, go to ``incoming/``.

        Parameters
        ----------
        sources : str, Path, bytes or (str, bytes), or an iterable of these
            Files and directories by their paths; the content of a source, or its name and content for formats that
            recognise it by its name.
        plugins : list of str or Path, mapping of str to object, or Plugins, optional
            The plugins that decode, as for :func:`open_archive`; those of this archive if not given.
        wait : float
            As for :meth:`put`.
        **keys : str or int
            What the sources do not say themselves, such as ``station=501``: settings of the plugins, by their names,
            that hold for these sources. They are archived as parcels, which say them.

        Returns
        -------
        Report
            Numbers of sources and records, published day files, and what is in quarantine; its ``exit_code`` is 0 if
            everything was archived.

        Raises
        ------
        UsageError
            A path does not exist, or something else than paths and bytes was given, or a plugin is not installed, or
            takes no such key.
        ArchiveLockedError
            A run is working on the archive, and did not end within ``wait`` seconds.
        StorageError
            The archive could not be written. What was accepted is archived by the next ``archive-run``.

        Examples
        --------
        ``open_archive("archive").ingest(["MuonHit.be.bin", ("MuonRates.be.bin", content)]).records["muon.hits"]``
        """
        chosen = self.plugins if plugins is None else choose_plugins(plugins)
        known = keys_of(chosen.settings_models)  # the others are of plugins that are left out, and were checked before
        given = {key: each for key, each in self._given.items() if key in known}
        settings = read_settings(self.root, chosen, given)
        report = run_given(self.root, chosen, settings, list_offers(sources), keys=keys, wait=check_wait(wait))
        if report.left:
            logger.warning("%s", report.left_message)
        return report


def check_wait(wait: float) -> float:
    """Return a number of seconds to wait; UsageError if it is not one."""
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not wait >= 0:
        raise UsageError(f"wait must be a number of seconds, from 0 on, not {wait!r}")
    return float(wait)


def open_archive(
    path: str | Path,
    *,
    plugins: Iterable[str | Path] | Mapping[str, object] | Plugins | None = None,
    settings: Mapping[str, object] | None = None,
) -> Archive:
    """Open an archive.

    Parameters
    ----------
    path : str or Path
        Its directory.
    plugins : list of str or Path, mapping of str to object, or Plugins, optional
        What puts records, and recognises tables of other programs: names of installed plugins, paths of layout files
        such as ``./muon.yaml``, or plugin objects by name, as for tests and notebooks. All that are installed if not
        given; they are loaded when first needed.
    settings : mapping of str to object, optional
        Values by dotted name, such as ``{"on_conflict": "replace"}``. They go before those of the environment and of
        ``archive.yaml``, and hold for what is put by this object; nothing is written to ``archive.yaml``.

    Returns
    -------
    Archive
        To read from and to put records into.

    Raises
    ------
    UsageError
        There is no archive, or the path is a URL, or a plugin is not installed.
    SettingsError
        A setting in ``settings`` does not exist, or has an impossible value.
    StorageError
        The archive has a format that this version does not know.

    Examples
    --------
    ``open_archive("archive").read("muon.hits", "2024-05-01", "2024-05-02")``

    With one plugin only, and each source that is put kept for good:

    ``open_archive("archive", plugins=["muon"], settings={"sources.keep": "always"})``

    With an instrument that is not installed:

    ``open_archive("archive", plugins={"muon": Instrument(layout, "muon.yaml")})``
    """
    refuse_url(path)
    root = Root(Path(path))
    if problem := root.problem():
        raise UsageError(problem, where=path)
    return Archive(root, plugins=plugins, settings=settings)


def create_archive(
    path: str | Path,
    *,
    plugins: Iterable[str | Path] | Mapping[str, object] | Plugins | None = None,
    settings: Mapping[str, object] | None = None,
) -> Archive:
    """Make an archive, or what is missing of one that exists, and open it; as ``dayfile init`` does.

    Parameters
    ----------
    path : str or Path
        Its directory.
    plugins, settings
        As for :func:`open_archive`.

    Returns
    -------
    Archive
        To read from and to put records into.

    Raises
    ------
    UsageError
        The path is a file or a URL, or within another archive, or a plugin is not installed.
    SettingsError
        A setting in ``settings`` does not exist, or has an impossible value; nothing is made.
    StorageError
        It could not be made, or has a format that this version does not know.

    Examples
    --------
    ``create_archive("archive").put("muon.hits", records)``
    """
    refuse_url(path)
    root = Root(Path(path))
    archive = Archive(root, plugins=plugins, settings=settings)
    root.create()
    return archive
