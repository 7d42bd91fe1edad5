"""Every hook, typed, by what it is about: data, sources, day files, web, simulation.

A plugin is a module or an object with functions of these names, marked with :data:`hookimpl`, registered under the
entry-point group ``dayfile.plugins``. A function may leave out arguments it does not need. The core's own behaviour is
a plugin too, named ``builtin``.

Who is asked: of what concerns everybody, every selected plugin, in the order of selection. Of what concerns one batch
or one data type, the plugin that it belongs to, then ``builtin``; the first answer that is not None counts. A plugin
that changes what another one does has an attribute ``extends = ["muon"]``, a list of the names of installed plugins,
and is asked before them, of their batches and data types too. Its own batches can have their data types, and their
batches can have its. A plugin that fails is blamed by its name, and nobody else is asked in its place.

The hooks have a version, :data:`HOOK_VERSION`. A plugin that was made for another one declares it in an attribute,
``hook_version = 2``, and is refused with a message that says so; without the attribute it is made for version 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pydantic import BaseModel
    from starlette.routing import BaseRoute

    from dayfile.archive.day_tables import DayTables
    from dayfile.archive.root import Root
    from dayfile.export.base import ByteOrder, Exporter
    from dayfile.formats.base import Format
    from dayfile.model.batch import Batch, Rejected, Remark, Source
    from dayfile.model.datatype import DataType
    from dayfile.stores.base import Store

PROJECT = "dayfile"
HOOK_VERSION = 1
"""Version of these hooks; higher when a hook changes so that a plugin made for the one before would not work."""
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as an implementation of the hook of its name."""

__all__ = [
    "classify",
    "data_types",
    "decode",
    "encode",
    "export",
    "export_formats",
    "exporters",
    "formats",
    "hookimpl",
    "locate_file",
    "read_config",
    "routes",
    "send",
    "settings",
    "simulate",
    "stores",
    "write",
]

HOOKS = tuple(name for name in __all__ if name != "hookimpl")


# ---- data


@hookspec
def data_types(formats: Mapping[str, Format]) -> Iterable[DataType]:  # type: ignore[empty-body]
    """Declare the data types of this instrument.

    Called once, when the plugin is loaded. Every selected plugin is asked.

    Parameters
    ----------
    formats : mapping of str to Format
        The formats that all plugins of the run offer, by name: a layout can use their words.

    Returns
    -------
    iterable of DataType
        Names must be unique over all plugins.
    """


@hookspec
def settings() -> type[BaseModel]:  # type: ignore[empty-body]
    """Declare what can be set for this plugin.

    Called once, when the plugin is loaded. Every selected plugin is asked. Optional.

    Returns
    -------
    subclass of pydantic.BaseModel
        Its fields, with types and defaults, can be set as ``<plugin>.<field>``. Every field needs a default.
    """


@hookspec
def classify(batch: Batch, data_types: Mapping[str, DataType]) -> str | None:
    """Name the data type of a batch.

    Called once for the batches of one code, dtype and keys of all sources that are taken together, which are one batch
    from here on; for each batch where a data type of that code has slots. Asked: plugins that extend the plugin that
    decoded the batch, then that plugin, then ``builtin``, which goes by instrument and code.

    Parameters
    ----------
    batch : Batch
        The batch.
    data_types : mapping of str to DataType
        Those that it can have: of the plugin that decoded it, of plugins that this one extends, and of those that
        extend this one.

    Returns
    -------
    str or None
        One of these names. None leaves it to the next.
    """


# ---- sources


@hookspec
def formats() -> Iterable[Format]:  # type: ignore[empty-body]
    """Offer formats of sources, which layouts name under ``sources``, and whose words they can use.

    Called once, when the plugin is loaded, before any plugin declares its data types. Every selected plugin is asked,
    and ``builtin``, which offers ``struct_streams``, ``hdf4`` and ``flat_files``. Optional.

    Returns
    -------
    iterable of Format
        See :class:`dayfile.formats.base.Format`. Names, and names of sections, must be unique over all plugins.
    """


@hookspec
def decode(source: Source, settings: BaseModel) -> Iterable[Batch | Rejected | Remark] | None:
    """Turn a source into batches of records.

    Called once for each source. Every selected plugin is asked, in the order of selection, as one source can hold
    records of several instruments; one that fails keeps the source from being released, and the records of the others
    are archived.

    Parameters
    ----------
    source : Source
        The file as received.
    settings : BaseModel
        This plugin's own settings: an instance of what its ``settings`` hook declared.

    Returns
    -------
    iterable of Batch, Rejected and Remark, or None
        None if the source is not of this instrument. Records of a batch have the dtype of their data type and a
        defined time; what cannot be archived is a Rejected; what is archived and worth a word, a Remark. A
        batch has exactly the keys of its type's node. Whatever else would be lost (a mask, blobs of a type without
        blob fields, ``gave_way`` without slots, a Rejected without content) is an error of the plugin.

        A function with ``yield`` cannot answer None: it always answers an iterable, which takes the source for its
        own. Return None for a source of others, and a list, or what another function yields, for one of its own. Return
        :class:`dayfile.Blocks` for one that may be large: only so it is never in memory as a whole.

    Raises
    ------
    SourceError
        The source is of this instrument but cannot be read. It goes to quarantine whole.
    """


@hookspec
def encode(data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes] | None:
    """Turn records into a source that ``decode`` turns back into them.

    Called when records are put by a program, so that the ledger can list them, and they can be kept or quarantined, as
    any source. Asked: plugins that extend the plugin of the data type, then that plugin. Optional: without it, records
    of a type can only come from sources.

    Parameters
    ----------
    data_type : DataType
        What the records are, as the version had it that they are of.
    records : structured array, shape (n,)
        In its dtype.

    Returns
    -------
    (str, bytes), or None
        Name and content of the source; None if records of the type cannot be put.
    """


@hookspec
def read_config(path: Path) -> dict[str, object] | None:
    """Read a settings file of another program that this plugin can stand in for.

    Called with the file of ``--config`` before it is read as YAML. Every selected plugin is asked; it is an error if
    two of them know the file. A plugin that fails is reported at the end, and the file is read as if it did not exist.
    Optional.

    Returns
    -------
    dict of str to object, or None
        Settings of the core and of this plugin by dotted name, and ``archive``, the archive's directory, if the file
        has it. None if the file is not of that program.

    Raises
    ------
    SettingsError
        The file is of that program, but cannot be used.
    """


# ---- day files


@hookspec
def locate_file(data_type: DataType, day: np.datetime64) -> str | None:
    """Say which day file holds a day of a data type.

    Called once for each data type and day of a run. Asked: plugins that extend the plugin of the data type, then that
    plugin, then ``builtin``, which fills the data type's path template.

    Returns
    -------
    str or None
        Path below the archive root, with ``/`` between its parts. None leaves it to the next.
    """


@hookspec
def write(work_file: object, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8] | None:
    """Put the records of one day into its work file.

    Called once for each batch and day. Asked: plugins that extend the plugin of the data type, then that plugin, then
    ``builtin``, which goes by the data type's store. When it fails for a batch with records of several sources, it is
    called again for those of each by themselves, and may then meet records that it has written already.

    Parameters
    ----------
    work_file : WorkFile
        The file being written; see :class:`dayfile.archive.workfile.WorkFile`.

    Returns
    -------
    array of uint8, shape (len(batch),), or None
        A status per record: 0 written, 1 slot taken by another record, 2 slot already in conflict, 3 identical to what
        is there. They must be those that ``work_file.write`` returned: an answer that counts records which the work
        file was not given is an error of the plugin, and their source is not released. None, without having written
        anything, leaves it to the next.
    """


@hookspec
def stores() -> Iterable[Store]:  # type: ignore[empty-body]
    """Bring stores: ways in which a day file holds records, which layouts name by ``store:``.

    Called once, when the plugin is loaded, before ``data_types``. Every selected plugin is asked; ``builtin`` too, with
    ``append``, ``slots`` and ``intervals``. Optional.

    Returns
    -------
    iterable of Store
        Objects of classes that inherit from :class:`dayfile.stores.base.Store`. A plugin cannot replace the store of
        another.
    """


@hookspec
def exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """Offer formats in which a day of a data type can be written for other programs.

    Called by ``dayfile export``. Every selected plugin is asked: an exporter may serve data types of other plugins. Of
    two with one name, that of the plugin of the data type counts, or of one that extends it, else the first. Optional.

    Returns
    -------
    iterable of Exporter
        See :class:`dayfile.export.base.Exporter`.
    """


@hookspec
def export_formats(data_type: DataType) -> Iterable[str] | None:
    """Name the formats in which a day of a data type can be written for other programs.

    The older way, with ``export``: ``exporters`` does both. Called by ``dayfile export``. Asked: plugins that extend
    the plugin of the data type, and that plugin; all answers count. Optional.

    Returns
    -------
    iterable of str, or None
        Names as the user gives them with ``--format``.
    """


@hookspec
def export(
    data_type: DataType,
    day: np.datetime64,
    tables: DayTables,
    form: str,
    byte_order: ByteOrder,
    directory: Path,
) -> Iterable[Path] | None:
    """Write a day of a data type for other programs: the older way, with ``export_formats``.

    Asked: the first plugin that named the format ``form``. What it is given, returns and raises is described in
    :class:`dayfile.export.base.Exporter`. Optional.
    """


# ---- web


@hookspec
def routes(root: Root, settings: BaseModel) -> Iterable[BaseRoute] | None:
    """Give HTTP routes, to receive input or to give answers.

    Called once, when ``dayfile serve`` starts, before its workers are forked: threads, loops and open files are not for
    here. Requests of one client may come to different workers. Every selected plugin is asked; the routes of one that
    fails are not served, those of the others are. Optional.

    Parameters
    ----------
    root : Root
        The archive; what is received goes to ``incoming/``, by rename.
    settings : BaseModel
        This plugin's own settings.

    Returns
    -------
    iterable of starlette.routing.BaseRoute
        See :mod:`dayfile.serving.bounds` for reading bodies within bounds.

    Raises
    ------
    SettingsError
        Something must be set before it can receive.
    """


# ---- simulation


@hookspec
def simulate(day: np.datetime64, seed: int, directory: Path) -> Iterable[Path] | None:
    """Write sample sources of one day into a directory.

    Called by ``dayfile simulate``. Only the plugin that the user names is asked. The same day and seed give the same
    bytes. Optional.

    Returns
    -------
    iterable of Path
        The files written, at least one, below the directory.

    Raises
    ------
    UsageError
        There cannot be sources of this day.
    StorageError
        A file could not be written.
    """


@hookspec
def send(url: str, day: np.datetime64, seed: int, clients: int, seconds: float) -> Iterable[str] | None:
    """Behave like clients of the instrument that send to a server: the sample sources of ``simulate``, by network.

    Called by ``dayfile simulate --upload``. Only the plugin that the user names is asked. Ends by itself. Optional.

    Parameters
    ----------
    url : str
        Where to send to.
    day, seed
        As for ``simulate``.
    clients : int
        How many at once.
    seconds : float
        After which no new upload begins.

    Returns
    -------
    iterable of str
        Lines that say what was sent and answered.

    Raises
    ------
    StorageError
        Something was sent, and nothing of it was stored.
    """
