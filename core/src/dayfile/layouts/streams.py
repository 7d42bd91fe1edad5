"""Struct streams: naturally aligned (or packed) C structs one after another, in a file named after the struct."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import SourceError
from dayfile.messages import plural

__all__ = ["read_stream", "stream_name", "told_by_stream_name"]

NAME = re.compile(r"(?P<code>\w+)\.(?P<order>be|le)\.bin")


def stream_name(code: str, byte_order: str) -> str:
    """The file name of a stream of structs."""
    return f"{code}.{'be' if byte_order == 'big' else 'le'}.bin"


def told_by_stream_name(name: str) -> tuple[str, str] | None:
    """Struct and byte order that a file name tells; None for other names.

    Examples
    --------
    >>> told_by_stream_name("MuonHit.be.bin"), told_by_stream_name("notes.txt")
    (('MuonHit', 'big'), None)
    """
    match = NAME.fullmatch(name)
    return (match["code"], "big" if match["order"] == "be" else "little") if match else None


def read_stream(content: bytes, dtype: np.dtype[np.void], where: str) -> npt.NDArray[Any]:
    """The structs of a stream, as they lie there.

    Parameters
    ----------
    content : bytes
        The whole file.
    dtype : numpy.dtype
        Of one struct in memory; see :func:`dayfile.layouts.dtypes.struct_dtype`.
    where : str
        Name for messages.

    Returns
    -------
    structured array, shape (n,), read-only
        A view of ``content``.

    Raises
    ------
    SourceError
        The length is no multiple of the struct's size: the file was cut or holds something else.
    """
    size = dtype.itemsize
    whole, rest = divmod(len(content), size)
    if rest:
        message = (
            f"{plural(len(content), 'byte')} is not a whole number of {size}-byte structs: "
            f"the file is truncated or of another type"
        )
        raise SourceError(message, where=where, offset=whole * size)
    return np.frombuffer(content, dtype)
