"""What needs somebody's attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dayfile.messages import format_age, format_size, plural
from dayfile.state.measuring import Measured
from dayfile.state.records import LATE_SECONDS
from dayfile.state.silence import Ages, Silence

if TYPE_CHECKING:
    from dayfile.state.status import EngineStatus, ReceiverStatus

__all__ = ["CONCERNS", "Concern", "find_concerns"]

CONCERNS = {
    "engine_killed": "the engine was killed",
    "engine_failed": "an error ended the last engine",
    "engine_late": f"the engine runs, but has given no sign of life for {LATE_SECONDS:.0f} s, longer for what is large",
    "engine_waits": "the engine waits for somebody, such as for room on the disk",
    "sources_held": "sources are held, or a plugin does not load",
    "queue_waits": "sources wait, and nothing takes them",
    "quarantine_grew": "something went to quarantine today",
    "receiver_killed": "the receiver was killed",
    "receiver_late": f"the receiver runs, but has given no sign of life for {LATE_SECONDS:.0f} s",
    "upload_failed": "an upload could not be stored within the last hour",
    "keys_silent": "keys have no new records",
    "disk_fills": "the disk is full, will be within a week, or has less room than disk.least_free",
}
"""What can need attention, by a name that stays the same from version to version."""

UPLOAD_SECONDS = 3600.0
"""For which an upload that could not be stored needs attention."""
BESIDE_AN_ENGINE = 3600.0
"""Seconds after which a queue needs attention although an engine works."""
AFTER_A_WATCH = 600.0
"""The same if none works, and the last was a watch, which somebody stopped."""
FILLS_IN_DAYS = 7.0
LEAST_FREE = 2**20
"""Bytes with which a disk is full."""


@dataclass(frozen=True)
class Concern:
    """Something that needs attention.

    Parameters
    ----------
    name : str
        One of ``CONCERNS``.
    message : str
        In one line, and what to do.
    """

    name: str
    message: str


def find_concerns(
    now: float,
    measured: Measured,
    engine: EngineStatus | None,
    receiver: ReceiverStatus | None,
    silence: Silence,
    ages: Ages,
) -> list[Concern]:
    """Find everything that needs attention, the most urgent first."""
    concerns = [*judge_engine(now, engine), *judge_receiver(now, receiver)]
    concerns += judge_disk(measured, engine)
    concerns += judge_queue(now, measured, engine, ages)
    concerns += judge_quarantine(measured)
    if silence.silent:
        number = plural(len(silence.silent), "key")
        verb = "has" if len(silence.silent) == 1 else "have"
        concerns.append(Concern("keys_silent", f"{number} {verb} no new records"))
    return concerns


def judge_engine(now: float, engine: EngineStatus | None) -> Iterator[Concern]:
    """Judge what the engine does."""
    if engine is None:
        return
    state = engine.state
    late = now - state.beat
    if not engine.alive and state.ended is None:
        message = (
            f"the {state.command} of process {state.process.pid} was killed {format_age(late)} ago; start it again"
        )
        yield Concern("engine_killed", message)
    if state.failed:
        yield Concern("engine_failed", f"the {state.command} ended {format_age(late)} ago: {state.failed}")
    if engine.alive and late > state.patience:
        message = f"the {state.command} has given no sign of life for {format_age(late)}; it was {state.doing}"
        yield Concern("engine_late", message)
    if engine.alive and state.waits_for:
        yield Concern("engine_waits", f"the {state.command} waits for {state.waits_for}")
    if state.unsettled:
        more = f", and {len(state.unsettled) - 1} more" if len(state.unsettled) > 1 else ""
        yield Concern("sources_held", f"{state.unsettled[0]}{more}")


def judge_receiver(now: float, receiver: ReceiverStatus | None) -> Iterator[Concern]:
    """Judge what the receiver does."""
    if receiver is None:
        return
    late = now - receiver.beat
    if receiver.killed:
        yield Concern("receiver_killed", f"the receiver was killed {format_age(late)} ago; start it again")
    if receiver.alive and receiver.address and late > LATE_SECONDS:
        yield Concern("receiver_late", f"the receiver has given no sign of life for {format_age(late)}")
    error = receiver.last_error
    if error is not None and now - error.at < UPLOAD_SECONDS:
        yield Concern(
            "upload_failed", f"an upload could not be stored {format_age(now - error.at)} ago: {error.message}"
        )


def judge_disk(measured: Measured, engine: EngineStatus | None) -> Iterator[Concern]:
    """Judge how full the disk is."""
    days = measured.days_left
    if measured.free < LEAST_FREE:
        yield Concern("disk_fills", "the disk is full")
    elif days is not None and days < FILLS_IN_DAYS:
        message = (
            f"the disk has {format_size(measured.free)} left, and will be full in about {plural(int(days), 'day')}"
        )
        yield Concern("disk_fills", message)
    elif engine is not None and engine.alive and engine.state.low:
        yield Concern("disk_fills", engine.state.low)


def judge_queue(now: float, measured: Measured, engine: EngineStatus | None, ages: Ages) -> Iterator[Concern]:
    """Judge how long sources have been waiting."""
    places = [place for place in (measured.incoming, measured.accepted) if place and place.oldest is not None]
    if not places:
        return
    waiting, oldest = sum(place.files for place in places), min(place.oldest or now for place in places)
    if engine is not None and engine.alive:
        limit, why = BESIDE_AN_ENGINE, f"the {engine.state.command} does not take them"
    elif engine is not None and engine.state.command == "watch":
        limit, why = AFTER_A_WATCH, "no watch is running"
    else:
        limit, why = ages.most, "no run takes them"
    if now - oldest > limit:
        message = f"{plural(waiting, 'source')} waiting, the oldest for {format_age(now - oldest)}: {why}"
        yield Concern("queue_waits", message)


def judge_quarantine(measured: Measured) -> Iterator[Concern]:
    """Judge what went to quarantine today."""
    today = 0 if measured.quarantine is None else sum(measured.quarantine.today.values())
    if today:
        message = f"{plural(today, 'entry')} went to quarantine today; see: dayfile quarantine ls"
        yield Concern("quarantine_grew", message)
