# ruff: noqa: INP001 - a script, not a package
"""The pictures of the page "Look at an archive": made by the commands and lines of the page itself.

The build of the documentation runs this; ``python docs/pictures.py DIRECTORY`` makes them anywhere.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

PAGE = Path(__file__).with_name("looking.md")
PICTURES = Path(__file__).with_name("pictures")
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def make_pictures(directory: Path) -> list[Path]:
    """Follow the page in an empty directory, and keep the pictures that its commands made."""
    directory.mkdir(parents=True, exist_ok=True)
    names: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            if language == "console":
                run_commands(text)
            else:
                run_lines(text, names)
        return [Path(shutil.copy(path, directory)) for path in sorted(Path().glob("*.svg"))]


def run_commands(text: str) -> None:
    """Run the commands of a block, except those that install."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DAYFILE_")}
    for line in text.splitlines():
        if line.startswith("$ ") and not line.startswith("$ pip"):
            done = subprocess.run(  # noqa: S602 - of our own page
                line[2:], shell=True, env={**variables, "PATH": path}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{line}\n{done.stdout}{done.stderr}")


def run_lines(text: str, names: dict[str, object]) -> None:
    """Run the Python lines of a block; what they print is compared by the tests."""
    for example in doctest.DocTestParser().get_examples(text):
        exec(compile(example.source, PAGE.name, "single"), names)  # noqa: S102 - of our own page


if __name__ == "__main__":
    for made in make_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES):
        sys.stdout.write(f"{made}\n")
