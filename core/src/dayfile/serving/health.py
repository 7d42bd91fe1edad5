"""Find out whether uploads can be stored, for ``/healthz``."""

from __future__ import annotations

import os

from dayfile.archive.root import Root
from dayfile.archive.space import measure_space
from dayfile.errors import StorageError
from dayfile.messages import plural

__all__ = ["PATH", "find_obstacle"]

PATH = "/healthz"


def find_obstacle(root: Root, room: int) -> str:
    """Return why an upload could not be stored now; empty if it could.

    Nothing is written, so frequent requests are cheap.

    Parameters
    ----------
    root : Root
        The archive.
    room : int
        Bytes that must be free, such as ``serve.body_limit``.
    """
    try:
        root.check_there()
    except StorageError as error:
        return error.message
    try:
        left = measure_space(root.incoming)
    except OSError as error:
        return f"incoming/ cannot be reached: {error.strerror}"
    if left.read_only:
        return "incoming/ is on a file system that is mounted read-only"
    if not os.access(root.incoming, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return "incoming/ is not writable"
    if left.free < room:
        return f"the disk has less than {plural(room, 'byte')} left"
    if not left.takes_files:
        return "the file system has no room for another file"
    return ""
