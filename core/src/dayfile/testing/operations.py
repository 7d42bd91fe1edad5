"""What an instrument does on a sample day besides measuring: it is commanded and diagnosed, and sends more than usual.

For six minutes each morning it responds to commands, and for six minutes in the afternoon it is diagnosed. Meanwhile
commands are echoed, and all bytes of each frame are sent. The table of commands comes down in segments, one a cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dayfile.testing.generators import Draw, Integers, Overrides, RecordArray, readings, with_bits
from dayfile.testing.telemetry import TelemetryDay

__all__ = ["Operations", "commands"]

RESPONSE, DIAGNOSIS, SECONDS = 18_300, 54_000, 360
"""Second of the day at which each mode begins, and how many seconds it lasts."""
BETWEEN_ECHOES, BETWEEN_DIAGNOSTICS = 11, 90


def commands(number: int, rng: np.random.Generator) -> npt.NDArray[np.bytes_]:
    """Texts such as operators send: a verb and one to three hexadecimal words, at most 19 characters; shape (n,)."""
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
    """The modes of an instrument on one day, and the records that it sends of them.

    Parameters
    ----------
    telemetry : TelemetryDay
        The day.
    first_echo : int
        Frames from the begin of a mode to the first echo of a command.
    segments : int
        Cycles in which a table of commands comes down.
    """

    telemetry: TelemetryDay
    first_echo: int
    segments: int

    @cached_property
    def responding(self) -> Integers:
        """Frames in command-response mode, shape (n,)."""
        return self.telemetry.burst(RESPONSE, SECONDS)

    @cached_property
    def diagnosing(self) -> Integers:
        """Frames in diagnostic mode, shape (n,)."""
        return self.telemetry.burst(DIAGNOSIS, SECONDS)

    @cached_property
    def echoing(self) -> Integers:
        """Frames with the echo of a command, shape (n,)."""
        modes = (self.responding, self.diagnosing)
        return np.concatenate([frames[self.first_echo :: BETWEEN_ECHOES] for frames in modes])

    def mode_bits(self, frames: Integers, *, sync: int, response: int, diagnostic: int) -> Draw:
        """Let a byte array have the bits of the mode in its first byte; ``sync`` is set in the first half of a cycle.

        Parameters
        ----------
        frames : array of int64, shape (n,)
            The frames of the records.
        sync, response, diagnostic : int
            The bits.
        """
        cycle = self.telemetry.frame_clock.cycle
        bits = sync * (frames % cycle < cycle // 2)
        bits |= response * np.isin(frames, self.responding)
        bits |= diagnostic * np.isin(frames, self.diagnosing)
        return with_bits(bits, sync | response | diagnostic)

    def subset(self, code: str, summary: RecordArray, *, data: str, status: str, first: int) -> RecordArray:
        """Records with all bytes of each frame in one of the modes; the rest they share with the summary.

        Parameters
        ----------
        code : str
            Of the data type.
        summary : structured array, shape (n,)
            One record for each frame of the day that was not lost.
        data : str
            The field with all bytes.
        status : str
            The field of the summary whose bytes are among them.
        first : int
            Where among them they begin.
        """
        frames = self.telemetry.frames()
        chosen = np.isin(frames, [self.responding, self.diagnosing])
        shared = [field.name for field in self.telemetry.types[code].fields if field.name != data]
        values: Overrides = {**{name: summary[name][chosen] for name in shared}, data: readings}
        made = self.telemetry.records(code, frames[chosen], overrides=values)
        held = summary[status][chosen]
        made[data][:, first : first + held.shape[1]] = held
        return made

    def echoes(self, code: str, *, text: str, length: str) -> RecordArray:
        """One record a command, with its text and how many characters it has, in the fields of these names."""
        texts = commands(len(self.echoing), self.telemetry.generator("commands"))
        return self.telemetry.records(code, self.echoing, overrides={length: np.char.str_len(texts), text: texts})

    def tables(self, code: str, values: Mapping[str, npt.ArrayLike | Draw], *, echoes: str) -> RecordArray:
        """The first table of the day, and those with commands; from the cycle of the first segment to that of the last.

        Parameters
        ----------
        code : str
            Of the data type.
        values : mapping of str to array or Draw
            As for :func:`dayfile.testing.generators.records`.
        echoes : str
            The field that counts the commands.
        """
        cycle = self.telemetry.frame_clock.cycle
        length = cycle * self.segments
        first = self.telemetry.frames(every=length)
        numbers = (self.echoing // length == first[:, np.newaxis] // length).sum(axis=1)
        chosen = (numbers > 0) | (first == first[0])
        last = first[chosen] + length - cycle
        return self.telemetry.records(code, first[chosen], last, {**values, echoes: numbers[chosen]})

    def diagnostics(self, code: str, values: Overrides, *, frames: int) -> RecordArray:
        """Return four records of n frames each."""
        first = self.diagnosing[20::BETWEEN_DIAGNOSTICS]
        return self.telemetry.records(code, first, first + frames - 1, values)
