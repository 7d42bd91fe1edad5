"""Base directories: day files of an instrument that are outside the archive, in a directory of an environment variable.

Below the archive's root is a link to that directory. A file in it names the archive that it belongs to: so two archives
do not share one, and a bare mount point is told from the file system that should be mounted there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.identity import refuse_url
from dayfile.archive.root import Root, real
from dayfile.errors import StorageError, UsageError
from dayfile.model.datatype import DataType
from dayfile.model.places import DIRECTORIES
from dayfile.stores.sharing import list_day_files

__all__ = ["check_bases", "check_links", "link_base", "look_for"]

CLAIM = ".archive"


def check_bases(root: Root, variables: Mapping[str, str]) -> None:
    """Refuse base directories that day files cannot have; nothing is changed.

    Parameters
    ----------
    root : Root
        The archive.
    variables : mapping of str to str
        Directories below the root that may be elsewhere, and the environment variable that can say where.

    Raises
    ------
    UsageError
        A variable names a URL, what is the archive's own, or the place of other day files: files would be found twice.
    StorageError
        As for :func:`look_for`.
    """
    for name in variables:
        look_for(root, name)
    told = {name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)}
    for said in told.values():
        refuse_url(said)
    if not told:
        return
    top = real(root.path)
    places = {name: top / name for name in variables}
    places |= {name: place for place, names in root.elsewhere().items() for name in names}
    places |= {name: real(Path(said)) for name, said in told.items()}
    for name, said in told.items():
        place = places[name]
        if place == top / name:  # where they would be without a variable
            continue
        working = [top / directory for directory in (*DIRECTORIES, name)]
        # Two instruments may have one directory, if it is elsewhere for both.
        others = [other for key, other in places.items() if key != name and (other != place or other == top / key)]
        if top.is_relative_to(place) or any(
            place.is_relative_to(other) or other.is_relative_to(place) for other in [*working, *others]
        ):
            message = (
                f"{variables[name]} says {said}, which is, holds or lies in a directory that the archive has for "
                f"something else; name another one for the day files of {name}, or unset {variables[name]}"
            )
            raise UsageError(message, where=root.path)


def check_links(root: Root, types: Iterable[DataType]) -> None:
    """Refuse data types of different paths whose day files would be one file, as links below the root lead together.

    Raises
    ------
    UsageError
        Two types would share a day file.
    """
    if not root.elsewhere():
        return
    taken: dict[Path, tuple[str, str]] = {}
    for data_type in types:
        for path in list_day_files(data_type):
            other, name = taken.setdefault(real(root.path / path), (path, data_type.name))
            if other != path:
                message = (
                    f"{path} of {data_type.name} and {other} of {name} are one file, as links below the archive lead "
                    "to one directory; give each a directory of its own"
                )
                raise UsageError(message, where=root.path)


def look_for(root: Root, name: str) -> None:
    """Make sure that a directory of day files that is elsewhere can be seen, and not only where it was mounted.

    Raises
    ------
    StorageError
        The link to it leads nowhere, or to a directory that does not say whose it is.
    """
    link = root.path / name
    if not link.is_symlink():
        return
    with disk.storage_errors("look for the day files", link):
        there = (link / CLAIM).exists()
    if not there:
        missing = real(link) / CLAIM
        message = (
            f"the day files of {name} are in {missing.parent}, but {missing} is missing, as if that were not mounted; "
            f"mount it and run again. If they were moved, remove {link} and name their new directory; "
            f"if they are to be there all the same, make {missing} as an empty file"
        )
        raise StorageError(message, where=root.path)


def link_base(root: Root, name: str, target: Path, told_by: str) -> None:
    """Let a directory of day files be elsewhere: below the root is a link to it.

    Parameters
    ----------
    root : Root
        The archive, locked.
    name : str
        The directory below the root.
    target : Path
        Where it is to be; made if absent. May be on another file system.
    told_by : str
        Who says so, for messages.

    Raises
    ------
    UsageError
        Its day files are in another place already, or the directory is another archive's.
    """
    link, target = root.path / name, target.absolute()
    there = disk.exists(link) and disk.exists(target) and link.samefile(target)
    if not there and (link.is_symlink() or (link.is_dir() and any(link.iterdir()))):
        message = (
            f"{told_by} says that the day files of {name} are in {target}, but they are in {link.resolve()}; "
            f"move them there and remove {link}, or unset {told_by}"
        )
        raise UsageError(message, where=root.path)
    disk.make_directory(target)
    claim(root, target, told_by)
    if link.exists() and link.samefile(target):
        return
    with disk.storage_errors("link", link):
        if link.exists():
            link.rmdir()
        link.symlink_to(target)
    disk.sync(root.path)


def claim(root: Root, target: Path, told_by: str) -> None:
    """Write into a directory elsewhere whose it is: two archives would replace each other's day files."""
    path, mine = target / CLAIM, str(root.path.resolve())
    with disk.storage_errors("read", path):
        theirs = path.read_text(encoding="utf-8") if path.exists() else ""
    if theirs not in {"", mine}:
        message = (
            f"{told_by} says {target}, but that directory is of the archive {theirs}; "
            f"if that is this archive under another name, empty {path}"
        )
        raise UsageError(message, where=root.path)
    if not theirs:
        with disk.storage_errors("write", path):
            path.write_text(mine, encoding="utf-8")
        disk.sync(target)
