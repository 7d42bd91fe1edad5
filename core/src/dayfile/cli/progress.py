"""What a terminal shows while a run or a watch works: a line at its bottom, below what is logged."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dayfile.messages import plural, printable

if TYPE_CHECKING:
    from rich.console import Console

    from dayfile.engine.executors import Progress
    from dayfile.state.records import EngineState

__all__ = ["format_watch", "show_progress", "show_watch"]

LINE_EVERY = 1000
"""Sources between two plain lines about progress, without a terminal."""
NARROWEST_PATH = 8


class Above(io.TextIOBase):
    """Standard error while a console has a line at the bottom of the terminal: whole lines go above it.

    Parameters
    ----------
    console : Console
        The console, which writes to another stream.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rest = ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True: it is only used on a terminal."""
        return True

    def write(self, text: str, /) -> int:
        """Write the lines that are complete."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        return len(text)


@contextmanager
def write_above(console: Console) -> Iterator[None]:
    """Let what is written to standard error appear above the line of a console."""
    before, above = sys.stderr, Above(console)
    sys.stderr = above
    try:
        yield
    finally:
        sys.stderr = before
        before.write(above.rest)


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show the progress of a run: a bar on a terminal, plain lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    if not console.is_terminal:

        def line(done: int, total: int, name: str) -> None:
            if done and name and done % LINE_EVERY == 0:
                typer.echo(f"{done:,} of {plural(total, 'source')}", err=True)

        yield line
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    with write_above(console), bar:
        task = bar.add_task("archiving", total=None)

        def show(done: int, total: int, name: str) -> None:
            what = printable(f"archiving {name}") if name else "publishing"
            bar.update(task, completed=done, total=total, description=what)

        yield show


@contextmanager
def show_watch(archive: Path | None) -> Iterator[list[Callable[[EngineState], None]]]:
    """Show what a watch of an archive does: a line on a terminal, nothing elsewhere, where the log says it."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stderr)
    if archive is None or not console.is_terminal:
        yield []
        return
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
    with write_above(console), live:

        def show(state: EngineState) -> None:
            line = format_watch(printable(str(archive)), state, console.width)
            live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)

        yield [show]


def format_watch(archive: str, state: EngineState, width: int) -> str:
    """Format the line of a watch: what it watches, what it has published, when last, and how much waits.

    A path without enough room is cut at its beginning.

    Examples
    --------
    >>> from dayfile.state.processes import ProcessId
    >>> from dayfile.state.records import EngineState, Published
    >>> state = EngineState(ProcessId(1, "here"), "1.0", "watch", 0, 0, taken=3, published=Published(18, last=72494.0))
    >>> format_watch("/data/archive", state, 80)
    'watching /data/archive · 3 sources, 18 day files · last 20:08:14Z · 0 waiting'
    >>> format_watch("/data/archive", state, 74)
    'watching …/archive · 3 sources, 18 day files · last 20:08:14Z · 0 waiting'
    """
    published = state.published
    parts = [
        f"{plural(state.taken, 'source')}, {plural(published.day_files, 'day file')}",
        f"last {time.strftime('%H:%M:%SZ', time.gmtime(published.last))}" if published.last is not None else "",
        f"waiting for {state.waits_for}" if state.waits_for else f"{state.queued + state.waiting:,} waiting",
    ]
    rest = " · ".join(filter(None, parts))
    room = max(width - len(f"watching  · {rest}") - 1, NARROWEST_PATH)
    place = archive if len(archive) <= room else f"…{archive[-room + 1 :]}"
    return f"watching {place} · {rest}"
