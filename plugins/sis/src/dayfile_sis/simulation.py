"""A sample day of SIS: properties of the instrument that its layout does not declare.

ACE sends a minor frame a second; 16 of them make a major frame, 256 a cycle of the instrument. High-priority rates come
8 times a cycle, low-priority rates and housekeeping once, a summary with each minor frame. A flight command table of
1180 bytes comes down in segments of 80 bytes a cycle, so in 15 cycles. A subset holds all 249 telemetry bytes of a
minor frame and is made only in command-response and in diagnostic mode; its first six bytes are the housekeeping bytes
that the summary has too, and bits in the first of these give the mode. Spacecraft housekeeping is sent in one of 16
minor frames and reads 255 in the others. A diagnostic event takes 3 minor frames of 249 bytes. The two matrices of DAC
offsets are a pair, stamped with the same cycle.

The insides of events, the words of command echoes, the times of commands, diagnostics and DAC offsets, the minor frame
of the interface temperature, and the numbers of compressed rates are invented.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dayfile.model.datatype import DataType
from dayfile.testing.generators import (
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
TABLE_SEGMENTS = 15
EVENTS_A_CYCLE, EVENT_LENGTHS, EVENT_AGES = 20, (30, 109), 8
EVENT_CYCLES = 56
"""Cycles with events in the sample: 4 hours."""


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
    operations = Operations(telemetry, first_echo=3, segments=TABLE_SEGMENTS)
    cycles, sample = telemetry.cycles, telemetry.sample
    events = telemetry.make_generator("events").poisson(EVENTS_A_CYCLE, len(cycles))
    summary = sample("L1SisSummary", telemetry.list_frames(), overrides=make_summaries(operations))
    streams = {
        "L1SisSummary": summary,
        "L1SisHighPriorityRate": sample("L1SisHighPriorityRate", telemetry.list_frames(every=32)),
        "L1SisLowPriorityRate": sample(
            "L1SisLowPriorityRate", cycles, None, make_low_priority_rates(telemetry, events)
        ),
        "L1SisHskp": sample("L1SisHskp", cycles, None, make_housekeeping(cycles)),
    }
    rest = {
        "BrowseSis": sample("BrowseSis", cycles, cycles + CYCLE, {"WgtFact*": draw_shares}),
        "L1SisCommandEcho": operations.sample_echoes("L1SisCommandEcho", text="CommandEcho", length="NumberChars"),
        "L1SisCommandTable": operations.sample_tables(
            "L1SisCommandTable", {"[a-z]*": draw_setting}, echoes="NumberCommandEchoes"
        ),
        **{
            code: sample(code, cycles[28::56], None, {"M*Dac": draw_slow_walk})
            for code in ("L1SisDacOffset0", "L1SisDacOffset1")
        },
        "L1SisDiagnosticEvent": operations.sample_diagnostics(
            "L1SisDiagnosticEvent",
            dict.fromkeys(("RawStack", "NormalEvent"), draw_readings),
            frames=3,
        ),
        "L1SisSubset": operations.sample_subset("L1SisSubset", summary, data="SisData", status="SisHskp", first=0),
        "L1SisEventCycle": telemetry.sample_packed(
            "L1SisEventCycle",
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
        "Sis*Temperature*": draw_when_sent(turn == 9),
        "SisCurrent": draw_when_sent(turn == 10),
        "SisCoverTelltale": draw_when_sent(turn == 10, draw_setting),
        "SisHskp": operations.draw_mode_bits(frames, sync=0x80, response=0x40, diagnostic=0x20),
    }


def make_low_priority_rates(telemetry: TelemetryDay, events: Integers) -> Overrides:
    """Make one record a cycle; the events are those of the event cycles, spread over 96 buffers and 4 classes."""
    by_buffer = telemetry.make_generator("buffers").multinomial(events, np.full(384, 1 / 384)).reshape(-1, 96, 4)
    return {"NumberEvents": by_buffer, **dict.fromkeys(("nbadid", "n?ebful"), 0)}


def make_housekeeping(cycles: Integers) -> Overrides:
    """Make one record a cycle."""
    return {
        "CycleNumber": cycles // CYCLE,
        "CommandTableIndex": cycles // CYCLE % TABLE_SEGMENTS,
        **dict.fromkeys(("Monitor*", "Temperature*", "PostDc*"), draw_slow_walk),
        "Status*": 1,
    }
