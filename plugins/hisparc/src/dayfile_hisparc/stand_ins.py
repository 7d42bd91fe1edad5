"""What stands in for the names that real uploads hold: never the real things, and every argument is checked."""

from __future__ import annotations

import datetime as dt
import pickle
import re
import struct
from collections.abc import Callable
from typing import Final, NoReturn

__all__ = ["PERMITTED", "Permitted", "RefusalError", "shown"]

LONGEST_SCALAR: Final = 65_536
"""Bytes of a NumPy text."""


class RefusalError(pickle.UnpicklingError):
    """What a pickle asks for is not permitted; the message goes on from "the pickle"."""


def byte_string(value: object) -> bytes:
    """Bytes as Python 3 sends them, or a ``str`` of Python 2, which was read as text."""
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
    # The constructor believes all of a state but the month; replace() checks every part.
    return dt.datetime(byte_string(state), *rest).replace()  # type: ignore[arg-type]  # noqa: DTZ001


def encode(text: object, encoding: object) -> bytes:
    """Stand in for ``_codecs.encode``, with which Python 3 writes bytes up to protocol 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusalError("has bytes in an encoding other than latin-1")
    return text.encode("latin-1")


def no_bytes() -> bytes:
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
            raise RefusalError(f"has a NumPy value of type {shown(name)}, which is neither a number nor a short text")
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

    def value(self, content: bytes) -> bool | int | float | str | bytes:
        """The plain value of a scalar's bytes."""
        if len(content) != self.size:
            raise RefusalError(f"has a NumPy value of the size {len(content)} for a type of the size {self.size}")
        if self.name[0] == "S":
            return content.rstrip(b"\0")
        if self.name[0] == "U":
            return content.decode("utf-32-be" if self.order == ">" else "utf-32-le").rstrip("\0")
        (value,) = struct.unpack(self.order + NUMPY_FORMATS[self.name], content)
        return value  # type: ignore[no-any-return]


def numpy_scalar(numpy_type: object, content: object) -> bool | int | float | str | bytes:
    """Stand in for ``numpy.core.multiarray.scalar``."""
    if not isinstance(numpy_type, NumpyType):
        raise RefusalError("has a NumPy value without a type")
    return numpy_type.value(byte_string(content))


MOST_ARGUMENTS: Final = 8
"""A datetime of numbers has the most."""


class Permitted:
    """A name that a pickle may call. It takes no state: a plain function could be changed by the BUILD opcode.

    ``makes_texts`` says whether a call makes bytes or a text as long as those it is given, which a pickle can name as
    often as it likes.
    """

    __slots__ = ("call", "makes_texts")

    def __init__(self, call: Callable[..., object], *, makes_texts: bool = False) -> None:
        self.call = call
        self.makes_texts = makes_texts

    def __call__(self, *arguments: object) -> object:
        """What the stand-in makes of the arguments."""
        if len(arguments) > MOST_ARGUMENTS:
            raise RefusalError(f"has a call with {len(arguments)} arguments")
        return self.call(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise RefusalError("sets the state of a name")


PERMITTED: Final = {
    ("datetime", "datetime"): Permitted(datetime),
    ("datetime", "timedelta"): Permitted(dt.timedelta),
    ("datetime", "timezone"): Permitted(dt.timezone),
    ("numpy", "dtype"): Permitted(NumpyType),
    ("numpy.core.multiarray", "scalar"): Permitted(numpy_scalar, makes_texts=True),
    ("numpy._core.multiarray", "scalar"): Permitted(numpy_scalar, makes_texts=True),
    ("_codecs", "encode"): Permitted(encode, makes_texts=True),
    ("__builtin__", "bytes"): Permitted(no_bytes),
}


def shown(name: object) -> str:
    """A name from a pickle, fit for a message."""
    text = str(name)[:80] if isinstance(name, str) else type(name).__name__
    return text if text.isprintable() else ascii(text)
