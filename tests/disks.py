"""Disks that are small, and disks that fill up; they are mounted, which only root may do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from running import run_command


def mount(*words: str) -> None:
    """Mount a file system, or skip."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a file system")
    done = run_command("mount", *words)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")


def fill_up(disk: Path, free: int) -> Path:
    """Take all the space of a file system except ``free`` bytes, in pages of 4096; return the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    os.truncate(ballast, ballast.stat().st_size - free)
    return ballast
