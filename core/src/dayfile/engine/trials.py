"""Trials of sources in a child process, so that a source that ends its process does not end every run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NoReturn

__all__ = ["find_deadly"]

DONE = "done"
Take = Callable[[int], None]
"""Take the source with a number as a trial, without a lasting effect."""


def find_deadly(count: int, take: Take) -> dict[int, str]:
    """Find the sources that end the process that takes them.

    A child process takes one source after the other. If it ends, the source that it had begun is at fault, and another
    child continues with the next one. If somebody kills the run, no child of it ends alone, so no source is blamed.

    Parameters
    ----------
    count : int
        Number of sources.
    take : callable
        Takes the source with a number, in the child.

    Returns
    -------
    dict of int to str
        How the process ended, by the number of the source.
    """
    found: dict[int, str] = {}
    start = 0
    while start < count:
        begun, how = try_from(start, count, take)
        if not how:
            break
        found[begun] = how
        start = begun + 1
    return found


def try_from(start: int, count: int, take: Take) -> tuple[int, str]:
    """Take sources from ``start`` on in a child; return the last that it began, and how it ended (empty: normally)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        go_through(range(start, count), take, writer)
    os.close(writer)
    with os.fdopen(reader) as answers:
        lines = answers.read().split()
    _, status = os.waitpid(child, 0)
    if DONE in lines:
        return start, ""
    begun = int(lines[-1]) if lines else start
    if os.WIFSIGNALED(status):
        return begun, signal.Signals(os.WTERMSIG(status)).name
    return begun, f"exit code {os.WEXITSTATUS(status)}"


def go_through(numbers: Iterable[int], take: Take, writer: int) -> NoReturn:
    """Take sources one by one, and write the number of each before it; never return."""
    try:
        os.setsid()  # a source may send a signal to the process group
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_DFL)
        for number in numbers:
            os.write(writer, f"{number}\n".encode())
            with suppress(Exception):  # it happens again, and is reported, when the run takes the source
                take(number)
        os.write(writer, f"{DONE}\n".encode())
    finally:
        os._exit(0)
