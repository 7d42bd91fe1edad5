"""Operations of an instrument on a sample day: commands and diagnostics, during which it sends more than usual.

For six minutes each morning it responds to commands, and for six minutes in the afternoon it is diagnosed. Meanwhile it
sends echoes of commands, and all bytes of each frame. The table of commands is sent in segments, one a cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dayfile.testing.generators import Draw, Integers, Overrides, RecordArray, draw_readings, draw_with_bits
from dayfile.testing.telemetry import TelemetryDay

__all__ = ["Operations", "draw_commands"]

RESPONSE, DIAGNOSIS, SECONDS_OF_OPERATIONS = 18_300, 54_000, 360
"""Second of the day at which each mode begins, and its duration in seconds."""
BETWEEN_ECHOES, BETWEEN_DIAGNOSTICS = 11, 90


def draw_commands(number: int, rng: np.random.Generator) -> npt.NDArray[np.bytes_]:
    """Draw texts of commands: a verb and one to three hexadecimal words, at most 19 characters; shape (n,)."""
    verbs = rng.choice(["CTAB", "DUMP", "HVON", "PEEK", "POKE"], number).tolist()
    words = rng.integers(0, 0x10000, (number, 3)).tolist()
    lengths = rng.integers(1, 4, number).tolist()
    texts = (
        " ".join([verb, *(f"{word:04X}" for word in row[:length])])
        for verb, row, length in zip(verbs, words, lengths, strict=True)
    )
    return np.array([text.encode() for text in texts], "S19")


@dataclass(frozen=True)
class Operations:
    """The modes of an instrument on one day, and the records that it sends in them.

    Parameters
    ----------
    telemetry : TelemetryDay
        The day.
    first_echo : int
        Number of frames from the start of a mode to the first echo of a command.
    segments : int
        Number of cycles in which a table of commands is sent.
    """

    telemetry: TelemetryDay
    first_echo: int
    segments: int

    @cached_property
    def responding(self) -> Integers:
        """Frames in command-response mode, shape (n,)."""
        return self.telemetry.list_burst(RESPONSE, SECONDS_OF_OPERATIONS)

    @cached_property
    def diagnosing(self) -> Integers:
        """Frames in diagnostic mode, shape (n,)."""
        return self.telemetry.list_burst(DIAGNOSIS, SECONDS_OF_OPERATIONS)

    @cached_property
    def echoing(self) -> Integers:
        """Frames with the echo of a command, shape (n,)."""
        modes = (self.responding, self.diagnosing)
        return np.concatenate([frames[self.first_echo :: BETWEEN_ECHOES] for frames in modes])

    def draw_mode_bits(self, frames: Integers, *, sync: int, response: int, diagnostic: int) -> Draw:
        """Make a Draw for a byte array with the bits of the mode in its first byte.

        Parameters
        ----------
        frames : array of int64, shape (n,)
            The frames of the records.
        sync, response, diagnostic : int
            The bits; ``sync`` is set in the first half of a cycle.
        """
        cycle = self.telemetry.frame_clock.cycle
        bits = sync * (frames % cycle < cycle // 2)
        bits |= response * np.isin(frames, self.responding)
        bits |= diagnostic * np.isin(frames, self.diagnosing)
        return draw_with_bits(bits, sync | response | diagnostic)

    def sample_subset(self, code: str, summary: RecordArray, *, data: str, status: str, first: int) -> RecordArray:
        """Sample records with all bytes of each frame in one of the modes; other fields are those of the summary.

        Parameters
        ----------
        code : str
            Code of the data type.
        summary : structured array, shape (n,)
            One record for each frame of the day that was not lost.
        data : str
            The field with all bytes.
        status : str
            The field of the summary that is a part of these bytes.
        first : int
            Place of the first byte of that part.
        """
        frames = self.telemetry.list_frames()
        chosen = np.isin(frames, [self.responding, self.diagnosing])
        shared = [field.name for field in self.telemetry.types[code].fields if field.name != data]
        values: Overrides = {**{name: summary[name][chosen] for name in shared}, data: draw_readings}
        made = self.telemetry.sample(code, frames[chosen], overrides=values)
        held = summary[status][chosen]
        made[data][:, first : first + held.shape[1]] = held
        return made

    def sample_echoes(self, code: str, *, text: str, length: str) -> RecordArray:
        """Sample a record for each command, with its text and the length of the text in the fields of these names."""
        texts = draw_commands(len(self.echoing), self.telemetry.make_generator("commands"))
        return self.telemetry.sample(code, self.echoing, overrides={length: np.char.str_len(texts), text: texts})

    def sample_tables(self, code: str, values: Mapping[str, npt.ArrayLike | Draw], *, echoes: str) -> RecordArray:
        """Sample the first table of the day, and those with commands; each lasts from its first to its last segment.

        Parameters
        ----------
        code : str
            Code of the data type.
        values : mapping of str to array or Draw
            As for :func:`dayfile.testing.generators.sample_records`.
        echoes : str
            The field that counts the commands.
        """
        cycle = self.telemetry.frame_clock.cycle
        length = cycle * self.segments
        first = self.telemetry.list_frames(every=length)
        numbers = (self.echoing // length == first[:, np.newaxis] // length).sum(axis=1)
        chosen = (numbers > 0) | (first == first[0])
        last = first[chosen] + length - cycle
        return self.telemetry.sample(code, first[chosen], last, {**values, echoes: numbers[chosen]})

    def sample_diagnostics(self, code: str, values: Overrides, *, frames: int) -> RecordArray:
        """Sample four records of n frames each."""
        first = self.diagnosing[20::BETWEEN_DIAGNOSTICS]
        return self.telemetry.sample(code, first, first + frames - 1, values)
