"""Standard output and error that may go away: a pipe that closes, a disk that is full.

What a command does is not undone because nobody reads its account of it. So writing to an output that is gone raises
nothing, wherever it happens: in a message, a progress bar, a log line or at the end of the process. A command whose
only purpose is its output looks at the end whether it got out.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TextIO, cast

import typer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["answering", "lasting_outputs"]

P = ParamSpec("P")
CLOSED_PIPE = 128 + 13
"""Exit code of a program that SIGPIPE ended."""


class Lasting(io.RawIOBase):
    """A descriptor to write to; once that fails, what is written is dropped and ``lost`` says why."""

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
        """Write what can be written; the rest of an output that is gone counts as written."""
        view = memoryview(content)
        if self.lost is None:
            try:
                return os.write(self.descriptor, view)
            except OSError as error:
                self.lost = error
        return view.nbytes


def lost(stream: TextIO) -> OSError | None:
    """Return why an output is gone, after writing what is still in memory; None if it is not, or is not ours."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", None)
    if not isinstance(raw, Lasting):
        return None
    stream.flush()
    return raw.lost


def make_lasting(stream: TextIO) -> TextIO:
    """Return a stream to the same place that raises nothing once that is gone; itself if it has no descriptor."""
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
def lasting_outputs() -> Iterator[None]:
    """Replace standard output and error by streams that raise nothing when they cannot be written."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(make_lasting, before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            lost(stream)
        sys.stdout, sys.stderr = before


def answering(command: Callable[P, None]) -> Callable[P, None]:
    """Make of a command that only answers a question one that fails if its answer could not be written.

    A pipe that closes (``dayfile ls | head``) ends it as SIGPIPE ends other programs, without a word.
    """

    @functools.wraps(command)
    def answer(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit as end:
            if end.exit_code:
                raise
        error = lost(sys.stdout)
        if error is not None:
            if error.errno == errno.EPIPE:
                raise typer.Exit(CLOSED_PIPE)
            raise error

    return answer
