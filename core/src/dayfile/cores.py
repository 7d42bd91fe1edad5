"""Count the available processors, and check the numbers of threads set for libraries."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from dayfile.errors import UsageError

__all__ = ["available_cores", "check_threads"]


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(environment: MutableMapping[str, str]) -> None:
    """Check what NumExpr, which PyTables loads, reads from the environment: it ends in a traceback if that is wrong.

    ``OMP_NUM_THREADS`` may be a list, as ``4,2``, which NumExpr does not know; there NumExpr gets one thread, which is
    enough for what is done with it here.

    Raises
    ------
    UsageError
        A number of threads is not a number.
    """
    for name in ("NUMEXPR_MAX_THREADS", "NUMEXPR_NUM_THREADS"):
        value = environment.get(name, "1")
        if not is_number(value) and (value or name == "NUMEXPR_MAX_THREADS"):
            message = f"this environment variable is {value!r} and must be a whole number from 1 on"
            raise UsageError(f"{message}; correct or unset it", where=name)
    if not is_number(environment.get("OMP_NUM_THREADS", "1")) and not environment.get("NUMEXPR_NUM_THREADS"):
        environment["NUMEXPR_NUM_THREADS"] = "1"


def is_number(value: str) -> bool:
    """Return whether a text is a whole number from 1 on."""
    return value.isascii() and value.isdigit() and int(value) > 0
