"""Sources tried in a process of their own: one that ends the process must not end the run, again and again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NoReturn

__all__ = ["find_deadly"]

DONE = "done"
Take = Callable[[int], None]
"""Takes the source of a number, for trial: nothing of it stays."""


def find_deadly(count: int, take: Take) -> dict[int, str]:
    """Find the sources that end the process in which they are taken.

    A child takes one source after the other. When it ends, the source that it had begun is the one, and another child
    goes on with the next. So it is known that the source did it: whoever kills this process from outside kills no child
    of its alone.

    Parameters
    ----------
    count : int
        How many sources there are.
    take : callable
        Takes the source of a number, in the child.

    Returns
    -------
    dict of int to str
        The numbers of sources that ended the process, and how it ended.
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
    """Let a child take sources from a number on: that of the last it had begun, and how it ended; empty if well."""
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
    """Take sources one by one, and say before each which one it is; never returns."""
    try:
        os.setsid()  # a source may signal the whole group of processes
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_DFL)
        for number in numbers:
            os.write(writer, f"{number}\n".encode())
            with suppress(Exception):  # it is met again, and reported, where the source is taken
                take(number)
        os.write(writer, f"{DONE}\n".encode())
    finally:
        os._exit(0)
