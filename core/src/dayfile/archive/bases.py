"""Base directories: day files of an instrument outside the archive, in a directory named by an environment variable.

Below the archive's root is a link to that directory. A file in it names the archive that it belongs to. So two archives
cannot share one, and a bare mount point is not mistaken for the file system that should be mounted there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.identity import refuse_url
from dayfile.archive.root import Root, resolve_links
from dayfile.errors import StorageError, UsageError
from dayfile.model.datatype import DataType
from dayfile.model.places import DIRECTORIES
from dayfile.stores.sharing import list_day_files

__all__ = ["check_bases", "check_links", "check_mounted", "link_base"]

CLAIM = ".archive"


def check_bases(root: Root, variables: Mapping[str, str]) -> None:
    """Refuse base directories that cannot be used, without changing anything.

    Parameters
    ----------
    root : Root
        The archive.
    variables : mapping of str to str
        Directories below the root that may be elsewhere, each with the environment variable that names its place.

    Raises
    ------
    UsageError
        A variable names a URL, a directory of the archive, or the place of other day files, which would be found twice.
    StorageError
        As for :func:`check_mounted`.
    """
    for name in variables:
        check_mounted(root, name)
    named = {name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)}
    for directory in named.values():
        refuse_url(directory)
    if not named:
        return
    top = resolve_links(root.path)
    places = {name: top / name for name in variables}
    places |= {name: place for place, names in root.find_elsewhere().items() for name in names}
    places |= {name: resolve_links(Path(directory)) for name, directory in named.items()}
    for name, directory in named.items():
        place = places[name]
        if place == top / name:  # where they would be without a variable
            continue
        working = [top / each for each in (*DIRECTORIES, name)]
        # Two instruments may have one directory, if it is elsewhere for both.
        others = [other for key, other in places.items() if key != name and (other != place or other == top / key)]
        if top.is_relative_to(place) or any(
            place.is_relative_to(other) or other.is_relative_to(place) for other in [*working, *others]
        ):
            message = (
                f"{variables[name]} says {directory}, which is, holds or is inside a directory that the archive uses "
                f"for something else; name another one for the day files of {name}, or unset {variables[name]}"
            )
            raise UsageError(message, where=root.path)


def check_links(root: Root, types: Iterable[DataType]) -> None:
    """Refuse data types whose day files have different paths but are one file, because of links below the root.

    Raises
    ------
    UsageError
        Two types would share a day file.
    """
    if not root.find_elsewhere():
        return
    taken: dict[Path, tuple[str, str]] = {}
    for data_type in types:
        for path in list_day_files(data_type):
            other, name = taken.setdefault(resolve_links(root.path / path), (path, data_type.name))
            if other != path:
                message = (
                    f"{path} of {data_type.name} and {other} of {name} are one file, as links below the archive lead "
                    "to one directory; give each a directory of its own"
                )
                raise UsageError(message, where=root.path)


def check_mounted(root: Root, name: str) -> None:
    """Check that a directory of day files outside the archive is there, not only its bare mount point.

    Raises
    ------
    StorageError
        The link to it leads nowhere, or to a directory that names no archive.
    """
    link = root.path / name
    if not link.is_symlink():
        return
    with disk.storage_errors("look for the day files", link):
        there = (link / CLAIM).exists()
    if not there:
        missing = resolve_links(link) / CLAIM
        message = (
            f"the day files of {name} are in {missing.parent}, but {missing} is missing, as if that were not mounted; "
            f"mount it and run again. If they were moved, remove {link} and name their new directory; "
            f"if they are to be there all the same, make {missing} as an empty file"
        )
        raise StorageError(message, where=root.path)


def link_base(root: Root, name: str, target: Path, variable: str) -> None:
    """Move a directory of day files outside the archive, and put a link to it below the root.

    Parameters
    ----------
    root : Root
        The archive, locked.
    name : str
        The directory below the root.
    target : Path
        Its place; made if absent. May be on another file system.
    variable : str
        The environment variable that names the place, for messages.

    Raises
    ------
    UsageError
        Its day files are in another place already, or the directory belongs to another archive.
    """
    link, target = root.path / name, target.absolute()
    there = disk.exists(link) and disk.exists(target) and link.samefile(target)
    if not there and (link.is_symlink() or (link.is_dir() and any(link.iterdir()))):
        message = (
            f"{variable} says that the day files of {name} are in {target}, but they are in {link.resolve()}; "
            f"move them there and remove {link}, or unset {variable}"
        )
        raise UsageError(message, where=root.path)
    disk.make_directory(target)
    claim_directory(root, target, variable)
    if link.exists() and link.samefile(target):
        return
    with disk.storage_errors("link", link):
        if link.exists():
            link.rmdir()
        link.symlink_to(target)
    disk.sync(root.path)


def claim_directory(root: Root, target: Path, variable: str) -> None:
    """Write into a directory which archive it belongs to: two archives would replace each other's day files."""
    path, mine = target / CLAIM, str(root.path.resolve())
    with disk.storage_errors("read", path):
        theirs = path.read_text(encoding="utf-8") if path.exists() else ""
    if theirs not in {"", mine}:
        message = (
            f"{variable} says {target}, but that directory belongs to the archive {theirs}; "
            f"if that is this archive under another name, empty {path}"
        )
        raise UsageError(message, where=root.path)
    if not theirs:
        with disk.storage_errors("write", path):
            path.write_text(mine, encoding="utf-8")
        disk.sync(target)
