r"""Station uploads and queue files: pickles from strangers, read without running anything they ask for.

A station posts a pickled list of events; the receiver keeps it in a queue file, a pickled dict of ``station_id``,
``cluster`` and ``event_list``. Stations pickle with Python 2 (protocol 0) or Python 3 (protocols 2 to 5). A pickle is
a program: a hostile one calls any function, or fills the memory with a few bytes. Four walls protect against that.

1. :func:`dayfile_hisparc.structure.check_structure` walks over the opcodes before anything is built.
2. :class:`Reader` resolves the few names that real uploads hold to stand-ins, never to the real things.
3. :func:`check_values` checks the result: lists and dicts of plain values, a few levels deep.
4. :class:`dayfile_hisparc.unfolding.Unfolding` counts the size of the values as columns and blobs.

A ``str`` of Python 2 is bytes. It is read as UTF-8 with ``surrogateescape``, which loses nothing: texts are text at
once, and the ten bytes of a ``datetime`` can be restored. A string that is not text becomes bytes again at the end.
"""

from __future__ import annotations

import gc
import io
import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dayfile.errors import SourceError
from dayfile.messages import plural
from dayfile_hisparc.stand_ins import PERMITTED, Permitted, RefusalError, make_printable
from dayfile_hisparc.structure import LARGEST, check_structure
from dayfile_hisparc.unfolding import MOST_UNFOLDED, Unfolding, find_largest_size

__all__ = ["Upload", "read_pickle", "read_upload", "write_upload"]

MOST_VALUES: Final = 1_000_000
"""Values on one level, where lists that are in several places make them more than the pickle has bytes."""
MOST_EVENTS: Final = 100_000
"""Events of an upload, each of which becomes a record of up to 474 bytes; stations send at most 1000 at once."""
DEEPEST: Final = 16
"""Levels of lists and dicts; a queue file has 5."""


class Reader(pickle.Unpickler):
    """The C unpickler, with permitted names only, and a limit on the bytes that their calls make."""

    def __init__(self, content: bytes) -> None:
        super().__init__(Prefetched(content), encoding="utf-8", errors="surrogateescape")
        self.made = Unfolding(LARGEST)

    def find_class(self, module: str, name: str, /) -> Permitted:
        """Return the stand-in for a name."""
        permitted = PERMITTED.get((module, name))
        if permitted is None:
            full_name = make_printable(f"{module}.{name}")
            raise RefusalError(f"names {full_name}, which is not one of the permitted names; nothing of it was run")
        return Permitted(permitted.call, count=self.made.add) if permitted.makes_texts else permitted


class Prefetched(io.BytesIO):
    """Bytes that the C unpickler reads all at once; without ``peek`` it reads each opcode, twice as slowly."""

    def peek(self, _size: int = 0, /) -> bytes:
        """Return all bytes before the first is read, then none."""
        return self.getvalue() if self.tell() == 0 else b""


def check_values(value: object, most: int) -> int:
    """Refuse anything but lists and dicts, too many levels, or the same lists or dicts in too many places.

    So accepted values can be walked, compared and pickled again in a time bounded by ``most``, a number of values on
    one level. Only objects that the garbage collector tracks are checked; others are plain values, or dicts of them.

    Returns a number of values, keys among them, that is not too small, with each counted as often as it is used.
    """
    found: list[Any] = [value]
    number = 0
    for _ in range(DEEPEST + 1):
        kinds = {*map(type, found)}
        dicts = found if kinds == {dict} else [item for item in found if type(item) is dict]
        number += len(found) + 2 * sum(map(len, dicts))
        level: list[Any] = [*filter(gc.is_tracked, found)]
        if not level:
            return number
        for kind in {*map(type, level)} - {list, dict, tuple}:
            raise RefusalError(f"holds a {kind.__name__}, which is not a value of an event")
        if sum(map(len, level)) > most:
            raise RefusalError("holds the same lists or dicts in too many places")
        found = gc.get_referents(*level)
    raise RefusalError(f"holds lists or dicts more than {DEEPEST} deep")


def convert_event_tuples(value: object) -> object:
    """Convert a tuple of events in the content of a pickle to a list, as the datastore did."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}
    return value


def restore_bytes(value: object, done: dict[int, object] | None = None) -> object:
    """Replace each text that was a ``str`` of Python 2 and is not UTF-8 by its bytes.

    ``done`` has the result for each list, dict and such text, by its id: a value that is used twice is converted once.
    """
    if isinstance(value, str) and (value.isascii() or not re.search("[\udc80-\udcff]", value)):
        return value
    if not isinstance(value, str | list | dict):
        return value
    done = {} if done is None else done
    if id(value) not in done:
        done[id(value)] = restore_bytes_in(value, done)
    return done[id(value)]


def restore_bytes_in(value: str | list[object] | dict[object, object], done: dict[int, object]) -> object:
    """Apply :func:`restore_bytes` to a list, a dict, or a text that is not UTF-8."""
    if isinstance(value, list):
        return [restore_bytes(item, done) for item in value]
    if isinstance(value, dict):
        return {restore_bytes(key, done): restore_bytes(item, done) for key, item in value.items()}
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value


# Exceptions that the C unpickler and the constructors of datetime raise for nonsense. Warning: for an unknown escape in
# a string, where warnings are errors.
MALFORMED: Final = (
    pickle.UnpicklingError,
    EOFError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    Warning,
)


def read_pickle(content: bytes, *, where: str) -> object:
    r"""Read the lists, dicts and plain values of a pickle from any source.

    Plain values are None, bool, int, float, str, bytes and datetime; NumPy scalars become them. Text of Python 2
    (``str``) is decoded as UTF-8; if it is not UTF-8 it is left as bytes. Bytes of Python 3 stay bytes. A tuple as the
    content or as a value of the outermost dict becomes a list.

    Parameters
    ----------
    content : bytes
        The pickle, of protocol 0 to 5.
    where : str
        What to call it in errors.

    Raises
    ------
    SourceError
        Not a pickle, or one that needs anything else, which is not run; or its values, each counted as often as it is
        used, take more than :data:`~dayfile_hisparc.unfolding.MOST_UNFOLDED` bytes.

    Examples
    --------
    >>> read_pickle(b"(lp0\nS'\\xc3\\xa9'\np1\naI5\na.", where="upload_17")
    ['é', 5]
    >>> read_pickle(b"cos\nsystem\n(S'true'\ntR.", where="upload_17")
    Traceback (most recent call last):
    dayfile.errors.SourceError: upload_17: the pickle names os.system, which is not one of the permitted names; ...
    """
    foreign, longest = check_structure(content, where=where)
    try:
        value = convert_event_tuples(Reader(content).load())
        number = check_values(value, max(len(content), MOST_VALUES))
        if find_largest_size(number, longest) > MOST_UNFOLDED:
            Unfolding().check(value)
    except RefusalError as error:
        raise SourceError(f"the pickle {error}", where=where) from error
    except MALFORMED as error:
        raise SourceError(f"the pickle is malformed: {error}", where=where) from error
    return restore_bytes(value) if foreign else value


@dataclass(frozen=True)
class Upload:
    """What a station sent at once.

    Parameters
    ----------
    station : int or None
        Number of the station; None if the source does not name it.
    cluster : str or None
        Name of its cluster; None if the source does not name it.
    events : list
        The events, of which only is known that :func:`read_pickle` accepts them.
    """

    station: int | None
    cluster: str | None
    events: list[object]


def read_upload(content: bytes, *, where: str, most_events: int = MOST_EVENTS) -> Upload:
    """Read the events of an upload as posted by a station (a list), or of a queue file (with station and cluster).

    Parameters
    ----------
    content : bytes
        The pickle.
    where : str
        What to call it in errors.
    most_events : int
        Limit on the number of events.

    Raises
    ------
    SourceError
        Neither of these, or not a permitted pickle, or one with more than ``most_events`` events.

    Examples
    --------
    >>> read_upload(write_upload(99, "Amsterdam", []), where="upload_17")
    Upload(station=99, cluster='Amsterdam', events=[])
    """
    value = read_pickle(content, where=where)
    if isinstance(value, list):
        return Upload(None, None, check_number(value, where, most_events))
    if not isinstance(value, dict):
        found = f"a pickled {type(value).__name__}"
    elif value.keys() != {"station_id", "cluster", "event_list"}:
        found = "a pickled dict with other keys than a queue file's"
    else:
        station, cluster, events = value["station_id"], value["cluster"], value["event_list"]
        if type(station) is int and isinstance(cluster, str) and isinstance(events, list):
            if not -(2**63) <= station < 2**63:
                raise SourceError("the station number of a queue file has more than 64 bits", where=where)
            return Upload(station, cluster, check_number(events, where, most_events))
        found = "a queue file with " + ", ".join(f"{type(item).__name__} as {key}" for key, item in value.items())
    expected = "a list of events, or a dict of station_id (int), cluster (str) and event_list (list)"
    raise SourceError(f"{found}; an upload is {expected}", where=where)


def check_number(events: list[object], where: str, most_events: int) -> list[object]:
    """Return the events, if they are no more than an upload can have."""
    if len(events) > most_events:
        raise SourceError(
            f"{plural(len(events), 'event')} are more than an upload can have ({most_events})", where=where
        )
    return events


def write_upload(station: int | None, cluster: str | None, events: Sequence[object]) -> bytes:
    """Write a queue file with events, or a bare list of them if station or cluster is None.

    Parameters
    ----------
    station, cluster
        As in :class:`Upload`.
    events : sequence
        Events as :func:`read_upload` returns them; it reads the result to equal ones, except tuples, which only a
        damaged pickle has in an event: they become lists, or texts if they are keys.

    Returns
    -------
    bytes
        A pickle of protocol 4, the first to keep the fold of a datetime.

    Examples
    --------
    >>> read_upload(write_upload(None, None, [{"header": {}}]), where="upload_17").events
    [{'header': {}}]
    """
    plain = replace_tuples(list(events))
    if station is not None and cluster is not None:
        plain = {"station_id": station, "cluster": cluster, "event_list": plain}
    return pickle.dumps(plain, protocol=4)


def replace_tuples(value: object, done: dict[int, object] | None = None) -> object:
    """Replace tuples, which :func:`check_structure` refuses; ``done`` as for :func:`restore_bytes`."""
    if not isinstance(value, list | dict | tuple):
        return value
    done = {} if done is None else done
    if id(value) not in done:
        done[id(value)] = (
            {str(key) if isinstance(key, tuple) else key: replace_tuples(item, done) for key, item in value.items()}
            if isinstance(value, dict)
            else [replace_tuples(item, done) for item in value]
        )
    return done[id(value)]
