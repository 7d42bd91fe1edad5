"""A sample day of CRIS: properties of the instrument that its layout does not declare.

ACE sends a minor frame a second; 16 of them make a major frame, 256 a cycle of the instrument. High-priority rates come
16 times a cycle, low-priority rates and housekeeping once, a summary with each minor frame. A flight command table of
844 bytes comes down in segments of 66 bytes a cycle, so in 13 cycles. A subset holds all 58 telemetry bytes of a minor
frame and is made only in command-response and in diagnostic mode; bytes 4 to 6 are the housekeeping bytes that the
summary has too, and bits in the first of these give the mode. Spacecraft housekeeping is sent in one of 16 minor
frames and reads 255 in the others. A diagnostic event takes 40 minor frames of 58 bytes. One count of livetime is 128
microseconds.

The insides of events, the words of command echoes, the times of commands and diagnostics, and the minor frame of the
interface temperature are invented.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.testing.generators import (
    Floats,
    Integers,
    Overrides,
    RecordArray,
    draw_readings,
    draw_setting,
    draw_shares,
    draw_slow_walk,
    draw_when_sent,
)
from dayfile.testing.operations import Operations
from dayfile.testing.telemetry import FrameClock, TelemetryDay

__all__ = ["SPACECRAFT_CLOCK", "sample_day"]

SPACECRAFT_CLOCK = FrameClock(
    second=52_069_705, microsecond=604_000, cycle=256, creep=85, counts="Clock*", parts="[Mm]icrosecond*", of_end="*1"
)
"""It began at 1997-08-25 15:48:24.604 UTC, 52069705.604 s after 1996 with the leap second of June 1997."""

CYCLE = SPACECRAFT_CLOCK.cycle
TABLE_SEGMENTS = 13
LIVETIME_A_CYCLE = 2_000_000
EVENTS_A_CYCLE, EVENT_LENGTHS, EVENT_AGES = 11, (30, 162), 64
EVENT_CYCLES = 112
"""Cycles with events in the sample: 8 hours, with gaps."""


def sample_day(
    day: np.datetime64, seed: int, types: Mapping[str, DataType]
) -> tuple[dict[str, RecordArray], dict[str, RecordArray]]:
    """Sample the records of one day, of all types, none of them twice.

    Parameters
    ----------
    day : numpy.datetime64
        The day, not before 1997-08-26.
    seed : int
        The same day and seed give the same records. Days one after the other continue one another.
    types : mapping of str to DataType
        The data types by code.

    Returns
    -------
    streams, rest : dict of str to structured array
        By code: the types that come all day, and the others with some hours of event cycles.

    Raises
    ------
    UsageError
        The spacecraft's clock was not running yet.
    """
    telemetry = TelemetryDay(SPACECRAFT_CLOCK, types, day, seed)
    operations = Operations(telemetry, first_echo=7, segments=TABLE_SEGMENTS)
    cycles, sample = telemetry.cycles, telemetry.sample
    events = telemetry.make_generator("events").poisson(EVENTS_A_CYCLE, len(cycles))
    summary = sample("L1CrisSummary", telemetry.list_frames(), overrides=make_summaries(operations))
    streams = {
        "L1CrisSummary": summary,
        "L1CrisHighPriorityRate": sample("L1CrisHighPriorityRate", telemetry.list_frames(every=16)),
        "L1CrisLowPriorityRate": sample(
            "L1CrisLowPriorityRate", cycles, None, make_low_priority_rates(telemetry, events)
        ),
        "L1CrisHskp": sample("L1CrisHskp", cycles, None, make_housekeeping(cycles)),
    }
    rest = {
        "BrowseCris": sample("BrowseCris", cycles, cycles + CYCLE, {"WgtFact*": draw_shares}),
        "L1CrisCommandEcho": operations.sample_echoes("L1CrisCommandEcho", text="CommandEcho", length="NumberChars"),
        "L1CrisCommandTable": operations.sample_tables(
            "L1CrisCommandTable", {"[a-z]*": draw_setting}, echoes="NumberCommandEchoes"
        ),
        "L1CrisDiagnosticEvent": operations.sample_diagnostics(
            "L1CrisDiagnosticEvent",
            {**dict.fromkeys(("RawStack", "SoftEvent", "NormalEvent"), draw_readings), "ContinuationFlag": 0},
            frames=40,
        ),
        "L1CrisSubset": operations.sample_subset("L1CrisSubset", summary, data="CrisData", status="CrisHskp", first=4),
        "L1CrisEventCycle": telemetry.sample_packed(
            "L1CrisEventCycle",
            cycles[:EVENT_CYCLES],
            events[:EVENT_CYCLES],
            lengths=EVENT_LENGTHS,
            ages=EVENT_AGES,
            bytes_by_age="NumberNormalEventBytes",
        ),
    }
    return streams, rest


def make_summaries(operations: Operations) -> Overrides:
    """Make one record a minor frame."""
    frames = operations.telemetry.list_frames()
    turn = frames % 16
    return {
        "FormatId": 1,
        "MajorFrameCount": frames // 16 % 8,
        "MinorFrameCount": turn,
        "MainBusVoltage": draw_when_sent(turn == 3),
        "Cris*Temperature*": draw_when_sent(turn == 9),
        "CrisCurrent": draw_when_sent(turn == 10),
        "CrisHskp": operations.draw_mode_bits(frames, sync=0x80, response=0x40, diagnostic=0x20),
    }


def make_low_priority_rates(telemetry: TelemetryDay, events: Integers) -> Overrides:
    """Make one record a cycle; the events are those of the event cycles, spread over 64 buffers on board."""
    return {
        "NumberEvents": telemetry.make_generator("buffers").multinomial(events, np.full(64, 1 / 64)),
        **dict.fromkeys(("livetim", "h*livet"), draw_livetimes),
        **dict.fromkeys(("nsfterr", "nbadid", "n?ebful"), 0),
    }


def draw_livetimes(field: Field, seconds: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG001 - a Draw
    """Draw nine tenths of a cycle, in counts of 128 microseconds."""
    return np.rint(rng.normal(0.9 * LIVETIME_A_CYCLE, 5000, len(seconds)))


def make_housekeeping(cycles: Integers) -> Overrides:
    """Make one record a cycle."""
    return {
        "CommandTableIndex": cycles // CYCLE % TABLE_SEGMENTS,
        **dict.fromkeys(("Monitor*", "Temperature*", "PostDc*"), draw_slow_walk),
        "Dac*": draw_setting,
        **dict.fromkeys(("Heater*", "Status*"), 1),
    }
