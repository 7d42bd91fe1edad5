"""Run ``archive-run`` or ``dayfile`` with a fault: ``python -m dayfile.testing.faulty rename:3:kill archive-run …``."""

from __future__ import annotations

import sys

from dayfile import cli
from dayfile.errors import UsageError
from dayfile.testing.faults import Fault, inject

__all__ = ["main"]

COMMANDS = {"archive-run": cli.archive_run, "dayfile": cli.main}


def main() -> None:
    """Run the command that the arguments name after the fault."""
    _, text, command, *arguments = sys.argv
    if command not in COMMANDS:
        raise UsageError(f"{command!r} is neither archive-run nor dayfile")
    sys.argv = [command, *arguments]
    with inject(Fault.parse(text)):
        COMMANDS[command]()


if __name__ == "__main__":
    main()
