r"""Station uploads and queue files: pickles from strangers, read without running anything they ask for.

A station posts a pickled list of events; the receiver keeps it in a queue file, a pickled dict of ``station_id``,
``cluster`` and ``event_list``. Stations pickle with Python 2 (protocol 0) or Python 3 (protocols 2 to 5). A pickle is
a program: a hostile one calls any function, or fills the memory with a few bytes. Three walls stand against that.

1. :func:`check_structure` walks over the opcodes before anything is built. One regular expression swallows runs of
   harmless ones; Python steps over long strings only.
2. :class:`Reader` answers the few names that real uploads hold with stand-ins, never with the real things.
3. :func:`check_values` looks at what was built: lists and dicts of plain values, a few levels deep.

A ``str`` of Python 2 is bytes. It is read as UTF-8 with ``surrogateescape``, which loses nothing: texts are text at
once, and the ten bytes of a ``datetime`` can be had back. A string that was no text becomes bytes again at the end.
"""

from __future__ import annotations

import gc
import io
import pickle
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dayfile.errors import SourceError
from dayfile_hisparc.stand_ins import PERMITTED, Permitted, RefusalError, shown

__all__ = ["Upload", "check_structure", "looks_like_pickle", "read_pickle", "read_upload", "write_upload"]

# Limits. Stations send at most 1000 events at once: 1.4 MB of showers, or 84,000 dicts if all are configurations.
LARGEST: Final = 32 * 2**20
"""Bytes of a pickle; a character of a text can take six bytes of memory while it is read."""
LARGEST_STRUCTURE: Final = 5 * 2**20
"""Bytes of a pickle without its long strings, of which each counts as 32: an opcode can cost 25 times its length."""
MOST_CONTAINERS: Final = 300_000
"""Lists and dicts of a pickle: an empty dict is 1 byte and costs 80."""
MOST_VALUES: Final = 1_000_000
"""Values on one level, where lists that stand in several places make them more than the pickle has bytes."""
DEEPEST: Final = 16
"""Levels of lists and dicts; a queue file has 5."""
LONG_STRING: Final = 32
"""Bytes from which on a string is long."""


def one_of(expressions: Iterable[bytes]) -> bytes:
    """Expression for any of them."""
    return b"(?:" + b"|".join(expressions) + b")"


def counted(characters: bytes, width: int = 1, longest: int = LONG_STRING - 1) -> bytes:
    """Expression for a length of ``width`` bytes and so many ``characters``: an alternative for each length.

    Lengths with the same first byte stand together, so that few are tried.
    """

    def with_first_byte(byte: int) -> Iterator[bytes]:
        for length in range(byte, longest + 1, 256):
            yield re.escape(length.to_bytes(width, "little")[1:]) + b"%s{%d}" % (characters, length)

    return one_of(re.escape(bytes([byte])) + one_of(with_first_byte(byte)) for byte in range(min(longest + 1, 256)))


# The C unpickler keeps a memo twice as long as the largest index, so that "p2000000000" would cost 32 GB. Whether the
# characters are digits is left to it.
PUT: Final = rb"(?:p[^\n]{1,6}+\n|q.|r..[\x00-\x0f]\x00|\x94)"
# A tuple stands only where a call (REDUCE) or the state of an object (BUILD) consumes it at once. Tuples as dict keys
# can be nested so that hashing them takes a time exponential in the length of the pickle.
TUPLE: Final = rb"(?:t|[\x85-\x87]|\))"
CALL: Final = TUPLE + PUT + rb"?[Rb]"
# None, booleans, marks, lists, dicts and their items, MEMOIZE, STACK_GLOBAL: opcodes without argument.
BARE: Final = rb"[Nsaueld(}\]\x88\x89\x94\x93]*+"


STRING: Final = rb"[XB](.{4})|[\x8cC](.)|[\x8d\x8e](.{8})|T(.{4})|U(.)"
"""A string with its length in front; the length is a group."""
HEADERS: Final = (0, 5, 2, 9, 5, 2)
"""Bytes of opcode and length, by the number of that group."""
PYTHON_2: Final = (4, 5)
"""The groups of a ``str`` of Python 2."""
CUT_OFF: Final = tuple(bytes([opcode]) for opcode in b"XB\x8cC\x8d\x8eTU")
"""Opcodes of strings that stand alone only where not even the length is whole."""


def run_of_opcodes(text: bytes, longest: int = LONG_STRING - 1) -> re.Pattern[bytes]:
    r"""Expression for many harmless opcodes, with opcode and length of a string that is left to Python, if one follows.

    ``text`` is an expression for the text in a STRING or UNICODE, ``longest`` the length of the longest Unicode string
    that is taken along. For each there is an alternative, so that the expression takes some milliseconds to compile.

    The usual ones stand first, those of binary pickles before those of text, and what mostly follows an opcode, such as
    a PUT, is taken along: both for speed.

    Integers have at most 20 digits: decimals of millions take quadratic time to read, and of integers with many more
    than 61 bits one can find so many with the same hash that filling a dict with them is quadratic.
    """
    opcodes = (
        rb"h.(?:h.h.(?:K.|M..|)|)",  # BINGET; three and a BININT1 or BININT2 are a value with its code
        rb"X" + counted(rb".", 4, longest) + rb"(?:r..[\x00-\x0f]\x00|)",  # BINUNICODE
        rb"K.",  # BININT1
        rb"q.",  # BINPUT
        rb"r..[\x00-\x0f]\x00",  # LONG_BINPUT
        rb"M..",  # BININT2
        rb"j.{4}",  # LONG_BINGET
        rb"\x8c" + counted(rb".", 1, min(longest, 255)) + rb"\x94?+",  # SHORT_BINUNICODE
        rb"g[^\n]{1,6}+\n(?:sg[^\n]{1,6}+\n(?:I-?+\d{1,20}+\n|)|)",  # GET; two and an INT are a value with its code
        rb"S" + text + rb"\n(?:p[^\n]{1,6}+\n|)",  # STRING
        rb"p[^\n]{1,6}+\n(?:g[^\n]{1,6}+\n|)",  # PUT
        rb"I-?+\d{1,20}+\n",  # INT
        rb"V" + text + rb"\n(?:p[^\n]{1,6}+\n|)",  # UNICODE
        rb"J.{4}",  # BININT
        rb"G.{8}",  # BINFLOAT
        rb"U" + counted(rb"[\x00-\x7f]"),  # SHORT_BINSTRING of ASCII
        rb"C" + counted(rb"."),  # SHORT_BINBYTES
        rb"F[^\n]{1,40}+\n",  # FLOAT
        rb"L-?+\d{1,20}+L?\n",  # LONG
        rb"\x8a(?:" + counted(rb".", longest=8) + rb"|\x09.{8}[\x00-\x05\xfa-\xff])",  # LONG1
        CALL,
        rb"c[^\n]*+\n[^\n]*+\n",  # GLOBAL; the name is Reader's to judge
        rb"\x80[\x00-\x05]",  # PROTO
        rb"\x95.{8}",  # FRAME
    )
    # Each repetition costs 120 bytes until the match is done, so their number is bounded. A possessive repetition would
    # not, but before Python 3.11.5 one of a group can end in the midst of an opcode that did not match.
    run = rb"(?:" + BARE + one_of(opcodes) + rb"){0,10000}" + BARE
    return re.compile(rb"(?s)" + run + rb"(?:" + STRING + rb"|)")


# Traces have some hundreds of characters; few that were seen have more than 1000.
RUN: Final = run_of_opcodes(rb"[^\n]*+", 1023)
RUN_OF_SHORT_STRINGS: Final = run_of_opcodes(rb"[^\n]{0,99}+")
"""Leaves all long strings to Python, so that what is beside them can be counted."""
ARGUMENT: Final = PUT + rb"?" + CALL
STRING_ARGUMENT: Final = re.compile(rb"(?s)" + ARGUMENT)
PROTO: Final = b"\x80"
# For text pickles, which have no PROTO. The usual string in them that is not ASCII is the state of a datetime, at most
# 42 characters.
FOREIGN_TEXT: Final = re.compile(rb"(?s)\\x[89a-f](?![^\n]{0,80}+\n" + ARGUMENT + rb")")
# A tuple as the whole content, or as the last value of the outermost dict.
EVENT_TUPLE: Final = re.compile(rb"(?s)" + TUPLE + PUT + rb"?[su]?\.")
PROBLEMS: Final = {
    b"": "ends too early",
    **dict.fromkeys((b"p", b"r", b"g"), "has a memo index that is no number below a million"),
    **dict.fromkeys((b"I", b"L", b"\x8a", b"\x8b"), "has an integer that is no number of at most 20 digits"),
    **dict.fromkeys((b"t", b")", b"\x85", b"\x86", b"\x87"), "has a tuple that is not the list of events"),
}
# From protocol 2 on, the protocol stands first; before, the opcode of a list, dict or tuple and its PUT or first item.
# More than one byte, as a clock of another instrument can begin with any.
OPENING: Final = re.compile(
    rb"\x80[\x02-\x05]|\([ld](?:p\d|[(.SVI])|\((?:\([ld]|[\]}]|t\.)|[\]}][(.qr\x94\]}STUVXIJKM]|\)\."
)


def looks_like_pickle(content: bytes) -> bool:
    r"""Whether the first bytes are those of a pickled list, dict or tuple.

    Examples
    --------
    >>> looks_like_pickle(b"(lp0\n."), looks_like_pickle(b"\x89HDF\r\n\x1a\n")
    (True, False)
    """
    return OPENING.match(content) is not None


def check_structure(content: bytes, *, where: str) -> bool:
    r"""Refuse a pickle that could do harm while it is read, before any of it is.

    What passes has only the opcodes that lists and dicts of plain values need, up to protocol 5. Reading it takes time
    and memory in proportion to its length, at most some 200 MB. Names are not looked at here.

    Parameters
    ----------
    content : bytes
        The pickle. Bytes after its STOP are refused, as they would be archived nowhere.
    where : str
        What to call it in errors.

    Returns
    -------
    bool
        Whether there may be a ``str`` of Python 2 that is neither ASCII nor the argument of a call.

    Raises
    ------
    SourceError
        With the offset of the opcode that is not permitted.

    Examples
    --------
    >>> check_structure(b"(lp0\n.", where="upload_17")
    False
    >>> check_structure(b"(cos\nsystem\nS'true'\no.", where="upload_17")
    Traceback (most recent call last):
    dayfile.errors.SourceError: upload_17, byte 20: the pickle has the opcode OBJ in a place or form ...
    """
    check_size(content, where)
    foreign = False
    runs = RUN if len(content) <= LARGEST_STRUCTURE else RUN_OF_SHORT_STRINGS
    end = strings = 0
    while run := runs.match(content, end):
        start, string = run.end(), run.lastindex or 0
        position = start - HEADERS[string]
        if position - strings > LARGEST_STRUCTURE:
            if runs is RUN:  # which does not leave out long strings: count again
                runs, end, strings = RUN_OF_SHORT_STRINGS, 0, 0
                continue
            raise SourceError(f"the pickle has over {LARGEST_STRUCTURE} bytes beside its long strings", where=where)
        if string:
            end = start + int.from_bytes(run[string], "little")
            if string in PYTHON_2 and not foreign:
                foreign = not content[start:end].isascii() and not STRING_ARGUMENT.match(content, end)
        elif (opcode := content[position : position + 1]) in (b"S", b"V"):
            end = content.find(b"\n", position) + 1 or len(content) + 1
        elif opcode in CUT_OFF:
            end = len(content) + 1
        elif position > end:
            end = position
            continue
        else:
            break
        if end > len(content):
            raise SourceError("the pickle has a string that is cut off", where=f"{where}, byte {position}")
        strings += end - position - LONG_STRING
    events = EVENT_TUPLE.match(content, position)
    if opcode != b"." and not events:
        cut = "" if content.endswith(b".") else "; it does not end with STOP and may be cut off"
        raise SourceError(f"the pickle {problem(opcode)}{cut}", where=f"{where}, byte {position}")
    end = events.end() if events else position + 1
    if end < len(content):
        raise SourceError(f"{len(content) - end} bytes follow the end of the pickle", where=f"{where}, byte {end}")
    return foreign or (content[:1] != PROTO and FOREIGN_TEXT.search(content) is not None)


def check_size(content: bytes, where: str) -> None:
    """Refuse a pickle with more bytes, or more lists and dicts, than an upload can have."""
    if len(content) > LARGEST:
        raise SourceError(f"{len(content)} bytes are more than an upload can have ({LARGEST})", where=where)
    if len(content) <= MOST_CONTAINERS:
        return
    # Each begins with a mark in a text pickle, with ] or } in a binary one. NumPy counts six times as fast as bytes do.
    codes = np.frombuffer(content, np.uint8)
    marks, lists, dicts = (np.count_nonzero(codes == code) for code in b"(]}")
    if max(marks, lists + dicts) > MOST_CONTAINERS:
        raise SourceError(f"the pickle has more than {MOST_CONTAINERS} lists and dicts", where=where)


def problem(opcode: bytes) -> str:
    """What is wrong with a pickle where the walk met this opcode and could not go on."""
    if opcode in PROBLEMS:
        return PROBLEMS[opcode]
    from pickletools import opcodes

    for known in opcodes:
        if known.code == opcode.decode("latin-1"):
            return f"has the opcode {known.name} in a place or form that no upload needs"
    return f"has the byte 0x{opcode.hex()} where an opcode should be"


class Reader(pickle.Unpickler):
    """The C unpickler, with permitted names only."""

    def find_class(self, module: str, name: str, /) -> Permitted:
        """The stand-in for a name."""
        permitted = PERMITTED.get((module, name))
        if permitted is None:
            raise RefusalError(
                f"names {shown(f'{module}.{name}')}, which is not one of the permitted names; nothing of it was run"
            )
        return permitted


class Prefetched(io.BytesIO):
    """Bytes that the C unpickler takes all at once; without ``peek`` it asks for each opcode, twice as slow."""

    def peek(self, _size: int = 0, /) -> bytes:
        """All the bytes before the first is read, then none."""
        return self.getvalue() if self.tell() == 0 else b""


def check_values(value: object, most: int) -> None:
    """Refuse what is not made of lists and dicts, is too deep, or has the same lists or dicts in too many places.

    So what is let through can be walked, compared and pickled again in a time that ``most``, a number of values on one
    level, bounds. Only what the garbage collector tracks is looked at, as the rest holds nothing: plain values, and
    where Python can tell, dicts of them.
    """
    level: list[Any] = [value] if gc.is_tracked(value) else []
    for _ in range(DEEPEST):
        for kind in {*map(type, level)} - {list, dict, tuple}:
            raise RefusalError(f"holds a {kind.__name__}, which is no value of an event")
        if sum(map(len, level)) > most:
            raise RefusalError("holds the same lists or dicts in too many places")
        level = [*filter(gc.is_tracked, gc.get_referents(*level))]
        if not level:
            return
    raise RefusalError(f"holds lists or dicts more than {DEEPEST} deep")


def with_event_list(value: object) -> object:
    """The content of a pickle with a list for a tuple of events, as the datastore took it."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}
    return value


def with_bytes(value: object) -> object:
    """The value with bytes for each text that was a ``str`` of Python 2 and is not UTF-8."""
    if isinstance(value, str):
        if value.isascii() or not re.search("[\udc80-\udcff]", value):
            return value
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return value
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if isinstance(value, dict):
        return {with_bytes(key): with_bytes(item) for key, item in value.items()}
    return value


# What the C unpickler and the constructors of the datetime module raise for nonsense. Warning: of an unknown escape in
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
    r"""The lists, dicts and plain values of a pickle, whoever wrote it.

    Plain values are None, bool, int, float, str, bytes and datetime; NumPy scalars become them. Text of Python 2
    (``str``) is decoded as UTF-8 wherever it stands; where it is not UTF-8 it is left as bytes. Bytes of Python 3 stay
    bytes. A tuple as the content or as a value of the outermost dict becomes a list.

    Parameters
    ----------
    content : bytes
        The pickle, of protocol 0 to 5.
    where : str
        What to call it in errors.

    Raises
    ------
    SourceError
        It is no pickle, or asks for anything else; nothing of it was run.

    Examples
    --------
    >>> read_pickle(b"(lp0\nS'\\xc3\\xa9'\np1\naI5\na.", where="upload_17")
    ['é', 5]
    >>> read_pickle(b"cos\nsystem\n(S'true'\ntR.", where="upload_17")
    Traceback (most recent call last):
    dayfile.errors.SourceError: upload_17: the pickle names os.system, which is not one of the permitted names; ...
    """
    foreign = check_structure(content, where=where)
    try:
        value = with_event_list(Reader(Prefetched(content), encoding="utf-8", errors="surrogateescape").load())
        check_values(value, max(len(content), MOST_VALUES))
    except RefusalError as error:
        raise SourceError(f"the pickle {error}", where=where) from error
    except MALFORMED as error:
        raise SourceError(f"the pickle is malformed: {error}", where=where) from error
    return with_bytes(value) if foreign else value


@dataclass(frozen=True)
class Upload:
    """What a station sent at once.

    Parameters
    ----------
    station : int or None
        Number of the station; None if the source does not tell it.
    cluster : str or None
        Name of its cluster; None if the source does not tell it.
    events : list
        What stands for events; no more is known of them than what :func:`read_pickle` lets through.
    """

    station: int | None
    cluster: str | None
    events: list[object]


def read_upload(content: bytes, *, where: str) -> Upload:
    """The events of an upload as a station posted it (a list), or of a queue file (which adds station and cluster).

    Parameters
    ----------
    content : bytes
        The pickle.
    where : str
        What to call it in errors.

    Raises
    ------
    SourceError
        It is neither, or no pickle that may be read.

    Examples
    --------
    >>> read_upload(write_upload(99, "Amsterdam", []), where="upload_17")
    Upload(station=99, cluster='Amsterdam', events=[])
    """
    value = read_pickle(content, where=where)
    if isinstance(value, list):
        return Upload(None, None, value)
    if not isinstance(value, dict):
        found = f"a pickled {type(value).__name__}"
    elif value.keys() != {"station_id", "cluster", "event_list"}:
        found = "a pickled dict with other keys than a queue file's"
    else:
        station, cluster, events = value["station_id"], value["cluster"], value["event_list"]
        if type(station) is int and isinstance(cluster, str) and isinstance(events, list):
            return Upload(station, cluster, events)
        found = "a queue file with " + ", ".join(f"{type(item).__name__} as {key}" for key, item in value.items())
    expected = "a list of events, or a dict of station_id (int), cluster (str) and event_list (list)"
    raise SourceError(f"{found}; an upload is {expected}", where=where)


def write_upload(station: int | None, cluster: str | None, events: Sequence[object]) -> bytes:
    """A queue file with these events, or a bare list of them if station or cluster is None.

    Parameters
    ----------
    station, cluster
        As in :class:`Upload`.
    events : sequence
        Events as :func:`read_upload` gives them; it reads what is returned here to equal ones, but for tuples, which
        only a damaged pickle has in an event: they become lists, or texts if they are keys.

    Returns
    -------
    bytes
        A pickle of protocol 4, the first to keep the fold of a datetime.

    Examples
    --------
    >>> read_upload(write_upload(None, None, [{"header": {}}]), where="upload_17").events
    [{'header': {}}]
    """
    plain = without_tuples(list(events))
    if station is not None and cluster is not None:
        plain = {"station_id": station, "cluster": cluster, "event_list": plain}
    return pickle.dumps(plain, protocol=4)


def without_tuples(value: object) -> object:
    """The value without tuples, which :func:`check_structure` refuses."""
    if isinstance(value, dict):
        return {str(key) if isinstance(key, tuple) else key: without_tuples(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_tuples(item) for item in value]
    return value
