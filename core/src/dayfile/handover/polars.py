"""Records as a table of polars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dayfile.handover.arrow import make_arrow_table
from dayfile.handover.columns import RecordTable, import_extra

if TYPE_CHECKING:
    import polars as pl

__all__ = ["make_polars_frame"]


def make_polars_frame(records: RecordTable, *, blobs: bool = False) -> pl.DataFrame:
    """Make a DataFrame of polars; see :meth:`dayfile.Records.to_polars`."""
    polars = import_extra("polars", "to_polars", "polars")
    frame: pl.DataFrame = polars.from_arrow(make_arrow_table(records, blobs=blobs))
    return frame
