"""Memory for what is read, allocated before it is needed."""

from __future__ import annotations

import ctypes
import mmap
import weakref
from contextlib import suppress
from threading import Thread

import numpy as np
import numpy.typing as npt

__all__ = ["allocate_ahead"]

AHEAD_FROM = 32 * 2**20
"""Bytes from which on memory is allocated ahead; below, a thread costs more than it saves."""
AHEAD_STEP = 8 * 2**20
MADV_POPULATE_WRITE = 23
"""Advice of madvise(2), Linux 5.14: allocate pages as if they were written, without changing them."""
LIBC = ctypes.CDLL(None, use_errno=True)


def allocate_ahead(memory: npt.NDArray[np.uint8], size: int) -> None:
    """Let the system allocate the first bytes of a block of memory in a thread, while day files are opened.

    The system clears memory page by page when it is first written, which takes as long as to read records into it. A
    system that cannot do it ahead does it then.
    """
    if size < AHEAD_FROM or not hasattr(LIBC, "madvise"):
        return
    with suppress(RuntimeError):  # no further thread can be started: the memory is allocated when it is written
        Thread(target=populate, args=(weakref.ref(memory), memory.ctypes.data, size), daemon=True).start()


def populate(owner: weakref.ref[npt.NDArray[np.uint8]], address: int, size: int) -> None:
    """Allocate memory in steps, as long as its owner lives and the system agrees."""
    start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    for begin in range(start, address + size, AHEAD_STEP):
        held = owner()
        length = min(AHEAD_STEP, address + size - begin)
        if held is None or LIBC.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(length), MADV_POPULATE_WRITE):
            return
