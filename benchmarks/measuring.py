"""Rows of the table: each a piece of work, ours and others', in turn, several times."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["HEADER", "Figure", "Measured", "Round", "Row", "Side", "absent", "machine", "measured", "timed"]

HEADER = (
    f"{'row':<20} {'ours':>11} {'peer':>13} {'ratio':>7} {'aim':>7} {'floor':>11} {'ratio':>6} {'aim':>6}"
    f"  {'unit':<10} what, and against what"
)
ABSENT = "not installed"


@dataclass(frozen=True)
class Round:
    """What all benchmarks are told.

    Parameters
    ----------
    directory : Path
        For what is made on the way; each benchmark takes a directory of its own below it.
    runs : int
        Counted runs of each side.
    small : bool
        Do only little work: whether everything runs is what matters, not how quick it is.
    """

    directory: Path
    runs: int
    small: bool = False

    def place(self, name: str) -> Path:
        """A new directory."""
        path = self.directory / name
        path.mkdir()
        return path

    def size(self, full: int, small: int) -> int:
        """How much work: of two sizes the one that was asked for."""
        return small if self.small else full


@dataclass(frozen=True)
class Side:
    """One way to do a piece of work.

    Parameters
    ----------
    name : str
        What it is.
    amount : float
        How much work one call does. It may differ from that of other sides: rates are compared.
    seconds : callable
        Does the work once, with what has to be made ready before and removed after, and tells how long it took itself.
    """

    name: str
    amount: float
    seconds: Callable[[], float]


@dataclass(frozen=True)
class Measured:
    """What a side took; without seconds it could not be measured here.

    Parameters
    ----------
    name : str
        What it is.
    amount : float
        How much work one run did.
    seconds : list of float
        Of each counted run.
    """

    name: str
    amount: float = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float | None:
        """Work a second, the median."""
        return self.amount / statistics.median(self.seconds) if self.seconds else None

    def ratio(self, other: Measured | None) -> float | None:
        """How many times the rate of another side it has: the median of neighbouring runs."""
        if other is None or not other.seconds:
            return None
        pairs = zip(self.seconds, other.seconds, strict=True)
        return self.amount / other.amount * statistics.median(theirs / ours for ours, theirs in pairs)

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        return {"name": self.name, "amount": self.amount, "seconds": self.seconds, "rate": self.rate}


@dataclass(frozen=True)
class Row:
    """Our rate beside that of a peer, who does the same, and a floor, which does only what cannot be left out.

    Parameters
    ----------
    name, work, unit : str
        Of the row; what was done; what is counted.
    ours, peer, floor : Measured
        What was measured; peer or floor can be missing.
    peer_aim, floor_aim : float
        How many times the rate of the peer and of the floor we want to reach.
    """

    name: str
    work: str
    unit: str
    ours: Measured
    peer: Measured | None = None
    peer_aim: float = 0
    floor: Measured | None = None
    floor_aim: float = 0

    def line(self) -> str:
        """The row as text, below HEADER."""
        words = [self.work]
        numbers = ""
        for kind, other, aim, widths in (
            ("peer", self.peer, self.peer_aim, (13, 7, 7)),
            ("floor", self.floor, self.floor_aim, (11, 6, 6)),
        ):
            shown = "" if other is None else ABSENT if other.rate is None else number(other.rate)
            cells = (shown, number(self.ours.ratio(other)), f">={aim:g}" if aim else "")
            numbers += "".join(f" {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            words += [f"{kind}: {other.name}"] if other else []
        return f"{self.name:<20} {number(self.ours.rate):>11}{numbers}  {self.unit:<10} {'; '.join(words)}"

    def as_json(self) -> dict[str, object]:
        """The row as plain data."""
        told: dict[str, object] = {"row": self.name, "work": self.work, "unit": self.unit, "ours": self.ours.as_json()}
        for kind, other, aim in (("peer", self.peer, self.peer_aim), ("floor", self.floor, self.floor_aim)):
            if other is not None:
                told[kind] = {**other.as_json(), "ratio": self.ours.ratio(other), "aim": aim}
        return told


@dataclass(frozen=True)
class Figure:
    """A number of ours that stands by itself.

    Parameters
    ----------
    name, work, unit : str
        Of the row; what was measured; in what.
    value : float
        The number.
    most : float
        What it should not exceed; 0 where nothing was aimed at.
    """

    name: str
    work: str
    unit: str
    value: float
    most: float = 0

    def line(self) -> str:
        """The figure as text, below HEADER."""
        aim = f"<={self.most:g}" if self.most else ""
        gap = " " * 21
        return f"{self.name:<20} {number(self.value):>11} {gap} {aim:>7} {gap}     {self.unit:<10} {self.work}"

    def as_json(self) -> dict[str, object]:
        """The figure as plain data."""
        return {"row": self.name, "work": self.work, "unit": self.unit, "value": self.value, "most": self.most}


def number(value: float | None) -> str:
    """Three digits that count, or whole thousands; nothing for what was not measured."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def absent(name: str) -> Measured:
    """A peer that is not installed here."""
    return Measured(name)


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """The work, telling the seconds it took."""

    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


def measured(runs: int, *sides: Side) -> list[Measured]:
    """Time the sides, one after the other, ``runs`` times after a warm-up; in the order given."""
    took: list[list[float]] = [[] for _ in sides]
    for counted in range(runs + 1):
        for side, times in zip(sides, took, strict=True):
            os.sync()  # what one side left to be written is not the next one's to wait for
            seconds = side.seconds()
            if counted:
                times.append(seconds)
    return [Measured(side.name, side.amount, times) for side, times in zip(sides, took, strict=True)]


def machine() -> str:
    """One line about this machine."""
    import numpy as np
    import tables

    return (
        f"{platform.system()} {platform.release()}, {processor()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, PyTables {tables.__version__}, "
        f"HDF5 {tables.hdf5_version}"
    )


def processor() -> str:
    """Its name where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines: Sequence[str] = told.read_text().splitlines() if told.exists() else ()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()
