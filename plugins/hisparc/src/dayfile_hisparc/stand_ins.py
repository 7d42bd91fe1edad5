"""Stand-ins for the names in real uploads: never the real things, and every argument is checked."""

from __future__ import annotations

import datetime as dt
import pickle
import re
import struct
from collections.abc import Callable
from typing import Final, NoReturn

__all__ = ["PERMITTED", "Permitted", "RefusalError", "make_printable"]

LONGEST_SCALAR: Final = 65_536
"""Bytes of a NumPy text."""


class RefusalError(pickle.UnpicklingError):
    """A pickle needs something that is not permitted; the message continues "the pickle"."""


def to_bytes(value: object) -> bytes:
    """Return bytes as Python 3 sends them, or of a ``str`` of Python 2, which was read as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value
    raise RefusalError("has a call without the bytes it needs")


def datetime(state: object, *rest: object) -> dt.datetime:
    """Stand in for ``datetime.datetime``, whose arguments are its state and perhaps a time zone, or numbers.

    The state is ten bytes: year (two, big endian), month with the fold in its top bit, day, hour, minute, second,
    microseconds (three, big endian).
    """
    if type(state) is int:
        return dt.datetime(state, *rest)  # type: ignore[arg-type]  # noqa: DTZ001 - naive, as it was sent
    # The constructor checks only the month of a state; replace() checks every part.
    return dt.datetime(to_bytes(state), *rest).replace()  # type: ignore[arg-type]  # noqa: DTZ001


def encode(text: object, encoding: object) -> bytes:
    """Stand in for ``_codecs.encode``, with which Python 3 writes bytes up to protocol 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusalError("has bytes in an encoding other than latin-1")
    return text.encode("latin-1")


def make_no_bytes() -> bytes:
    """Stand in for ``bytes``, with which Python 3 writes empty bytes up to protocol 2."""
    return b""


NUMPY_FORMATS: Final = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
"""NumPy's names of number types, and the struct module's letters."""


class NumpyType:
    """Stand in for ``numpy.dtype``: a boolean, an integer, a float or a short text.

    The arguments are the type (``'i8'``) and two flags; the state set later is (version, byte order, three times None,
    size, alignment, flags). All are checked: a tuple let through here could be part of the next one, and so on.
    """

    __slots__ = ("name", "order", "size")

    def __init__(self, name: object, align: object = 0, copy: object = 0) -> None:
        if not isinstance(name, str) or not (name in NUMPY_FORMATS or re.fullmatch("[SU][0-9]{1,5}", name)):
            raise RefusalError(
                f"has a NumPy value of type {make_printable(name)}, which is neither a number nor a short text"
            )
        if not isinstance(align, int) or not isinstance(copy, int):
            raise RefusalError("has a NumPy type with the wrong arguments")
        self.name = name
        self.order = "<"
        self.size = int(name[1:]) * (4 if name[0] == "U" else 1)
        if self.size > LONGEST_SCALAR:
            raise RefusalError(f"has a NumPy text of the size {self.size}")

    def __setstate__(self, state: object) -> None:
        match state if isinstance(state, tuple) else None:
            case (int(), "<" | ">" | "|" as order, None, None, None, int(), int(), int()):
                self.order = ">" if order == ">" else "<"
            case _:
                raise RefusalError("has a NumPy type with the wrong state")

    def decode(self, content: bytes) -> bool | int | float | str | bytes:
        """Return the plain value of a scalar's bytes."""
        if len(content) != self.size:
            raise RefusalError(f"has a NumPy value of the size {len(content)} for a type of the size {self.size}")
        if self.name[0] == "S":
            return content.rstrip(b"\0")
        if self.name[0] == "U":
            return content.decode("utf-32-be" if self.order == ">" else "utf-32-le").rstrip("\0")
        (value,) = struct.unpack(self.order + NUMPY_FORMATS[self.name], content)
        return value  # type: ignore[no-any-return]


def make_scalar(numpy_type: object, content: object) -> bool | int | float | str | bytes:
    """Stand in for ``numpy.core.multiarray.scalar``."""
    if not isinstance(numpy_type, NumpyType):
        raise RefusalError("has a NumPy value without a type")
    return numpy_type.decode(to_bytes(content))


MOST_ARGUMENTS: Final = 8
"""As many as a datetime of numbers has."""


class Permitted:
    """A name that a pickle may call. It has no state: the BUILD opcode could change a plain function.

    ``makes_texts`` says whether a call makes bytes or a text as long as its arguments, which a pickle can use any
    number of times; ``count`` is called with the length of each that is made.
    """

    __slots__ = ("call", "count", "makes_texts")

    def __init__(
        self, call: Callable[..., object], *, makes_texts: bool = False, count: Callable[[int], None] | None = None
    ) -> None:
        self.call = call
        self.makes_texts = makes_texts
        self.count = count

    def __call__(self, *arguments: object) -> object:
        """Call the stand-in with the arguments."""
        if len(arguments) > MOST_ARGUMENTS:
            raise RefusalError(f"has a call with {len(arguments)} arguments")
        made = self.call(*arguments)
        if self.count is not None and isinstance(made, (bytes, str)):
            self.count(len(made))
        return made

    def __setstate__(self, state: object) -> NoReturn:
        raise RefusalError("sets the state of a name")


PERMITTED: Final = {
    ("datetime", "datetime"): Permitted(datetime),
    ("datetime", "timedelta"): Permitted(dt.timedelta),
    ("datetime", "timezone"): Permitted(dt.timezone),
    ("numpy", "dtype"): Permitted(NumpyType),
    ("numpy.core.multiarray", "scalar"): Permitted(make_scalar, makes_texts=True),
    ("numpy._core.multiarray", "scalar"): Permitted(make_scalar, makes_texts=True),
    ("_codecs", "encode"): Permitted(encode, makes_texts=True),
    ("__builtin__", "bytes"): Permitted(make_no_bytes),
}


def make_printable(name: object) -> str:
    """Make a name from a pickle printable, for a message."""
    text = str(name)[:80] if isinstance(name, str) else type(name).__name__
    return text if text.isprintable() else ascii(text)
