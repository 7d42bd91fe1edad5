"""What is said at Ctrl-C, before what is in hand is finished."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["AGAIN", "announce"]

AGAIN = "press Ctrl-C again to stop at once"
"""What the second interrupt does, in a watch and in a server."""
CLEAR_LINE = b"\r\x1b[K"


def announce(message: str) -> None:
    """Write a line to standard error, over a progress bar if there is one; also from within a signal handler."""
    line = f"dayfile: {message}\n".encode()
    with suppress(OSError):  # the terminal is gone
        os.write(2, CLEAR_LINE + line if os.isatty(2) else line)
