"""Standard output and error that may become unwritable: a pipe that closes, a disk that is full.

The work of a command must not fail because nobody reads its messages. So writing to a lost output raises nothing,
wherever it happens: in a message, a progress bar, a log line or at the end of the process. A command whose only purpose
is its output checks at the end whether it was written.
"""

from __future__ import annotations

import errno
import functools
import io
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TextIO, cast

import typer

from dayfile.messages import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "end_for_lost_output",
    "find_output_error",
    "find_width",
    "replace_outputs",
    "report_problem",
    "require_output",
    "say",
]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
CLOSED_PIPE = 128 + 13
"""Exit code of a program that SIGPIPE ended."""


TO_A_PIPE = 80
"""Width without a terminal."""


def find_width() -> int:
    """Find the columns of the terminal, or what COLUMNS says; 80 for a pipe or a file."""
    return shutil.get_terminal_size((TO_A_PIPE, 0)).columns


def say(text: str, *, err: bool = False, indent: int = 4) -> None:
    """Print a message for people: on a terminal, a line that is too long is broken between words.

    Parameters
    ----------
    text : str
        The message.
    err : bool
        Whether it goes to standard error.
    indent : int
        Blanks before what follows a broken line.
    """
    stream = sys.stderr if err else sys.stdout
    line = printable(text)
    if stream.isatty():
        margin = " " * indent
        line = textwrap.fill(
            line, find_width(), subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
        )
    typer.echo(line, err=err)


def report_problem(message: str, trace: str = "", level: int = logging.WARNING) -> None:
    """Print a problem to standard error, or log it where that gets a log of JSON objects.

    Parameters
    ----------
    message : str
        The problem.
    trace : str
        A traceback, if it is a mistake of a program.
    level : int
        Of the log line.
    """
    if any(getattr(handler, "writes_objects", False) for handler in logging.getLogger().handlers):
        logger.log(level, "%s", message, extra={"fields": {"traceback": trace} if trace else {}})
        return
    say(f"dayfile: {message}", err=True)
    if trace:
        typer.echo(trace, err=True)


class Lasting(io.RawIOBase):
    """A descriptor to write to; once that fails, output is dropped and ``lost`` is the error."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.lost: OSError | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self.descriptor)

    def write(self, content: ReadableBuffer, /) -> int:
        """Write what can be written; after an error everything counts as written."""
        view = memoryview(content)
        if self.lost is None:
            try:
                return os.write(self.descriptor, view)
            except OSError as error:
                self.lost = error
        return view.nbytes


def find_output_error(stream: TextIO) -> OSError | None:
    """Flush an output and return its error; None without one, or for a stream of another class."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", None)
    if not isinstance(raw, Lasting):
        return None
    stream.flush()
    return raw.lost


def make_lasting(stream: TextIO) -> TextIO:
    """Return a stream to the same descriptor that never raises; the stream itself if it has no descriptor."""
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (OSError, ValueError, AttributeError):  # closed, or only in memory
        return stream
    raw = Lasting(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(cast("io.RawIOBase", raw)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=raw.isatty(),
        write_through=stream is sys.stderr,
    )


@contextmanager
def replace_outputs() -> Iterator[None]:
    """Replace standard output and error by streams that never raise."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(make_lasting, before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            find_output_error(stream)
        sys.stdout, sys.stderr = before


def require_output(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command, whose only purpose is its output, fail if that could not be written.

    A pipe that closes (``dayfile ls | head``) ends it silently, as SIGPIPE ends other programs.
    """

    @functools.wraps(command)
    def answer(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit as end:
            if end.exit_code:
                raise
        error = find_output_error(sys.stdout)
        if error is not None:
            end_for_lost_output(error)

    return answer


def end_for_lost_output(error: OSError) -> NoReturn:
    """End a command whose output could not be written: silently if a pipe was closed, else with the error."""
    if error.errno == errno.EPIPE:
        raise typer.Exit(CLOSED_PIPE)
    raise error
