"""Records as a table of astropy, with units and exact times."""

from __future__ import annotations

from typing import Any

import numpy as np

from dayfile.handover.columns import FieldColumn, RecordTable, find_time_name, import_extra, iterate_columns
from dayfile.model.leap_seconds import NANOSECONDS_A_DAY

__all__ = ["make_astropy_table"]

MJD_OF_1970 = 40587
"""Modified Julian date of 1970-01-01."""


def make_astropy_table(records: RecordTable, *, blobs: bool = False) -> Any:  # noqa: ANN401 - of astropy, which has no types
    """Make a table of astropy; see :meth:`dayfile.Records.to_astropy`."""
    tables = import_extra("astropy.table", "to_astropy", "astropy")
    units = import_extra("astropy.units", "to_astropy", "astropy")
    table = tables.Table(meta={"data_type": records.data_type.name, "title": records.data_type.title})
    table[find_time_name(records)] = make_times(records)
    for column in iterate_columns(records, blobs=blobs):
        table[column.name] = make_astropy_column(tables, units, column)
    return table


def make_astropy_column(tables: Any, units: Any, column: FieldColumn) -> Any:  # noqa: ANN401 - of astropy, which has no types
    """Make a column; missing values are masked, and a unit that astropy does not know is kept as its text."""
    words = {"name": column.name, "description": column.doc or None}
    words["unit"] = units.Unit(column.unit, parse_strict="silent") if column.unit else None
    if column.missing is None:
        return tables.Column(np.ascontiguousarray(column.values), **words)
    return tables.MaskedColumn(np.ascontiguousarray(column.values), mask=column.missing, **words)


def make_times(records: RecordTable) -> Any:  # noqa: ANN401 - of astropy, which has no types
    """Make times in UTC, exact to the nanosecond, also in leap seconds."""
    time = import_extra("astropy.time", "to_astropy", "astropy")
    days, rest = np.divmod(records.nanoseconds, NANOSECONDS_A_DAY)
    if records.data_type.clock.runs_on:
        times = time.Time(MJD_OF_1970 + days, rest / NANOSECONDS_A_DAY, format="mjd", scale="tai", precision=9).utc
    else:
        times = time.Time(records.times, format="datetime64", scale="utc", precision=9)
    times.format = "isot"
    return times
