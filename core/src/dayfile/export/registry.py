"""The exporters of the core."""

from __future__ import annotations

from dayfile.export.base import RangeExporter
from dayfile.export.cdf import CdfExporter
from dayfile.export.netcdf import NetcdfExporter
from dayfile.export.parquet import ParquetExporter
from dayfile.export.text import CsvExporter, JsonLinesExporter

__all__ = ["CORE_EXPORTERS"]

CORE_EXPORTERS: tuple[RangeExporter, ...] = (
    CsvExporter(),
    JsonLinesExporter(),
    ParquetExporter(),
    NetcdfExporter(),
    CdfExporter(),
)
"""The exporters that ``builtin`` offers, for records of all data types."""
