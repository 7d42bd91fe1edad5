"""Rows of the table: each a piece of work, ours and another's, in turn, several times."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Row", "machine", "measured"]


@dataclass
class Row:
    """One line of the table.

    Parameters
    ----------
    work : str
        What was done.
    against : str
        What was measured beside it.
    amount : float
        How much work, in ``unit``.
    unit : str
        What is counted.
    target : str
        What was aimed at.
    """

    work: str
    against: str
    amount: float
    unit: str
    target: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times quicker ours is: the median of the ratios of neighbouring runs."""
        return statistics.median(b / a for a, b in zip(self.ours, self.theirs, strict=True))

    def line(self) -> str:
        """The row as text."""
        ours, theirs = (self.amount / statistics.median(times) for times in (self.ours, self.theirs))
        return (
            f"{self.work:<44} {self.against:<34} {ours:>12,.0f} {theirs:>12,.0f} {self.unit:<10}"
            f" {self.ratio:>6.2f}  {self.target}"
        )

    def as_json(self) -> dict[str, object]:
        """The row as plain data, times in seconds."""
        return {**vars(self), "ratio": self.ratio}


def measured(row: Row, ours: Callable[[], object], theirs: Callable[[], object], runs: int) -> Row:
    """Time both, one after the other, ``runs`` times after a warm-up."""
    for function in (ours, theirs):
        function()
    for _ in range(runs):
        for function, times in ((ours, row.ours), (theirs, row.theirs)):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return row


def machine() -> str:
    """One line about this machine."""
    import os

    import numpy as np
    import tables

    return (
        f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, PyTables {tables.__version__}, "
        f"HDF5 {tables.hdf5_version}"
    )
