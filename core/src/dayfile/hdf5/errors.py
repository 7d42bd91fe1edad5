"""The error of the system behind what PyTables and the HDF5 library raise."""

from __future__ import annotations

import errno
import re

__all__ = ["find_errno"]

ERRNO = re.compile(r"errno = (\d+)")


def find_errno(error: BaseException) -> tuple[int | None, bool]:
    """Return the errno behind an exception, or None, and whether it is that of a lock which could not be taken."""
    if isinstance(error, OSError):
        # PyTables raises some of the system's errors by itself, without their number.
        by_class = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES, IsADirectoryError: errno.EISDIR}
        return error.errno or by_class.get(type(error)), False
    for entry in getattr(error, "h5backtrace", None) or ():
        text = str(entry[-1])
        if match := ERRNO.search(text):
            return int(match[1]), "lock" in text.partition("errno")[0]
    return None, False
