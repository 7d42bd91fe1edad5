"""dayfile: archives what scientific instruments send into day files.

HDF5, one file per day, found by date. The public names are in ``__all__``; each is imported
when it is first used, so that ``import dayfile`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dayfile.api import Archive, create_archive, open_archive
    from dayfile.archive.record import Record
    from dayfile.archive.records import Records
    from dayfile.errors import DayfileError, LayoutError, RecordError, SourceError
    from dayfile.hookspecs import hookimpl
    from dayfile.instrument import Instrument
    from dayfile.model.batch import Batch, Blobs, Blocks, Rejected, Remark, Source
    from dayfile.model.clock import Clock
    from dayfile.model.datatype import DataType
    from dayfile.model.field import Field
    from dayfile.model.physical import Physical
    from dayfile.model.placement import Node, Placement
    from dayfile.model.plausible import Plausible
    from dayfile.model.status import Status

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "Batch",
    "Blobs",
    "Blocks",
    "Clock",
    "DataType",
    "DayfileError",
    "Field",
    "Instrument",
    "LayoutError",
    "Node",
    "Physical",
    "Placement",
    "Plausible",
    "Record",
    "RecordError",
    "Records",
    "Rejected",
    "Remark",
    "Source",
    "SourceError",
    "Status",
    "__version__",
    "create_archive",
    "hookimpl",
    "open_archive",
]

HOMES = {
    "Archive": "api",
    "Batch": "model.batch",
    "Blobs": "model.batch",
    "Blocks": "model.batch",
    "Clock": "model.clock",
    "DataType": "model.datatype",
    "DayfileError": "errors",
    "Field": "model.field",
    "Instrument": "instrument",
    "LayoutError": "errors",
    "Node": "model.placement",
    "Physical": "model.physical",
    "Placement": "model.placement",
    "Plausible": "model.plausible",
    "Record": "archive.record",
    "RecordError": "errors",
    "Records": "archive.records",
    "Rejected": "model.batch",
    "Remark": "model.batch",
    "Source": "model.batch",
    "SourceError": "errors",
    "Status": "model.status",
    "create_archive": "api",
    "hookimpl": "hookspecs",
    "open_archive": "api",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
