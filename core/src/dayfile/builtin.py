"""The core's own answers to the hooks: the plugin ``builtin``, asked last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dayfile.hookspecs import hookimpl
from dayfile.stores.registry import CORE_STORES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dayfile.archive.workfile import WorkFile
    from dayfile.export.base import RangeExporter
    from dayfile.formats.base import Format
    from dayfile.model.batch import Batch, Blobs, Blocks, Source
    from dayfile.model.datatype import DataType
    from dayfile.plots.base import Plot
    from dayfile.stores.base import Store

__all__ = ["Builtin"]


class Builtin:
    """Hook implementations that serve every data type."""

    @hookimpl
    def classify(self, batch: Batch, data_types: Mapping[str, DataType]) -> str | None:
        """Return the data type with the batch's instrument and code."""
        for name, data_type in data_types.items():
            if (data_type.instrument, data_type.code) == (batch.instrument, batch.code):
                return name
        return None

    @hookimpl
    def formats(self) -> Iterable[Format]:
        """Return the formats of C structs: streams, files of slots, HDF4."""
        from dayfile.formats.registry import CORE_FORMATS

        return CORE_FORMATS

    @hookimpl
    def decode(self, source: Source, data_types: Mapping[str, DataType]) -> Blocks | None:
        """Decode records that a program put, of any data type."""
        from dayfile.formats.parcels import decode_parcel, is_parcel

        return decode_parcel(source, data_types) if is_parcel(source) else None

    @hookimpl
    def encode(
        self, data_type: DataType, records: npt.NDArray[Any], keys: Mapping[str, str | int], blobs: Blobs
    ) -> tuple[str, bytes]:
        """Encode records of any data type, with their keys and blobs."""
        from dayfile.formats.parcels import write_records

        return write_records(data_type, records, keys, blobs)

    @hookimpl
    def stores(self) -> Iterable[Store]:
        """Return the core's own stores."""
        return CORE_STORES

    @hookimpl
    def exporters(self) -> Iterable[RangeExporter]:
        """Return the exporters of CSV, JSON lines, Parquet, netCDF and CDF."""
        from dayfile.export.registry import CORE_EXPORTERS

        return CORE_EXPORTERS

    @hookimpl
    def plots(self) -> Iterable[Plot]:
        """Return the core's own plots."""
        from dayfile.plots.registry import CORE_PLOTS

        return CORE_PLOTS

    @hookimpl
    def locate_file(self, data_type: DataType, day: np.datetime64) -> str:
        """Fill the data type's path template with the day."""
        return data_type.fill(data_type.placement.path, day)

    @hookimpl
    def write(self, work_file: WorkFile, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Write the batch with the data type's store."""
        return work_file.write(data_type, batch)
