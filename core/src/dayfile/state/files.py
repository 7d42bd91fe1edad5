"""The files of the record of state, below ``.state/`` of an archive: one a process, replaced at most once a second.

They are not data: nothing is synced, a write that fails is reported once and stops nothing, and any of them may be
deleted. Readers open them without a lock.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any, TypeVar

from dayfile.archive.directories import list_directory, refuse
from dayfile.archive.identity import identify_place
from dayfile.archive.root import Root
from dayfile.errors import StorageError
from dayfile.state.records import EngineState, ReceiverState

__all__ = ["ENGINE", "RECEIVER", "StateFile", "list_receivers", "make_state_directory", "read_state", "state_directory"]

ENGINE, RECEIVER = "engine.json", "receiver-"
"""The name of the engine's file, and the beginning of those of receivers."""
WRITE_SECONDS = 1.0
"""Between two writes of a file."""
FILE_BLOCK = 4096
"""A file is padded to a multiple of this, so that a full disk has room for it in its own place."""
TRIES, READ_AGAIN_AFTER = 5, 0.02
"""How often a file is read that is being changed in place, and how long to wait in between."""

ADAPTERS: dict[type, Any] = {}
"""What converts each kind of state to and from JSON, made when it is first used."""

AnyState = TypeVar("AnyState", EngineState, ReceiverState)

logger = logging.getLogger(__name__)


def state_directory(root: Root) -> Path:
    """Return the directory of the state of an archive."""
    return root.path / ".state"


def make_state_directory(root: Root) -> bool:
    """Make the directory of the state if it is missing; return False if the archive is no longer the one opened here.

    Where its file system was unmounted, nothing may be written.
    """
    with suppress(OSError, StorageError):
        root.check_there()
        with suppress(FileExistsError):
            state_directory(root).mkdir()
        return True
    return False


def find_adapter(kind: type) -> Any:  # noqa: ANN401 - pydantic's own, of any kind
    """Return what converts a kind of state to and from JSON."""
    if kind not in ADAPTERS:
        from pydantic import TypeAdapter

        ADAPTERS[kind] = TypeAdapter(kind)
    return ADAPTERS[kind]


class StateFile:
    """The file of one program, which that program alone writes.

    Parameters
    ----------
    root : Root
        The archive.
    name : str
        Name of the file.
    """

    def __init__(self, root: Root, name: str) -> None:
        self.root = root
        self.path = state_directory(root) / name
        self.wrote = 0.0
        self.failed = False

    @property
    def due_in(self) -> float:
        """Return in how many seconds it may be written; 0 if it may be now."""
        return max(0.0, self.wrote + WRITE_SECONDS - time.monotonic())

    def write(self, state: EngineState | ReceiverState) -> None:
        """Replace the file in one step. An error is logged once, and nothing else: see the module."""
        self.wrote = time.monotonic()
        state.place = identify_place(self.root.path)
        content = json.dumps(find_adapter(type(state)).dump_python(state)).encode()  # escapes what is not Unicode
        content += b" " * (-(len(content) + 1) % FILE_BLOCK) + b"\n"
        if not make_state_directory(self.root):
            return
        try:
            self._replace(content)
        except OSError as error:
            if error.errno in {ENOSPC, EDQUOT} and self._write_in_place(content):
                return
            if not self.failed:
                logger.warning("%s: cannot be written (%s); dayfile status lacks it", self.path, error.strerror)
            self.failed = True

    def _replace(self, content: bytes) -> None:
        making = self.path.with_name(f".{self.path.name}")
        making.write_bytes(content)
        making.replace(self.path)
        self.failed = False

    def _write_in_place(self, content: bytes) -> bool:
        """Write over the file, which needs no room on most file systems; return whether that was possible."""
        with suppress(OSError):
            self.path.with_name(f".{self.path.name}").unlink()
        try:
            with self.path.open("r+b", buffering=0) as file:
                if os.fstat(file.fileno()).st_size < len(content):
                    return False
                file.write(content)
                file.truncate(len(content))
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Remove the file, if it exists."""
        with suppress(OSError):
            self.path.unlink()


def read_state(path: Path, kind: type[AnyState]) -> AnyState | None:
    """Read the state of a program; None if it has left none, or one that this version cannot read.

    Also None if the state was copied together with the archive: it is of the programs of the original.

    Raises
    ------
    StorageError
        The file may not be read.
    """
    for _ in range(TRIES):
        try:
            found: AnyState = find_adapter(kind).validate_python(json.loads(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            refuse(path, error)
        except ValueError:  # being changed in place, or damaged
            time.sleep(READ_AGAIN_AFTER)
        else:
            copied = found.place and found.place != identify_place(path.parent.parent)
            return None if copied else found
    return None


def list_receivers(root: Root) -> list[Path]:
    """List the files of receivers; StorageError if the directory may not be listed."""
    listed = list_directory(state_directory(root)) or ()
    return [Path(entry.path) for entry in listed if entry.name.startswith(RECEIVER)]
