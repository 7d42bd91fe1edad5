"""Where sources come from: paths on the command line, and the archive's own ``incoming/``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.root import Root
from dayfile.errors import UsageError

__all__ = ["Arrival", "arrivals", "given_files"]


@dataclass(frozen=True)
class Arrival:
    """A file that a run will take.

    Parameters
    ----------
    path : Path
        Where it lies.
    ours : bool
        Whether it lies in the archive and is removed once its records are published; files given on the command line
        are not ours.
    """

    path: Path
    ours: bool

    @property
    def name(self) -> str:
        """The name it arrived under."""
        return self.path.name


def given_files(paths: Iterable[Path]) -> list[Path]:
    """The files of paths given on the command line; those of a directory, and of directories in it, by name.

    Raises
    ------
    UsageError
        A path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(visible_files(path))
        elif path.exists():
            found.append(path)
        else:
            raise UsageError("there is no such file or directory", where=path)
    return found


def visible_files(directory: Path) -> list[Path]:
    """Files below a directory, by path; hidden ones (.name) are somebody's unfinished work."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )


def arrivals(root: Root, given: Iterable[Path]) -> Iterator[Arrival]:
    """Everything a run has to take: what an earlier run had accepted, what arrived, what was given.

    A file from ``incoming/`` is renamed to ``accepted/`` when its turn comes.
    """
    for path in visible_files(root.accepted):
        yield Arrival(path, ours=True)
    for path in visible_files(root.incoming):
        yield Arrival(accept(root, path), ours=True)
    for path in given:
        yield Arrival(path, ours=False)


def accept(root: Root, path: Path) -> Path:
    """Rename a file from ``incoming/`` to ``accepted/``, below a numbered directory if its name is taken."""
    target = root.accepted / path.name
    number = 0
    while target.exists():
        number += 1
        target = root.accepted / str(number) / path.name
    disk.make_directory(target.parent)
    disk.rename(path, target)
    return target
