"""Entry points of ``dayfile``, ``archive-run`` and ``python -m dayfile``.

Nothing is imported before an interrupt is met: Ctrl-C while the libraries load ends in one line too.
"""

from __future__ import annotations

import os
import sys

__all__ = ["archive_run", "main"]

INTERRUPTED = 130


def main() -> None:
    """Entry point of ``dayfile``."""
    start("main")


def archive_run() -> None:
    """Entry point of ``archive-run``."""
    start("archive_run")


def start(name: str) -> None:
    """Load the command line and run one of its commands."""
    try:
        from dayfile import cli

        getattr(cli, name)()
    except KeyboardInterrupt:
        os.write(2, b"dayfile: stopped\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
