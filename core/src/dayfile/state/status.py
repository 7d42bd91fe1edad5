"""The status of an archive, from its record of state: what its programs do, and what needs attention."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from dayfile.archive.root import Root
from dayfile.errors import StorageError
from dayfile.state.attention import Concern, find_concerns
from dayfile.state.files import ENGINE, list_receivers, read_state, state_directory
from dayfile.state.keys import KeyName, Newest, read_keys
from dayfile.state.measuring import Measure, Measured, find_day
from dayfile.state.records import LATE_SECONDS, EngineState, LastError, ReceiverState
from dayfile.state.silence import Ages, Silence, check_ages, find_silent, read_key

__all__ = ["ArchiveStatus", "EngineStatus", "ReceiverStatus", "make_status"]

STALE_SECONDS = 60.0
"""Age of a measurement from which it is made again."""
TIMES = frozenset({"at", "since", "beat", "ended", "last", "last_taken", "last_stored", "oldest", "unpublished_since"})
"""Names of what is a time, in seconds since 1970."""


@dataclass(frozen=True)
class EngineStatus:
    """The engine: the program that writes day files, or the last one that did.

    Parameters
    ----------
    state : EngineState
        What it says of itself.
    alive : bool
        Whether it is working.
    """

    state: EngineState
    alive: bool


@dataclass(frozen=True)
class ReceiverStatus:
    """The receiver: all its processes together, and those of today that have ended.

    Parameters
    ----------
    alive : bool
        Whether any of them is working.
    killed : bool
        Whether the last one ended, and not by itself.
    processes : int
        How many are working.
    address : str
        Where it listens; empty if that is not known.
    since, beat : float
        When the oldest that works was started, and the last sign of life.
    stored, bytes : int
        Uploads of today that were stored, and their bytes.
    last_stored : float or None
        When the last one was stored.
    refused : dict of str to int
        Uploads of today that were not stored, by the reason.
    last_error : LastError or None
        The last upload that could not be stored through a fault of this machine.
    """

    alive: bool
    killed: bool
    processes: int
    address: str
    since: float
    beat: float
    stored: int
    bytes: int
    last_stored: float | None
    refused: dict[str, int]
    last_error: LastError | None


@dataclass(frozen=True)
class ArchiveStatus:
    """The status of an archive.

    Parameters
    ----------
    archive : str
        Its path.
    at : float
        When it was asked for, seconds since 1970.
    measured : Measured
        Disk, queue and quarantine, as a program that works has seen them within the last minute, else as they are now.
    engine : EngineStatus or None
        None if no engine has left a state yet.
    receiver : ReceiverStatus or None
        None if no receiver has.
    silence : Silence
        Keys without new records.
    keys : dict
        The newest record and last arrival, by data type and key.
    concerns : list of Concern
        What needs attention.
    """

    archive: str
    at: float
    measured: Measured
    engine: EngineStatus | None
    receiver: ReceiverStatus | None
    silence: Silence
    keys: dict[KeyName, Newest]
    concerns: list[Concern] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, with times as ISO text in UTC."""
        content = asdict(replace(self, keys={}))
        content["keys"] = [
            {
                "type": data_type,
                "key": read_key(key),
                "record": format_nanoseconds(each.record),
                "arrival": format_nanoseconds(each.arrival),
            }
            for (data_type, key), each in self.keys.items()
        ]
        content["measured"] |= {"days_left": self.measured.days_left}
        content["measured"].pop("samples")
        if self.engine is not None:
            content["engine"]["state"].pop("measured")
        found: dict[str, Any] = convert_times(content)
        return found


def make_status(root: Root, ages: Ages = Ages()) -> ArchiveStatus:  # noqa: B008 - it is frozen
    """Read the record of state of an archive. It takes no lock, and opens neither catalogue nor day files.

    Parameters
    ----------
    root : Root
        The archive.
    ages : Ages
        How old the newest record of a key may be.

    Raises
    ------
    StorageError
        No archive is here, or its state may not be read.
    UsageError
        No key is known of a type that has an age of its own.
    """
    if problem := root.problem():
        raise StorageError(problem, where=root.path)
    now = time.time()
    directory = state_directory(root)
    found = read_state(directory / ENGINE, EngineState)
    engine = None if found is None else EngineStatus(found, is_working(found, now))
    states = [state for path in list_receivers(root) if (state := read_state(path, ReceiverState)) is not None]
    receiver = combine_receivers(states, now)
    programs: list[EngineState | ReceiverState] = [*([found] if found else []), *states]
    measured = [each.measured for each in programs if each.measured is not None]
    latest = max(measured, key=lambda each: each.at, default=None)
    works = (engine is not None and engine.alive) or (receiver is not None and receiver.alive)
    if latest is None or not works or now - latest.at > STALE_SECONDS:
        latest = measure_now(root, latest)
    keys = read_keys(root)
    check_ages(ages, keys)
    silence = find_silent(keys, now, ages)
    concerns = find_concerns(now, latest, engine, receiver, silence, ages)
    return ArchiveStatus(str(root.path), now, latest, engine, receiver, silence, keys, concerns)


def is_working(state: EngineState | ReceiverState, now: float) -> bool:
    """Return whether a program works. One that cannot be seen from here has given a sign of life a short time ago."""
    if state.ended is not None:
        return False
    alive = state.process.is_alive()
    patience = state.patience if isinstance(state, EngineState) else LATE_SECONDS
    return now - state.beat < patience if alive is None else alive


def combine_receivers(states: list[ReceiverState], now: float) -> ReceiverStatus | None:
    """Combine what the processes of a receiver say."""
    if not states:
        return None
    alive = [state for state in states if is_working(state, now)]
    last = max(states, key=lambda state: state.beat)
    # The first process of the last receiver: if that was killed, the others end by themselves.
    first = max([state for state in states if state.address] or states, key=lambda state: state.since)
    of_today = [state for state in states if state.day == find_day(now)]
    refused: Counter[str] = Counter()
    for state in of_today:
        refused.update({reason: each.number for reason, each in state.refused.items()})
    return ReceiverStatus(
        alive=bool(alive),
        killed=is_killed(first, now),
        processes=len(alive),
        address=next((state.address for state in alive if state.address), ""),
        since=min(state.since for state in alive or [last]),
        beat=last.beat,
        stored=sum(state.stored for state in of_today),
        bytes=sum(state.bytes for state in of_today),
        last_stored=max((state.last_stored for state in states if state.last_stored), default=None),
        refused=dict(refused.most_common()),
        last_error=max((state.last_error for state in states if state.last_error), key=lambda e: e.at, default=None),
    )


def is_killed(state: ReceiverState, now: float) -> bool:
    """Return whether a process ended, and not by itself; of one that need not give signs of life that is not known."""
    return state.regular and state.ended is None and not is_working(state, now)


def measure_now(root: Root, before: Measured | None) -> Measured:
    """Measure an archive now. What may not be seen by this user is as the last program saw it."""
    try:
        now = Measure(root, before.samples if before else None)()
    except OSError as error:
        raise StorageError(f"cannot be reached ({error.strerror})", where=root.path) from error
    if before is not None:
        now.incoming = now.incoming or before.incoming
        now.accepted = now.accepted or before.accepted
        now.quarantine = now.quarantine or before.quarantine
    return now


def format_nanoseconds(nanoseconds: int | None) -> str | None:
    """Format a time as ISO text in UTC, to the second."""
    return None if nanoseconds is None else f"{np.datetime64(nanoseconds, 'ns').astype('M8[s]')}Z"


def convert_times(content: Any, name: str = "") -> Any:  # noqa: ANN401 - plain data
    """Replace what is a time by ISO text, at any depth."""
    if isinstance(content, dict):
        return {key: convert_times(value, key) for key, value in content.items()}
    if isinstance(content, list):
        return [convert_times(value) for value in content]
    if name in TIMES and isinstance(content, float):
        return format_nanoseconds(round(content * 1e9))
    return content
