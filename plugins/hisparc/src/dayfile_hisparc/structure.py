"""The first wall against hostile pickles: a walk over the opcodes, before anything is built of them.

One regular expression matches runs of harmless opcodes; Python only steps over long strings. A plain walk, opcode by
opcode, is in the tests and must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from dayfile.errors import SourceError
from dayfile.messages import plural

__all__ = ["OPENING_SIZE", "Strings", "check_structure", "looks_like_pickle"]

# Limits. Stations send at most 1000 events at once: 1.4 MB of showers, or 84,000 dicts if all are configurations.
LARGEST: Final = 32 * 2**20
"""Bytes of a pickle; a character of a text can take six bytes of memory while it is read."""
LARGEST_STRUCTURE: Final = 5 * 2**20
"""Bytes of a pickle without its long strings, of which each counts as 32: an opcode can cost 25 times its length."""
MOST_CONTAINERS: Final = 300_000
"""Lists and dicts of a pickle: an empty dict is 1 byte and costs 80."""
LONG_STRING: Final = 32
"""Length of the shortest string that counts as long."""
LONGEST_IN_RUN: Final = 1023
"""Length of the longest string that is not left to Python; traces have some hundreds of characters, few more."""


def match_one_of(expressions: Iterable[bytes]) -> bytes:
    """Make an expression for any of several."""
    return b"(?:" + b"|".join(expressions) + b")"


def match_counted(characters: bytes, width: int = 1, longest: int = LONG_STRING - 1) -> bytes:
    """Make an expression for a length of ``width`` bytes and n ``characters``: an alternative for each length n.

    Lengths with the same first byte are grouped, so that few alternatives are tried.
    """

    def add_first_byte(byte: int) -> Iterator[bytes]:
        for length in range(byte, longest + 1, 256):
            yield re.escape(length.to_bytes(width, "little")[1:]) + b"%s{%d}" % (characters, length)

    return match_one_of(
        re.escape(bytes([byte])) + match_one_of(add_first_byte(byte)) for byte in range(min(longest + 1, 256))
    )


# The C unpickler's memo is twice as long as the largest index, so that "p2000000000" would cost 32 GB. The unpickler
# itself checks that the characters are digits.
PUT: Final = rb"(?:p[^\n]{1,6}+\n|q.|r..[\x00-\x0f]\x00|\x94)"
# A tuple is permitted only where a call (REDUCE) or the state of an object (BUILD) consumes it at once. Tuples as dict
# keys can be nested so that hashing them takes a time exponential in the length of the pickle.
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
"""Opcodes of strings; the expression leaves them over only if their length is cut off."""


def compile_run(text: bytes, longest: int = LONG_STRING - 1) -> re.Pattern[bytes]:
    r"""Compile an expression for a run of harmless opcodes, and the opcode and length of a string left to Python.

    ``text`` is an expression for the text in a STRING or UNICODE, ``longest`` the length of the longest Unicode string
    in the run. Each length is an alternative, so that the expression takes some milliseconds to compile.

    For speed the most frequent opcodes come first, those of binary pickles before those of text, and opcodes that
    usually follow another one, such as a PUT, are matched with it.

    BUILD follows a tuple, or a GET of one, as NumPy types with the same state share it. The stand-ins check the state:
    only a NumPy type accepts one, and None as a state changes nothing.

    Integers have at most 20 digits: decimals of millions take quadratic time to read, and of integers with many more
    than 61 bits many have the same hash, so that filling a dict with them is quadratic.
    """
    opcodes = (
        rb"h.(?:h.h.(?:K.|M..|b|)|b|)",  # BINGET; three and a BININT1 or BININT2 are a value with its code
        rb"X" + match_counted(rb".", 4, longest) + rb"(?:r..[\x00-\x0f]\x00|)",  # BINUNICODE
        rb"K.",  # BININT1
        rb"q.",  # BINPUT
        rb"r..[\x00-\x0f]\x00",  # LONG_BINPUT
        rb"M..",  # BININT2
        rb"j.{4}b?+",  # LONG_BINGET
        rb"\x8c" + match_counted(rb".", 1, min(longest, 255)) + rb"\x94?+",  # SHORT_BINUNICODE
        rb"g[^\n]{1,6}+\n(?:sg[^\n]{1,6}+\n(?:I-?+\d{1,20}+\n|)|b|)",  # GET; two and an INT are a value with its code
        rb"S" + text + rb"\n(?:p[^\n]{1,6}+\n|)",  # STRING
        rb"p[^\n]{1,6}+\n(?:g[^\n]{1,6}+\nb?+|)",  # PUT
        rb"I-?+\d{1,20}+\n",  # INT
        rb"V" + text + rb"\n(?:p[^\n]{1,6}+\n|)",  # UNICODE
        rb"J.{4}",  # BININT
        rb"G.{8}",  # BINFLOAT
        rb"U" + match_counted(rb"[\x00-\x7f]"),  # SHORT_BINSTRING of ASCII
        rb"C" + match_counted(rb"."),  # SHORT_BINBYTES
        rb"F[^\n]{1,40}+\n",  # FLOAT
        rb"L-?+\d{1,20}+L?\n",  # LONG
        rb"\x8a(?:" + match_counted(rb".", longest=8) + rb"|\x09.{8}[\x00-\x05\xfa-\xff])",  # LONG1
        CALL,
        rb"c[^\n]*+\n[^\n]*+\n",  # GLOBAL; the Reader checks the name
        rb"\x80[\x00-\x05]",  # PROTO
        rb"\x95.{8}",  # FRAME
    )
    # Each repetition costs 120 bytes until the match is done, so their number is limited. A possessive repetition would
    # be free, but before Python 3.11.5 one of a group can end in the middle of an opcode that did not match.
    run = rb"(?:" + BARE + match_one_of(opcodes) + rb"){0,10000}" + BARE
    return re.compile(rb"(?s)" + run + rb"(?:" + STRING + rb"|)")


RUN: Final = compile_run(rb"[^\n]{0,%d}+" % LONGEST_IN_RUN, LONGEST_IN_RUN)
RUN_OF_SHORT_STRINGS: Final = compile_run(rb"[^\n]{0,99}+")
"""Leaves all long strings to Python, so that the bytes beside them can be counted."""
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
    **dict.fromkeys((b"p", b"r", b"g"), "has a memo index that is not a number below a million"),
    **dict.fromkeys((b"I", b"L", b"\x8a", b"\x8b"), "has an integer that is not a number of at most 20 digits"),
    **dict.fromkeys((b"t", b")", b"\x85", b"\x86", b"\x87"), "has a tuple that is not the list of events"),
}
# From protocol 2 on, a pickle begins with the protocol; before, with the opcode of a list, dict or tuple and its PUT or
# first item. More than one byte, as a clock of another instrument can begin with any.
OPENING: Final = re.compile(
    rb"\x80[\x02-\x05]|\([ld](?:p\d|[(.SVI])|\((?:\([ld]|[\]}]|t\.)|[\]}][(.qr\x94\]}STUVXIJKM]|\)\."
)
OPENING_SIZE = 8
"""Bytes of a pickle that say that it is one."""


def looks_like_pickle(content: bytes) -> bool:
    r"""Return whether the first bytes are those of a pickled list, dict or tuple.

    Examples
    --------
    >>> looks_like_pickle(b"(lp0\n."), looks_like_pickle(b"\x89HDF\r\n\x1a\n")
    (True, False)
    """
    return OPENING.match(content) is not None


class Strings(NamedTuple):
    """What a walk over the opcodes found of the strings.

    Parameters
    ----------
    foreign : bool
        Whether there may be a ``str`` of Python 2 that is neither ASCII nor the argument of a call.
    longest : int
        None has more bytes; at least :data:`LONGEST_IN_RUN`.
    """

    foreign: bool
    longest: int


def check_structure(content: bytes, *, where: str) -> Strings:
    r"""Refuse a pickle that could do harm while it is read, before reading any of it.

    An accepted pickle has only the opcodes that lists and dicts of plain values need, up to protocol 5. Reading it
    takes time and memory in proportion to its length, at most some 200 MB. Names are not checked here.

    Parameters
    ----------
    content : bytes
        The pickle. Bytes after its STOP are refused, as they would be archived nowhere.
    where : str
        What to call it in errors.

    Returns
    -------
    Strings
        What was found of its strings.

    Raises
    ------
    SourceError
        With the offset of the opcode that is not permitted.

    Examples
    --------
    >>> check_structure(b"(lp0\n.", where="upload_17")
    Strings(foreign=False, longest=1023)
    >>> check_structure(b"(cos\nsystem\nS'true'\no.", where="upload_17")
    Traceback (most recent call last):
    dayfile.errors.SourceError: upload_17, byte 20: the pickle has the opcode OBJ in a place or form ...
    """
    check_size(content, where)
    foreign, longest = False, LONGEST_IN_RUN
    runs = RUN if len(content) <= LARGEST_STRUCTURE else RUN_OF_SHORT_STRINGS
    end = strings = 0
    while run := runs.match(content, end):
        start, string = run.end(), run.lastindex or 0
        position = start - HEADERS[string]
        if position - strings > LARGEST_STRUCTURE:
            if runs is RUN:  # which includes long strings: count again without them
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
        longest = max(longest, end - position)
    events = EVENT_TUPLE.match(content, position)
    if opcode != b"." and not events:
        cut = "" if content.endswith(b".") else "; it does not end with STOP and may be cut off"
        raise SourceError(f"the pickle {describe_problem(opcode)}{cut}", where=f"{where}, byte {position}")
    end = events.end() if events else position + 1
    if end < len(content):
        raise SourceError(
            f"{plural(len(content) - end, 'byte')} after the end of the pickle", where=f"{where}, byte {end}"
        )
    foreign = foreign or (content[:1] != PROTO and FOREIGN_TEXT.search(content) is not None)
    return Strings(foreign, longest)


def check_size(content: bytes, where: str) -> None:
    """Refuse a pickle with more bytes, or more lists and dicts, than an upload can have."""
    if len(content) > LARGEST:
        raise SourceError(f"{plural(len(content), 'byte')} are more than an upload can have ({LARGEST})", where=where)
    if len(content) <= MOST_CONTAINERS:
        return
    # Each begins with a mark in a text pickle, with ] or } in a binary one. NumPy counts six times as fast as bytes.
    codes = np.frombuffer(content, np.uint8)
    marks, lists, dicts = (np.count_nonzero(codes == code) for code in b"(]}")
    if max(marks, lists + dicts) > MOST_CONTAINERS:
        raise SourceError(f"the pickle has more than {MOST_CONTAINERS} lists and dicts", where=where)


def describe_problem(opcode: bytes) -> str:
    """Describe what is wrong with a pickle at whose opcode the walk stopped."""
    if opcode in PROBLEMS:
        return PROBLEMS[opcode]
    from pickletools import opcodes

    for known in opcodes:
        if known.code == opcode.decode("latin-1"):
            return f"has the opcode {known.name} in a place or form that no upload needs"
    return f"has the byte 0x{opcode.hex()} where an opcode should be"
