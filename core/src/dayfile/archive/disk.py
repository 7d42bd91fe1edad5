"""Every change the archive makes on disk: durable writes, copies, renames.

The guarantees after a crash depend on these few functions, so all changes go through them.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EEXIST, EINVAL, EMFILE, ENFILE, ENOMEM, ENOSPC, ENOSYS, ENOTDIR, ENOTEMPTY, EROFS
from functools import cache
from pathlib import Path
from stat import S_ISLNK
from typing import BinaryIO, cast

from dayfile.archive.space import describe_full
from dayfile.errors import StorageError

__all__ = [
    "PRIVATE_DIRECTORY",
    "PRIVATE_FILE",
    "append",
    "begin_sync",
    "bring_near",
    "close_to_others",
    "concerns_the_disk",
    "copy",
    "exists",
    "make_directory",
    "move",
    "move_into",
    "open_for_writing",
    "rename",
    "replace",
    "step",
    "storage_errors",
    "sync",
    "sync_file",
    "sync_names",
    "unlink",
    "watch_steps",
    "write",
]

COPY_BLOCK = 2**30
SYNC_FILE_RANGE_WRITE = 2
AT_FDCWD, RENAME_NOREPLACE = -100, 1
OTHERS = 0o007
PRIVATE_DIRECTORY = 0o777 & ~OTHERS
PRIVATE_FILE = 0o666 & ~OTHERS
"""Modes, before the umask, of what other users must not read: input may contain anything. Usually 0750 and 0640."""

logger = logging.getLogger(__name__)
observers: list[Callable[[str, Path], None]] = []


@contextmanager
def watch_steps(observer: Callable[[str, Path], None]) -> Iterator[None]:
    """Call ``observer`` with kind and path before every step on disk, for tests of what a crash leaves behind.

    Kinds are ``write``, ``fsync``, ``rename``, ``copy``, ``open`` and ``unlink``. The step raises what the observer
    raises: an OSError looks like the disk's own.
    """
    observers.append(observer)
    try:
        yield
    finally:
        observers.remove(observer)


def step(kind: str, path: Path) -> None:
    """Notify observers of the next step."""
    for observer in observers:
        observer(kind, path)


STAYS = "input stays where it is until this is fixed"
"""What is said when something could not be written: by a run, a watch that waits, or for a client that sends again."""


@contextmanager
def storage_errors(action: str, path: Path) -> Iterator[None]:
    """Convert an OSError to a StorageError that says what failed where."""
    try:
        yield
    except OSError as error:
        cause = f"{error.strerror or error}{describe_full(error.errno, path)}"
        raise StorageError(f"could not {action}: {cause}; {STAYS}", where=path) from error


def concerns_the_disk(error: OSError) -> bool:
    """Return whether an error is of the disk or the process, so that the next file would fail as well."""
    return error.errno in {ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE, ENOMEM}


def sync(path: Path) -> None:
    """Force a file's or directory's content to disk."""
    with storage_errors("sync to disk", path):
        step("fsync", path)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(descriptor: int, path: Path) -> None:
    """Force the content of an open file to disk; if it is there already, this costs a flush of the disk's cache."""
    with storage_errors("sync to disk", path):
        step("fsync", path)
        getattr(os, "fdatasync", os.fsync)(descriptor)  # not every system has both


def begin_sync(path: Path) -> None:
    """Ask the system to begin writing a file's content to disk, without waiting: :func:`sync` is faster then.

    On systems other than Linux it does nothing. OSError if the file cannot be opened.
    """
    function = load_sync_file_range()
    if function is not None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            function(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE)  # of the whole file; failure is harmless
        finally:
            os.close(descriptor)


@cache
def load_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Load the function of Linux that Python does not have; None elsewhere."""
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint
    return cast("Callable[[int, int, int, int], int]", function)


def make_directory(path: Path, *, private: bool = False) -> None:
    """Make a directory and those above it; durable once the caller syncs its files there.

    A ``private`` directory is closed to other users; an existing one is left as it is.
    """
    with storage_errors("make the directory", path):
        if path.is_dir():
            return
        missing = [path, *(parent for parent in path.parents if not parent.exists())]
        path.mkdir(PRIVATE_DIRECTORY if private else 0o777, parents=True, exist_ok=True)
    for made in missing:
        sync(made.parent)


def close_to_others(path: Path) -> bool:
    """Remove all permissions of other users for a file or directory of this user; True if they had any.

    An absent path, a link, or a file of another user is left as it is.
    """
    try:
        found = path.lstat()
        if S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or not found.st_mode & OTHERS:
            return False
        path.chmod(found.st_mode & 0o7777 & ~OTHERS)
    except OSError:
        return False
    return True


def write(path: Path, content: bytes | Iterable[bytes], *, private: bool = False) -> None:
    """Write a new file, given whole or in parts, and force it to disk; the caller syncs its directory."""
    with storage_errors("write", path), open_for_writing(path, "xb", private=private) as file:
        step("write", path)
        file.writelines([content] if isinstance(content, bytes) else content)
        file.flush()
        step("fsync", path)
        os.fsync(file.fileno())


def open_for_writing(path: Path, mode: str, *, private: bool) -> BinaryIO:
    """Open a file for writing; a new ``private`` file is closed to other users."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, PRIVATE_FILE if private else 0o666)

    return cast("BinaryIO", open(os.fspath(path), mode, opener=opener))


def append(path: Path, content: bytes) -> None:
    """Append to a file and force it to disk."""
    with storage_errors("write", path), path.open("ab") as file:
        step("write", path)
        file.write(content)
        file.flush()
        step("fsync", path)
        os.fsync(file.fileno())


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, by reflink where the file system can."""
    with storage_errors("copy", target), source.open("rb") as old, target.open("wb") as new:
        step("copy", target)
        left = os.fstat(old.fileno()).st_size
        try:
            while left > 0:
                done = os.copy_file_range(old.fileno(), new.fileno(), min(left, COPY_BLOCK))
                if done == 0:
                    break
                left -= done
        except OSError:
            # Not across these file systems, or not in this kernel: copy the rest.
            old.seek(new.seek(0, os.SEEK_END))
            shutil.copyfileobj(old, new)


def exists(path: Path) -> bool:
    """Return whether a path exists; StorageError if that cannot be seen."""
    with storage_errors("look for", path):
        return path.exists()


def rename(old: Path, new: Path) -> None:
    """Rename within a file system, replacing an existing file, and make it durable."""
    with storage_errors("rename into place", new):
        step("rename", new)
        old.replace(new)
    sync(new.parent)


def bring_near(made: Path, target: Path) -> Path:
    """Copy a file to the file system of its target, under a hidden name beside it, as a rename cannot cross systems."""
    with storage_errors("look at", target.parent):
        if made.parent.stat().st_dev == target.parent.stat().st_dev:
            return made
    near = target.with_name(f".{target.name}")
    unlink(near)
    try:
        if exists(target):  # nobody else may read it before it has the mode of the target
            write(near, b"", private=True)
        copy(made, near)
    except StorageError:
        unlink(near)  # it takes room
        raise
    unlink(made)
    return near


def replace(made: Path, target: Path) -> None:
    """Replace a file by another one on the same file system, durably, with the mode, group and owner of the old file.

    Owner and group change where this user may not set them. The name must not be a link: it would become a file.
    """
    with storage_errors("give mode and group to", made):
        try:
            old = target.stat()
        except FileNotFoundError:
            pass
        else:
            keep_access(made, old)
    rename(made, target)


def keep_access(path: Path, old: os.stat_result) -> None:
    """Give a file the owner, group and mode of another one, as far as this user may."""
    mode = old.st_mode & 0o777
    now = path.stat()
    if now.st_uid != old.st_uid:
        with suppress(PermissionError):
            os.chown(path, old.st_uid, -1)
    if now.st_gid != old.st_gid:
        try:
            os.chown(path, -1, old.st_gid)
        except PermissionError:
            mode &= ~0o070 | (mode & OTHERS) << 3  # the permissions were not meant for this user's group
            logger.warning("%s: its group %d cannot be kept, as this user is not in it", path, old.st_gid)
    if path.stat().st_mode & 0o777 != mode:
        path.chmod(mode)


def move(old: Path, new: Path) -> None:
    """Rename a file or directory on the same file system, without ever replacing anything.

    Where neither the system nor the file system supports RENAME_NOREPLACE, a file gets its new name as a link, and then
    loses its old one: a process killed in between leaves both. The caller syncs its content before, and the directories
    after.

    Raises
    ------
    FileExistsError
        The new name is taken.
    OSError
        Any other error of the system; the file has its old name.
    """
    step("rename", new)
    sys.audit("os.rename", str(old), str(new), -1, -1)
    if rename_noreplace(old, new):
        return
    if old.is_dir() and not old.is_symlink():
        move_directory(old, new)
        return
    os.link(old, new, follow_symlinks=False)
    try:
        step("unlink", old)
        old.unlink()
    except OSError:
        new.unlink()
        raise


def move_directory(old: Path, new: Path) -> None:
    """Rename a directory, which at most replaces an empty one."""
    try:
        old.rename(new)
    except OSError as error:
        if error.errno in {ENOTEMPTY, ENOTDIR, EEXIST}:
            raise FileExistsError(EEXIST, os.strerror(EEXIST), str(new)) from error
        raise


def rename_noreplace(old: Path, new: Path) -> bool:
    """Rename without replacing, in one step; False where the system or the file system cannot."""
    function = load_renameat2()
    if function is None:
        return False
    if function(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in {ENOSYS, EINVAL}:
        return False
    raise OSError(number, os.strerror(number), str(old), None, str(new))


@cache
def load_renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """Load the function of Linux that Python does not have; None elsewhere."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
    return cast("Callable[[int, bytes, int, bytes, int], int]", function)


def move_into(old: Path, directory: Path, name: str | None = None) -> Path:
    """Move a file into a directory, or a numbered one below it if its name is taken, without replacing anything.

    Returns
    -------
    Path
        Its new path. The caller syncs the directories: see :func:`sync_names`.

    Raises
    ------
    OSError
        It could not be moved, and is left in place.
    """
    name = name or old.name
    number = 0
    while True:
        place = directory / str(number) if number else directory
        try:
            if number:
                place.mkdir(exist_ok=True)
            if not os.path.lexists(place / name):
                move(old, place / name)
                return place / name
        except FileNotFoundError:
            if not number or place.is_dir() or not os.path.lexists(old):
                raise
            continue  # somebody removed the directory while it was empty
        except (FileExistsError, NotADirectoryError):
            pass  # somebody took the name, or a file is called like the numbered directory
        except PermissionError:
            if not number or os.access(place, os.W_OK | os.X_OK, effective_ids=True):
                raise
        except OSError:
            if number:
                with suppress(OSError):
                    place.rmdir()
            raise
        number += 1


def sync_names(directory: Path, moved: Iterable[Path]) -> None:
    """Make the new names of files durable that :func:`move_into` moved into a directory."""
    places = {path.parent for path in moved}
    if places - {directory}:
        places.add(directory)
    for place in sorted(places):
        sync(place)


def unlink(path: Path) -> None:
    """Remove a file, if it exists."""
    with storage_errors("remove", path):
        step("unlink", path)
        path.unlink(missing_ok=True)
