"""Find out whether uploads can be stored, or the engine works, for ``/healthz``."""

from __future__ import annotations

import os
import time

from dayfile.archive.root import Root
from dayfile.archive.space import measure_space
from dayfile.errors import StorageError
from dayfile.messages import format_age, plural
from dayfile.settings import CoreSettings
from dayfile.state.files import ENGINE, read_state, state_directory
from dayfile.state.records import EngineState

__all__ = ["HEALTH_PATH", "find_engine_trouble", "find_obstacle"]

HEALTH_PATH = "/healthz"


def find_obstacle(root: Root, settings: CoreSettings) -> str:
    """Return why an upload could not be stored now; empty if it could.

    Nothing is written, so frequent requests are cheap.

    Parameters
    ----------
    root : Root
        The archive.
    settings : CoreSettings
        The longest body, ``serve.body_limit``, must have room; on a disk that may be fuller, by ``disk.least_free``,
        only that must be free.
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
    room = min(settings.serve_body_limit, settings.disk_least_free)
    if left.free < room:
        return f"the disk has less than {plural(room, 'byte')} left"
    if not left.takes_files:
        return "the file system has no room for another file"
    return ""


def find_engine_trouble(root: Root) -> str:
    """Return why the engine of this process does not go on; empty if it does."""
    try:
        root.check_there()
        state = read_state(state_directory(root) / ENGINE, EngineState)
    except StorageError as error:
        return error.message
    if state is None or state.process.pid != os.getpid():
        return "the state of the watch is missing"
    late = time.time() - state.beat
    if late > state.patience:
        return f"no sign of life for {format_age(late)}; it was {state.doing}"
    return f"waits for {state.waits_for}" if state.waits_for else ""
