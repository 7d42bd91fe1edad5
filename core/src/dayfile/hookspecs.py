"""Every hook, typed, by what it is about: data, sources, day files, web, simulation.

A plugin is a module or an object with functions of these names, marked with :data:`hookimpl`, registered under the
entry-point group ``dayfile.plugins``. A function may leave out arguments it does not need. The core's is ``builtin``.

Who is asked: a hook about one batch or one data type asks the plugin that it belongs to, then ``builtin``, and the
first answer that is not None counts. Any other hook asks every selected plugin, in the order of selection. A plugin
that changes what another one does has an attribute ``extends = ["muon"]``, a list of the names of installed plugins. It
is asked before these plugins, also about their batches and data types. Its own batches can have their data types, and
their batches can have its data types. If a plugin fails, its name is reported, and no other plugin is asked instead.

The hooks have a version, :data:`HOOK_VERSION`. A plugin that was made for another version declares it in an attribute,
``hook_version = 2``, and is refused with a message that says so. Without the attribute, the version is 1.
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

    from dayfile.api import Archive
    from dayfile.archive.day_tables import DayTables
    from dayfile.archive.root import Root
    from dayfile.archive.workfile import WorkFile
    from dayfile.export.base import BlobReader, ByteOrder, Exporter, RangeExporter
    from dayfile.formats.base import Format
    from dayfile.model.batch import Batch, Blobs, Rejected, Remark, Source
    from dayfile.model.datatype import DataType
    from dayfile.plots.base import Plot
    from dayfile.state.receiver import UploadRecorder
    from dayfile.stores.base import Store

PROJECT = "dayfile"
HOOK_VERSION = 1
"""Version of these hooks, raised when a hook changes so that plugins for the version before would not work."""
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as an implementation of the hook of its name."""

__all__ = [
    "classify", "complete_keys", "data_types", "decode", "encode", "export", "export_formats", "exporters", "formats",
    "hookimpl", "locate_file", "pages", "plots", "read_config", "routes", "send", "settings", "simulate", "stores",
    "write",
]  # fmt: skip

HOOKS = tuple(name for name in __all__ if name != "hookimpl")


# ---- data


@hookspec
def data_types(formats: Mapping[str, Format]) -> Iterable[DataType]:  # type: ignore[empty-body]
    """Declare the data types of this instrument.

    Called once, when the plugin is loaded, on every selected plugin.

    Parameters
    ----------
    formats : mapping of str to Format
        The formats that all plugins of the run offer, by name. A layout can use their words.

    Returns
    -------
    iterable of DataType, with names that are unique over all plugins
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

    Called once for all batches of one code, dtype and keys from the sources that are taken together, merged into one;
    if a data type of that code has slots, batches are not merged, and it is called for each. Asked: plugins that extend
    the plugin that decoded the batch, then that plugin, then ``builtin``, which compares instrument and code.

    Parameters
    ----------
    data_types : mapping of str to DataType
        The types that the batch can have: those of the plugin that decoded it, of the plugins that this plugin extends,
        and of the plugins that extend it.

    Returns
    -------
    str or None
        One of these names. None leaves it to the next plugin.
    """


@hookspec
def complete_keys(data_type: DataType, keys: Mapping[str, str | int]) -> Mapping[str, str | int] | None:
    """Complete the keys that a program gives with records, as ``decode`` would for a source.

    Called when a program puts records. Asked: plugins that extend the plugin of the data type, then that plugin.
    Optional: without it, a program has to give all keys of the node as they are stored.

    Parameters
    ----------
    keys : mapping of str to str or int
        What the program gave; some may be missing, or unknown.

    Returns
    -------
    mapping of str to str or int, or None
        Keys as of a batch. None leaves them as they are. A UsageError refuses a key, such as a text for a number.
    """


# ---- sources


@hookspec
def formats() -> Iterable[Format]:  # type: ignore[empty-body]
    """Offer formats of sources. Layouts name them under ``sources``, and can use their words.

    Called once, when the plugin is loaded, before any plugin declares its data types. Every selected plugin is asked,
    and ``builtin``, which offers ``struct_streams``, ``hdf4`` and ``flat_files``. Optional.

    Returns
    -------
    iterable of Format
        See :class:`dayfile.formats.base.Format`. Names, and names of sections, must be unique over all plugins.
    """


@hookspec
def decode(
    source: Source, settings: BaseModel, data_types: Mapping[str, DataType]
) -> Iterable[Batch | Rejected | Remark] | None:
    """Turn a source into batches of records.

    Called once for each source, in the order of selection, on every selected plugin, as it can hold records of several
    instruments. If one fails, the source is not released, and the records from the others are archived. About parcels,
    the core's own format, only ``builtin`` is asked.

    Parameters
    ----------
    source : Source
        The file as received; of a gzip file, its content, under its name without ``.gz``.
    settings : BaseModel
        This plugin's own settings: an instance of the model that its ``settings`` hook returned. Keys that a program
        gave with the source (:meth:`dayfile.api.Archive.ingest`) are in place of settings of the same names.
    data_types : mapping of str to DataType
        The data types of all plugins of the run, by name.

    Returns
    -------
    iterable of Batch, Rejected and Remark, or None
        None if the source is not of this instrument. Records of a batch have the dtype of their data type and a
        defined time. What cannot be archived is a Rejected. A Remark says something about records that are archived.
        A batch has exactly the keys of its type's node. Whatever would be lost otherwise (a mask, blobs of a type
        without blob fields, ``gave_way`` without slots, a Rejected without content) is an error of the plugin.

        A function with ``yield`` cannot return None: it always returns an iterable, which claims the source. So return
        None for a source of another instrument, and a list, or the generator of another function, for your own. Return
        :class:`dayfile.Blocks` for a source that can be large, so that it is never in memory as a whole.

    Raises
    ------
    SourceError
        The source is of this instrument but cannot be read. It goes to quarantine whole.
    """


@hookspec
def encode(
    data_type: DataType, records: npt.NDArray[Any], keys: Mapping[str, str | int], blobs: Blobs
) -> tuple[str, bytes] | None:
    """Turn records into a source that ``decode`` turns back into them.

    Called when a program puts records. The ledger then lists them, and they can be kept or quarantined like any source.
    Asked: plugins that extend the plugin of the data type, then that plugin, then ``builtin``, which makes a parcel of
    any records. For types with keys or blobs, only ``builtin`` is asked. Optional.

    Parameters
    ----------
    data_type : DataType
        The data type, in the version of the records.
    records, keys, blobs
        The records, in the dtype of the data type, with their keys and blobs as of a batch.

    Returns
    -------
    (str, bytes), or None
        Name and content; None leaves it to the next plugin.
    """


@hookspec
def read_config(path: Path) -> dict[str, object] | None:
    """Read a settings file of another program that this plugin can stand in for.

    Called with the file of ``--config`` before it is read as YAML. Every selected plugin is asked; two that recognise
    the file are an error. A plugin that fails is reported, and the file is read as if it did not exist. Optional.

    Returns
    -------
    dict of str to object, or None
        Settings of the core and of this plugin by dotted name, and ``archive``, the archive's directory, if the file
        has it. None if the file is not of that program; a SettingsError if it is, but cannot be used.
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
        Path below the archive root, with ``/`` between its parts. None leaves it to the next plugin.
    """


@hookspec
def write(work_file: WorkFile, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8] | None:
    """Put the records of one day into its work file.

    Called once for each batch and day. Asked: plugins that extend the plugin of the data type, then that plugin, then
    ``builtin``, which calls the data type's store. If it fails for a batch with records of several sources, it is
    called again with the records of one source at a time, some of which may have been written already.

    Parameters
    ----------
    work_file : WorkFile
        The file being written.

    Returns
    -------
    array of uint8, shape (len(batch),), or None
        A status per record: 0 written, 1 slot taken by another record, 2 slot already in conflict, 3 identical to what
        is there. They must be those that ``work_file.write`` returned: any other answer is an error of the plugin, and
        the source is not released. None, if nothing was written, leaves it to the next plugin.
    """


@hookspec
def stores() -> Iterable[Store]:  # type: ignore[empty-body]
    """Offer stores: ways in which a day file holds records. Layouts name them in ``store:``.

    Called once, when the plugin is loaded, before ``data_types``. Every selected plugin is asked; ``builtin`` too, with
    ``append``, ``slots`` and ``intervals``. Optional.

    Returns
    -------
    iterable of Store
        Objects of classes that inherit from :class:`dayfile.stores.base.Store`. A plugin cannot replace the store of
        another.
    """


@hookspec
def exporters() -> Iterable[Exporter | RangeExporter | BlobReader]:  # type: ignore[empty-body]
    """Offer formats in which records can be written for other programs, and what reads blobs as samples.

    Called by ``dayfile export``. Every selected plugin is asked about any data type. Of two with one name,
    that of the data type's plugin, or of one that extends it, is used, else the first. Optional.

    Returns
    -------
    iterable of Exporter, RangeExporter or BlobReader
        See :mod:`dayfile.export.base`.
    """


@hookspec
def plots() -> Iterable[Plot]:  # type: ignore[empty-body]
    """Offer kinds of plot, which draw records of a data type: see :class:`dayfile.plots.base.Plot`.

    Called by ``dayfile plot`` and :meth:`dayfile.Records.plot`. Every plugin is asked about any data type,
    then ``builtin``, which offers ``series``, ``rates``, ``histogram`` and ``traces``. Of two with one name, that of
    the data type's plugin, or of one that extends it, is used, else the first. Optional.
    """


@hookspec
def export_formats(data_type: DataType) -> Iterable[str] | None:
    """Name the formats in which a day of a data type can be written for other programs.

    The older way, with ``export``: ``exporters`` does both. Asked: plugins that extend the plugin of the data type, and
    that plugin; all answers, names as for ``--format``, count. Optional.
    """


@hookspec
def export(
    data_type: DataType, day: np.datetime64, tables: DayTables, form: str, byte_order: ByteOrder, directory: Path
) -> Iterable[Path] | None:
    """Write a day of a data type for other programs: the older way, with ``export_formats``.

    Asked: the first plugin that named the format ``form``. :class:`dayfile.export.base.Exporter` describes arguments,
    result and errors. Optional.
    """


# ---- web


@hookspec
def routes(root: Root, settings: BaseModel, uploads: UploadRecorder) -> Iterable[BaseRoute] | None:
    """Return HTTP routes, to receive input or to answer requests.

    Called once, when ``dayfile serve`` starts, before its workers are forked: do not start threads or loops or open
    files here. Requests of one client may reach different workers. Every selected plugin is asked; if one fails, the
    others are served. Optional.

    Parameters
    ----------
    root : Root
        The archive. Write received files to another name, then rename them into ``incoming/``.
    settings : BaseModel
        This plugin's own settings.
    uploads : UploadRecorder
        Note each upload in it, for ``dayfile status`` and the log.

    Returns
    -------
    iterable of starlette.routing.BaseRoute
        See :mod:`dayfile.serving.bounds` for reading bodies within bounds. A SettingsError says which setting is
        missing.
    """


@hookspec
def pages(archive: Archive, settings: BaseModel) -> Iterable[BaseRoute] | None:
    """Return HTTP routes by which others read, beside those of ``dayfile web``.

    Called once, when ``dayfile web`` starts, on every selected plugin. The routes of ``routes`` do not answer there, as
    they may write. For the newest day files, open the archive again: ``open_archive(archive.root.path)``. Optional.
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
        The files written, at least one, below the directory. A UsageError if there cannot be sources of this day.
    """


@hookspec
def send(url: str, day: np.datetime64, seed: int, clients: int, seconds: float) -> Iterable[str] | None:
    """Send the sample sources of ``simulate`` to a server, as clients of the instrument do.

    Called by ``dayfile simulate --upload``. Only the plugin that the user names is asked. It ends by itself. Optional.

    Parameters
    ----------
    url : str
        The address of the server.
    day, seed
        As for ``simulate``.
    clients, seconds : int, float
        How many clients send at once, and after how many seconds no new upload begins.

    Returns
    -------
    iterable of str
        Lines that say what was sent and answered. A StorageError if something was sent and nothing of it stored.
    """
