"""Records as a table of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dayfile.handover.columns import RecordTable, import_extra, iterate_columns, label_elements

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["make_frame"]


def make_frame(records: RecordTable, *, blobs: bool = False) -> pd.DataFrame:
    """Make a DataFrame; see :meth:`dayfile.Records.to_pandas`."""
    pandas = import_extra("pandas", "to_pandas", "export")
    columns: dict[str, Any] = {}
    units, titles = {}, {}
    for column in iterate_columns(records, blobs=blobs):
        for label, values in label_elements(column):
            columns[label] = values
            if column.unit:
                units[label] = column.unit
            if column.doc:
                titles[label] = column.doc
    frame: pd.DataFrame = pandas.DataFrame(columns, index=pandas.DatetimeIndex(records.times, name="time"))
    data_type = records.data_type
    frame.attrs = {"data_type": data_type.name, "title": data_type.title, "units": units, "titles": titles}
    return frame
