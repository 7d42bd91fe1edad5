"""Records as a table of dask, one partition a day, which is read where it is worked on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dayfile.handover.columns import RecordTable, import_extra
from dayfile.handover.pandas import make_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["make_dask_frame"]


def make_dask_frame(read: Callable[[int], RecordTable], partitions: int, divisions: Sequence[np.datetime64]) -> Any:  # noqa: ANN401 - dask has no types
    """Make a DataFrame of dask.

    Parameters
    ----------
    read : callable
        Reads the records of a partition by its number. It is pickled where partitions are read by other processes.
    partitions : int
        How many there are, at least one.
    divisions : sequence of datetime64
        The first time of each partition, and the last of the last one.
    """
    frames = import_extra("dask.dataframe", "to_dask", "dask")
    pandas = import_extra("pandas", "to_dask", "dask")
    # The first records tell the types of the columns.
    found = next((records for records in map(read, range(partitions)) if len(records)), None)
    empty = make_frame((read(0) if found is None else found)[:0])
    return frames.from_map(
        partial(read_frame, read, empty), range(partitions), meta=empty, divisions=[*map(pandas.Timestamp, divisions)]
    )


def read_frame(read: Callable[[int], RecordTable], empty: pd.DataFrame, partition: int) -> pd.DataFrame:
    """Read a partition, with the columns of an empty one."""
    return make_frame(read(partition)).astype(empty.dtypes.to_dict())
