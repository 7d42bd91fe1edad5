"""How records are handed on to other libraries: the methods of Records for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import xarray as xr

    from dayfile.handover.columns import RecordTable

__all__ = ["HandedOn"]


class HandedOn:
    """Conversions of records to the tables of other libraries.

    Values that mean "not measured", as the layout declares them, become null, NaN or masked. Texts become strings. A
    field of blobs has their indexes in the day file, or with ``blobs=True`` the blobs themselves, which are read then.
    """

    def to_pandas(self: RecordTable, *, blobs: bool = False) -> pd.DataFrame:
        """Make a DataFrame indexed by UTC time; each element of an array field becomes a column, ``hp[0]``.

        ``attrs`` of it has the ``units`` and ``titles`` of the columns. Fields with missing values become floats.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        from dayfile.handover.pandas import make_frame

        return make_frame(self, blobs=blobs)

    def to_polars(self: RecordTable, *, blobs: bool = False) -> pl.DataFrame:
        """Make a DataFrame of polars, with a column ``time``; array fields become columns of arrays.

        Raises
        ------
        MissingExtraError
            polars or pyarrow is not installed.
        """
        from dayfile.handover.polars import make_polars_frame

        return make_polars_frame(self, blobs=blobs)

    def to_arrow(self: RecordTable, *, blobs: bool = False) -> pa.Table:
        """Make a table of Arrow, with a column ``time``; array fields become lists of fixed size.

        The metadata of its fields has ``unit`` and ``title``.

        Raises
        ------
        MissingExtraError
            pyarrow is not installed.
        """
        from dayfile.handover.arrow import make_arrow_table

        return make_arrow_table(self, blobs=blobs)

    def __arrow_c_stream__(self: RecordTable, requested_schema: object | None = None) -> object:
        """Return the records as an Arrow stream, which polars, DuckDB, pandas and pyarrow read without conversion."""
        from dayfile.handover.arrow import make_arrow_table

        return make_arrow_table(self).__arrow_c_stream__(requested_schema)

    def to_xarray(self: RecordTable, *, blobs: bool = False) -> xr.Dataset:
        """Make a Dataset along ``time``, with keys as coordinates, and units and flags as attributes of CF.

        Raises
        ------
        MissingExtraError
            xarray is not installed.
        """
        from dayfile.handover.xarray import make_dataset

        return make_dataset(self, blobs=blobs)

    def to_astropy(self: RecordTable, *, blobs: bool = False) -> Any:  # noqa: ANN401 - astropy has no types
        """Make an :class:`astropy.table.Table` with units, masked values and a column ``time`` of exact UTC times.

        Raises
        ------
        MissingExtraError
            astropy is not installed.
        """
        from dayfile.handover.astropy import make_astropy_table

        return make_astropy_table(self, blobs=blobs)

    def _repr_html_(self: RecordTable) -> str:
        """Show the first and last records as a table, with titles and units, as notebooks do."""
        from dayfile.handover.markup import show_records

        return show_records(self)
