"""DuckDB and polars at work on Parquet files, one a day: a script for an environment that has them.

``python parquet.py write DIRECTORY`` writes a Parquet file, compressed by zstd, beside each ``.npy`` file of records.
``python parquet.py NAME PATTERN [WORDS]`` does what :data:`QUESTIONS` says, twice, and writes as JSON the seconds of
the second time, and a number that shows that it read all of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = 2


def write(directory: str) -> None:
    """Write Parquet files; fields with a shape become columns of arrays."""
    import numpy as np
    import polars as pl

    for path in Path(directory).rglob("*.npy"):
        records = np.load(path)
        columns = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names}
        texts = {name: values.astype(str).tolist() for name, values in columns.items() if values.dtype.kind == "S"}
        pl.DataFrame({**columns, **texts}).write_parquet(path.with_suffix(".parquet"), compression="zstd")


def mean(pattern: str, column: str) -> float:
    """Compute the mean of a column with DuckDB."""
    return ask_duckdb(f"select avg({column}) from '{pattern}'")  # noqa: S608 - our own words


def everything(pattern: str) -> int:
    """Read all columns with polars."""
    import polars as pl

    return pl.read_parquet(pattern).height


def hour(pattern: str, column: str, first: str, last: str) -> float:
    """Read all columns of the rows between two values of a column with DuckDB."""
    chosen = f"select * from '{pattern}' where {column} >= {first} and {column} < {last}"  # noqa: S608
    return ask_duckdb(f"create temp table found as {chosen}", "select count(*) from found")


def ask_duckdb(*questions: str) -> float:
    """Ask DuckDB several questions, one after the other, on a connection of their own."""
    import duckdb

    with duckdb.connect(config={"threads": THREADS}) as connection:
        for question in questions:
            found = connection.execute(question).fetchone()
    return float(found[0])


QUESTIONS: dict[str, Callable[..., float]] = {"mean": mean, "everything": everything, "hour": hour}


def main(name: str, *words: str) -> None:
    """Do what the command line says."""
    if name == "write":
        write(*words)
        return
    QUESTIONS[name](*words)
    start = time.perf_counter()
    found = QUESTIONS[name](*words)
    print(json.dumps({"seconds": time.perf_counter() - start, "found": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
