"""Every hook, typed, in the order in which a run calls them.

A plugin is a module or an object with functions of these names, marked with :data:`hookimpl`, registered under the
entry-point group ``dayfile.plugins``. A function may leave out arguments it does not need. The core's own behaviour is
a plugin too, named ``builtin``, and answers last.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    from dayfile.layouts.flat_files import ByteOrder
    from dayfile.model.batch import Batch, Rejected, Remark, Source
    from dayfile.model.datatype import DataType

PROJECT = "dayfile"
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
    "hookimpl",
    "locate_file",
    "read_config",
    "routes",
    "send",
    "settings",
    "simulate",
    "write",
]


@hookspec
def data_types() -> Iterable[DataType]:  # type: ignore[empty-body]
    """Tell the data types of this instrument.

    Called once, when the plugin is loaded. Every selected plugin is asked.

    Returns
    -------
    iterable of DataType
        Names must be unique over all plugins.
    """


@hookspec
def settings() -> type[BaseModel]:  # type: ignore[empty-body]
    """Tell what can be set for this plugin.

    Called once, when the plugin is loaded. Optional.

    Returns
    -------
    subclass of pydantic.BaseModel
        Its fields, with types and defaults, can be set as ``<plugin>.<field>``.
    """


@hookspec
def decode(source: Source, settings: BaseModel) -> Iterable[Batch | Rejected | Remark] | None:
    """Turn a source into batches of records.

    Called once for each source. Every selected plugin is asked, as one source can hold records of several instruments.

    Parameters
    ----------
    source : Source
        The file as received.
    settings : BaseModel
        This plugin's own settings: an instance of what its ``settings`` hook told.

    Returns
    -------
    iterable of Batch, Rejected and Remark, or None
        None if the source is not of this instrument. Records of a batch have the dtype of their data type and a
        defined time; what cannot be archived is told as Rejected; what is archived and worth a word, as Remark. A
        batch has exactly the keys of its type's node. Whatever else would be lost (a mask, blobs of a type without
        blob fields, ``gave_way`` without slots, a Rejected without content) is an error of the plugin.

        A function with ``yield`` cannot answer None: it always answers an iterable, which takes the source for its
        own. Return None for a source of others, and a list, or what another function yields, for one of its own.

    Raises
    ------
    SourceError
        The source is of this instrument but cannot be read. It goes to quarantine whole.
    """


@hookspec(firstresult=True)
def encode(data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes] | None:
    """Turn records into a source that ``decode`` turns back into them.

    Called when records are put by a program, so that the ledger can tell them, and they can be kept or set aside, as
    any source. The first answer that is not None counts. Optional: without it, records of a type can only come from
    sources.

    Parameters
    ----------
    data_type : DataType
        What the records are, as the version had it that they are of.
    records : structured array, shape (n,)
        In its dtype.

    Returns
    -------
    (str, bytes), or None
        Name and content of the source. None for data types of others.
    """


@hookspec(firstresult=True)
def classify(batch: Batch) -> str | None:
    """Name the data type of a batch.

    Called once for the batches of one code, dtype and keys of all sources that are taken together, which are one batch
    from here on; for each batch where a data type of that code has slots. The first answer that is not None counts;
    ``builtin`` looks up instrument and code.
    """


@hookspec(firstresult=True)
def locate_file(data_type: DataType, day: np.datetime64) -> str | None:
    """Say which day file holds a day of a data type.

    Called once for each data type and day of a run. The first answer that is not None counts; ``builtin`` fills the
    data type's path template.

    Returns
    -------
    str
        Path below the archive root, with ``/`` between its parts.
    """


@hookspec(firstresult=True)
def write(work_file: object, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8] | None:
    """Put the records of one day into its work file.

    Called once for each batch and day. The first answer that is not None counts; ``builtin`` dispatches on the data
    type's store. When it fails for a batch with records of several sources, it is called again for those of each by
    themselves, and may then meet records that it has written already.

    Parameters
    ----------
    work_file : WorkFile
        The file being written; see :class:`dayfile.archive.workfile.WorkFile`.

    Returns
    -------
    array of uint8, shape (len(batch),)
        A status per record: 0 written, 1 slot taken by another record, 2 slot already in conflict, 3 identical to
        what is there. They must be those that ``work_file.write`` returned: an answer that counts records which the
        work file was not given is an error of the plugin, and their source is not released.
    """


@hookspec
def read_config(path: Path) -> dict[str, object] | None:
    """Read a settings file of another program that this plugin can stand in for.

    Called with the file of ``--config`` before it is read as YAML. Optional.

    Returns
    -------
    dict of str to object, or None
        Settings by dotted name, and ``archive``, the archive's directory, if the file tells it. None if the file is
        not of that program.
    """


@hookspec
def routes(root: Root, settings: BaseModel) -> Iterable[BaseRoute] | None:
    """Tell HTTP routes, to receive input or to give answers.

    Called once, when ``dayfile serve`` starts, before its workers are forked: threads, loops and open files are not
    for here. Requests of one client may come to different workers. Optional.

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
    """


@hookspec
def send(url: str, day: np.datetime64, seed: int, clients: int, seconds: float) -> Iterable[str] | None:
    """Behave like clients of the instrument that send to a server: the sample sources of ``simulate``, by network.

    Called by ``dayfile simulate --upload``, for one plugin. Ends by itself. Optional.

    Parameters
    ----------
    url : str
        Where to send to.
    day, seed
        As for ``simulate``.
    clients : int
        How many at once.
    seconds : float
        After which no new upload is begun.

    Returns
    -------
    iterable of str
        Lines that tell what was sent and answered.

    Raises
    ------
    StorageError
        Something was sent, and nothing of it was stored.
    """


@hookspec
def export_formats(data_type: DataType) -> Iterable[str] | None:
    """Name the formats in which a day of a data type can be written for other programs.

    Called by ``dayfile export``. Optional.

    Returns
    -------
    iterable of str, or None
        Names as they stand behind ``--format``. None for data types of others.
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
    """Write a day of a data type for other programs.

    Called by ``dayfile export``. Every plugin is asked. Files appear whole: written under a hidden name, then renamed.
    Optional.

    Parameters
    ----------
    data_type : DataType
        What was asked for.
    day : numpy.datetime64
        The day.
    tables : DayTables
        What the day file has of it; see :class:`dayfile.archive.day_tables.DayTables`. Its data type is that of the
        layout it was written with.
    form : str
        Name of the format.
    byte_order : {'big', 'little'}
        Of formats that have a choice.
    directory : Path
        Where to write; it is there.

    Returns
    -------
    iterable of Path, or None
        The files written. None if data type or format is not of this plugin.
    """


@hookspec
def simulate(day: np.datetime64, seed: int, directory: Path) -> Iterable[Path] | None:
    """Write sample sources of one day into a directory.

    Called by ``dayfile simulate``, for one plugin. The same day and seed give the same bytes. Optional.

    Returns
    -------
    iterable of Path
        The files written.
    """
