"""A sample day of SIS: what is peculiar to the instrument, on top of what its layout tells.

ACE sends a minor frame a second; 16 of them make a major frame, 256 a cycle of the instrument. High-priority rates come
8 times a cycle, low-priority rates and housekeeping once, a summary with each minor frame. A flight command table of
1180 bytes comes down in segments of 80 bytes a cycle, so in 15 cycles. A subset holds all 249 telemetry bytes of a
minor frame and is made only in command-response and in diagnostic mode; its first six bytes are the housekeeping bytes
that the summary has too, and bits in the first of these tell the mode. Spacecraft housekeeping is sent in one of 16
minor frames and reads 255 in the others. The two matrices of DAC offsets are a pair, stamped with the same cycle.

Invented are the insides of events, the words of command echoes, when commands, diagnostics and DAC offsets come, the
minor frame of the interface temperature, and the numbers that compressed rates have.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dayfile.model.datatype import DataType
from dayfile.testing.generators import (
    Integers,
    Overrides,
    Records,
    readings,
    sent_when,
    setting,
    shares,
    slow_walk,
    with_bits,
)
from dayfile.testing.telemetry import FrameClock, TelemetryDay, commands, event_buffers

__all__ = ["SPACECRAFT_CLOCK", "sample_day"]

SPACECRAFT_CLOCK = FrameClock(second=52_069_705, microsecond=604_000, cycle=256, creep=85)
"""It began at 1997-08-25 15:48:24.604 UTC, 52069705.604 s after 1996 with the leap second of June 1997."""

CYCLE = 256
TABLE_SEGMENTS = 15
SCIENCE_FORMAT = 1
DIAGNOSTIC, COMMAND_RESPONSE, SYNC = 0x20, 0x40, 0x80
EVENTS_A_CYCLE, EVENT_LENGTHS, EVENT_AGES = 20, (30, 109), 8
EVENT_CYCLES = 56
"""Cycles whose events are in the sample: 4 hours."""


def sample_day(
    day: np.datetime64, seed: int, types: Mapping[str, DataType]
) -> tuple[dict[str, Records], dict[str, Records]]:
    """Records of one day, of all types, none of them twice.

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
        The spacecraft's clock did not run yet.
    """
    telemetry = TelemetryDay(SPACECRAFT_CLOCK, types, day, seed)
    cycles = telemetry.frames(every=CYCLE)
    events = telemetry.generator("events").poisson(EVENTS_A_CYCLE, len(cycles))
    summary = summaries(telemetry)
    streams = {
        "L1SisSummary": summary,
        "L1SisHighPriorityRate": telemetry.records("L1SisHighPriorityRate", telemetry.frames(every=32)),
        "L1SisLowPriorityRate": low_priority_rates(telemetry, cycles, events),
        "L1SisHskp": housekeeping(telemetry, cycles),
    }
    offsets = cycles[28::56]
    rest = {
        "BrowseSis": telemetry.records("BrowseSis", cycles, cycles + CYCLE, {"WgtFact*": shares}),
        "L1SisCommandEcho": command_echoes(telemetry),
        "L1SisCommandTable": command_tables(telemetry),
        "L1SisDacOffset0": telemetry.records("L1SisDacOffset0", offsets, overrides={"M*Dac": slow_walk}),
        "L1SisDacOffset1": telemetry.records("L1SisDacOffset1", offsets, overrides={"M*Dac": slow_walk}),
        "L1SisDiagnosticEvent": diagnostic_events(telemetry),
        "L1SisSubset": subsets(telemetry, summary),
        "L1SisEventCycle": event_cycles(telemetry, cycles[:EVENT_CYCLES], events[:EVENT_CYCLES]),
    }
    return streams, rest


def responding(telemetry: TelemetryDay) -> Integers:
    """Minor frames in command-response mode."""
    return telemetry.burst(second=18_300, number=360)


def diagnosing(telemetry: TelemetryDay) -> Integers:
    """Minor frames in diagnostic mode."""
    return telemetry.burst(second=54_000, number=360)


def echoing(telemetry: TelemetryDay) -> Integers:
    """Minor frames with the echo of a command."""
    return np.concatenate([responding(telemetry)[3::11], diagnosing(telemetry)[3::11]])


def summaries(telemetry: TelemetryDay) -> Records:
    """One record a minor frame."""
    frames = telemetry.frames()
    turn = frames % 16
    mode = SYNC * (frames % CYCLE < CYCLE // 2)
    mode |= COMMAND_RESPONSE * np.isin(frames, responding(telemetry))
    mode |= DIAGNOSTIC * np.isin(frames, diagnosing(telemetry))
    values: Overrides = {
        "FormatId": SCIENCE_FORMAT,
        "MajorFrameCount": frames // 16 % 8,
        "MinorFrameCount": turn,
        "MainBusVoltage": sent_when(turn == 3),
        "Sis*Temperature*": sent_when(turn == 9),
        "SisCurrent": sent_when(turn == 10),
        "SisCoverTelltale": sent_when(turn == 10, setting),
        "SisHskp": with_bits(mode, DIAGNOSTIC | COMMAND_RESPONSE | SYNC),
    }
    return telemetry.records("L1SisSummary", frames, overrides=values)


def subsets(telemetry: TelemetryDay, summary: Records) -> Records:
    """What the summary has of the bursts, and all bytes of the instrument."""
    frames = telemetry.frames()
    chosen = np.isin(frames, [responding(telemetry), diagnosing(telemetry)])
    shared = [field.name for field in telemetry.types["L1SisSubset"].fields if field.name != "SisData"]
    values: Overrides = {**{name: summary[name][chosen] for name in shared}, "SisData": readings}
    made = telemetry.records("L1SisSubset", frames[chosen], overrides=values)
    made["SisData"][:, :6] = summary["SisHskp"][chosen]
    return made


def low_priority_rates(telemetry: TelemetryDay, cycles: Integers, events: Integers) -> Records:
    """One record a cycle; the events are those of the event cycles, spread over 96 buffers and 4 classes."""
    by_buffer = telemetry.generator("buffers").multinomial(events, np.full(384, 1 / 384)).reshape(-1, 96, 4)
    values: Overrides = {"NumberEvents": by_buffer, **dict.fromkeys(("nbadid", "n?ebful"), 0)}
    return telemetry.records("L1SisLowPriorityRate", cycles, overrides=values)


def housekeeping(telemetry: TelemetryDay, cycles: Integers) -> Records:
    """One record a cycle."""
    values: Overrides = {
        "CycleNumber": cycles // CYCLE,
        "CommandTableIndex": cycles // CYCLE % TABLE_SEGMENTS,
        **dict.fromkeys(("Monitor*", "Temperature*", "PostDc*"), slow_walk),
        "Status*": 1,
    }
    return telemetry.records("L1SisHskp", cycles, overrides=values)


def command_echoes(telemetry: TelemetryDay) -> Records:
    """One record a command."""
    frames = echoing(telemetry)
    texts = commands(len(frames), telemetry.generator("commands"))
    values: Overrides = {"NumberChars": np.char.str_len(texts), "CommandEcho": texts}
    return telemetry.records("L1SisCommandEcho", frames, overrides=values)


def command_tables(telemetry: TelemetryDay) -> Records:
    """The first table of the day, and those with commands; from the cycle of the first segment to that of the last."""
    length = CYCLE * TABLE_SEGMENTS
    first = telemetry.frames(every=length)
    numbers = (echoing(telemetry) // length == first[:, np.newaxis] // length).sum(axis=1)
    chosen = (numbers > 0) | (first == first[0])
    values: Overrides = {"[a-z]*": setting, "NumberCommandEchoes": numbers[chosen]}
    return telemetry.records("L1SisCommandTable", first[chosen], first[chosen] + length - CYCLE, values)


def diagnostic_events(telemetry: TelemetryDay) -> Records:
    """Four records; each event takes 3 minor frames of 249 bytes."""
    first = diagnosing(telemetry)[20::90]
    values: Overrides = dict.fromkeys(("RawStack", "NormalEvent"), readings)
    return telemetry.records("L1SisDiagnosticEvent", first, first + 2, values)


def event_cycles(telemetry: TelemetryDay, cycles: Integers, events: Integers) -> Records:
    """One record a cycle, with its events."""
    size = telemetry.types["L1SisEventCycle"].field("EventBuffer").shape[0]
    rng = telemetry.generator("bodies")
    buffers, spent = event_buffers(events, size, rng, lengths=EVENT_LENGTHS, ages=EVENT_AGES)
    values: Overrides = {
        "NumberEvents": events,
        "EventBuffer": buffers,
        "NumberNormalEventBytes": spent,
        "ContinuationFlag": 0,
    }
    return telemetry.records("L1SisEventCycle", cycles, overrides=values)
