"""Collect errors, so that one message names everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dayfile.errors import DayfileError

__all__ = ["collect_errors", "combine"]


@contextmanager
def collect_errors(problems: list[DayfileError]) -> Iterator[None]:
    """Add an error to a list instead of raising it, to report all of them at once."""
    try:
        yield
    except DayfileError as error:
        problems.append(error)


def combine(problems: Sequence[DayfileError]) -> DayfileError:
    """Make one error of several, of the class of the first; one alone stays as it is.

    Examples
    --------
    >>> from dayfile.errors import StorageError, UsageError
    >>> str(combine([UsageError("no list"), StorageError("no archive", where="x")]))
    'no list; x: no archive'
    """
    first = problems[0]
    return first if len(problems) == 1 else type(first)("; ".join(map(str, problems)))
