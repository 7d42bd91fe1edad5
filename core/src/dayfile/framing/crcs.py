"""Cyclic redundancy checks: of some bytes, one byte after another, or of many stretches of a block at once.

Stretches of a few lengths, as in most streams, are followed side by side, two bytes a step. Else what helps is that a
remainder is linear: that of a stretch follows from those of all bytes before its begin and before its end. Those are
found for the whole block at once, in rows, so that stretches may be many, and overlap, at no cost.

Parameters and check values are those of the catalogue of parametrised CRC algorithms (G. Cook,
https://reveng.sourceforge.io/crc-catalogue/).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.stages.base import Bytes

__all__ = ["CRCS", "Crc"]

Registers = npt.NDArray[Any]
"""Registers of many computations: uint16, or uint32 if the check is wider than 16 bits."""
LONGEST_ROW = 192
MOST_STEPS = 512
"""Steps that following stretches side by side may take; for a row of a block they are at most 192."""
LEVELS = 40
"""Powers of two that a number of bytes may have."""


@dataclass(frozen=True)
class Crc:
    """A cyclic redundancy check.

    Parameters
    ----------
    width : int
        Bits of the value: 8, 16, 24 or 32.
    polynomial : int
        The polynomial, without its highest term, the highest bit first.
    start : int
        The register before the first byte, as the catalogue writes it.
    reflected : bool
        Whether the lowest bit of a byte comes first, in input and value.
    final : int
        What the register is combined with by exclusive or at the end.

    Examples
    --------
    >>> hex(CRCS["crc16-ccitt-false"].compute(b"123456789"))
    '0x29b1'
    >>> block = np.frombuffer(b"..123456789", np.uint8)
    >>> hex(CRCS["crc16-ccitt-false"].compute_all(block, np.array([2]), np.array([11]))[0])
    '0x29b1'
    """

    width: int
    polynomial: int
    start: int
    reflected: bool
    final: int

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return self.width // 8

    def compute(self, data: bytes) -> int:
        """Compute the check of some bytes."""
        table, mask = make_byte_table(self), (1 << self.width) - 1
        register = self.start
        if self.reflected:
            register = reverse_bits(self.start, self.width)
            for byte in data:
                register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
        else:
            for byte in data:
                register = table[(register >> (self.width - 8)) ^ byte] ^ ((register << 8) & mask)
        return register ^ self.final

    def compute_all(
        self, block: Bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Compute the check of each stretch of a block: int64, shape (n,)."""
        if not len(starts):
            return np.zeros(0, np.int64)
        first, machine = int(starts.min()), make_machine(self)
        part, starts, ends = block[first : int(ends.max())], starts - first, ends - first
        lengths = ends - starts
        if np.unique(lengths).sum() <= 2 * MOST_STEPS and lengths.sum() <= 2 * len(part):
            registers = follow(machine, part, starts, lengths)
        else:
            registers = Prefixes(machine, part).remainders(starts, ends)
        if not self.reflected:
            registers = registers >> (machine.bits - self.width)
        return registers.astype(np.int64) ^ self.final


def reverse_bits(value: int, width: int) -> int:
    """Reverse the order of the bits of a number."""
    return int(f"{value:0{width}b}"[::-1], 2)


@cache
def make_byte_table(crc: Crc) -> list[int]:
    """Make the table of what a byte does to a register."""
    table = []
    reversed_polynomial = reverse_bits(crc.polynomial, crc.width)
    top, mask = 1 << (crc.width - 1), (1 << crc.width) - 1
    for byte in range(256):
        register = byte if crc.reflected else byte << (crc.width - 8)
        for _ in range(8):
            if crc.reflected:
                register = (register >> 1) ^ (reversed_polynomial if register & 1 else 0)
            else:
                register = ((register << 1) & mask) ^ (crc.polynomial if register & top else 0)
        table.append(register)
    return table


@dataclass(frozen=True, eq=False)
class Machine:
    """The tables of a check for registers of 16 or 32 bits; those that are not reflected are at the upper end.

    Parameters
    ----------
    bits : int
        Bits of a register.
    start : int
        The register before the first byte.
    zeros : sequence of array
        What 1, 2, 4 … bytes of zeros do to a register, a table of 256 for each of its bytes.
    pair : array, shape (65536,)
        What two bytes do to a register.
    """

    bits: int
    reflected: bool
    start: int
    zeros: list[Registers]
    pair: Registers

    @property
    def order(self) -> str:
        """How two bytes are read as a word."""
        return "<u2" if self.reflected else ">u2"

    def step(self, registers: Registers, words: npt.NDArray[np.uint16], out: Registers) -> None:
        """Let two bytes each act on registers."""
        if self.bits == 16:
            self.pair.take(registers ^ words, out=out, mode="wrap")
        elif self.reflected:
            self.pair.take(registers.astype(np.uint16) ^ words, out=out, mode="wrap")
            out ^= registers >> 16
        else:
            self.pair.take((registers >> 16).astype(np.uint16) ^ words, out=out, mode="wrap")
            out ^= registers << 16

    def add_bytes(self, registers: Registers, values: Bytes) -> Registers:
        """Let one byte each act on registers."""
        shift = 0 if self.reflected else self.bits - 8
        return act(self.zeros[0], registers ^ (values.astype(registers.dtype) << shift))

    def add_rows(self, registers: Registers, rows: Bytes) -> Registers:
        """Let the bytes of a row each act on registers: shape (n, length)."""
        odd = rows.shape[1] % 2
        words = np.ascontiguousarray(rows[:, : rows.shape[1] - odd]).view(self.order)
        after = np.empty_like(registers)
        for column in np.ascontiguousarray(words.T, dtype=np.uint16):
            self.step(registers, column, after)
            registers, after = after, registers
        return self.add_bytes(registers, rows[:, -1]) if odd else registers

    def shift(self, registers: Registers, counts: npt.NDArray[np.int64]) -> Registers:
        """Let a number of bytes of zeros each act on registers."""
        shifted = registers.copy()
        for level in range(int(counts.max(initial=0)).bit_length()):
            chosen = np.flatnonzero((counts >> level) & 1)
            if len(chosen) == len(shifted):
                shifted = act(self.zeros[level], shifted)
            elif len(chosen):
                shifted[chosen] = act(self.zeros[level], shifted[chosen])
        return shifted


def act(tables: Registers, registers: Registers) -> Registers:
    """Let a linear map act on registers: it is a table of 256 for each of their bytes."""
    result: Registers = tables[0][registers & 0xFF]
    for place in range(1, len(tables)):
        result ^= tables[place][(registers >> (8 * place)) & 0xFF]
    return result


@cache
def make_machine(crc: Crc) -> Machine:
    """Make the tables of a check."""
    kind: type[np.unsignedinteger[Any]] = np.uint16 if crc.width <= 16 else np.uint32
    bits = 16 if crc.width <= 16 else 32
    registers = np.arange(256, dtype=kind) << np.arange(0, bits, 8, dtype=kind)[:, None]
    polynomial = kind(
        reverse_bits(crc.polynomial, crc.width) if crc.reflected else crc.polynomial << (bits - crc.width)
    )
    for _ in range(8):
        if crc.reflected:
            registers = (registers >> 1) ^ (registers & 1) * polynomial
        else:
            registers = (registers << 1) ^ (registers >> (bits - 1)) * polynomial
    zeros = [registers]
    for _ in range(LEVELS):
        zeros.append(act(zeros[-1], zeros[-1]))
    words = np.arange(65536, dtype=kind)
    pair = act(zeros[1], words if crc.reflected or bits == 16 else words << 16)
    start = reverse_bits(crc.start, crc.width) if crc.reflected else crc.start << (bits - crc.width)
    return Machine(bits, crc.reflected, start, zeros, pair)


def follow(machine: Machine, block: Bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Registers:
    """Follow the stretches of each length side by side; the register at the end of each."""
    registers = np.full(len(starts), machine.start, machine.pair.dtype)
    for length in np.unique(lengths[lengths > 0]):
        chosen = np.flatnonzero(lengths == length)
        windows = np.ndarray(len(block) - length + 1, f"V{length}", block, strides=block.strides)
        rows = windows[starts[chosen]].view(np.uint8).reshape(len(chosen), length)
        registers[chosen] = machine.add_rows(registers[chosen], rows)
    return registers


class Prefixes:
    """Registers at each word of a block, from the begin of its row; and those of whole rows where they are needed."""

    def __init__(self, machine: Machine, block: Bytes) -> None:
        self.machine = machine
        self.block = block
        words = len(block) // 2 + 1
        self.columns = min(LONGEST_ROW, math.isqrt(words) + 1)
        rows = -(-words // self.columns)
        padded = np.zeros(2 * rows * self.columns, np.uint8)
        padded[: len(block)] = block
        across = np.ascontiguousarray(padded.view(machine.order).reshape(rows, self.columns).T, dtype=np.uint16)
        self.registers = np.zeros((self.columns + 1, rows), machine.pair.dtype)
        for column in range(self.columns):
            machine.step(self.registers[column], across[column], self.registers[column + 1])

    def remainders(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Registers:
        """Return the register at the end of each stretch, begun at its start."""
        before, after = self._look_up(starts), self._look_up(ends)
        row = 2 * self.columns
        crossing = np.flatnonzero(starts // row != ends // row)
        if len(crossing):
            rows = self._sum_rows()
            for places, registers in ((starts[crossing], before), (ends[crossing], after)):
                registers[crossing] ^= self.machine.shift(rows[places // row], places % row)
        return after ^ self.machine.shift(before ^ before.dtype.type(self.machine.start), ends - starts)

    def _look_up(self, places: npt.NDArray[np.int64]) -> Registers:
        """Look up the registers at these places, from the begins of their rows."""
        row, within = np.divmod(places, 2 * self.columns)
        registers: Registers = self.registers[within // 2, row]
        odd = np.flatnonzero(places & 1)
        registers[odd] = self.machine.add_bytes(registers[odd], self.block[places[odd] - 1])
        return registers

    def _sum_rows(self) -> Registers:
        """Sum up whole rows: the register at the begin of each, begun at 0 with the block."""
        rows: Registers = np.concatenate([np.zeros(1, self.registers.dtype), self.registers[-1]])
        zero = self.machine.zeros[0]
        tables = self.machine.shift(zero.ravel(), np.full(zero.size, 2 * self.columns - 1)).reshape(zero.shape)
        step = 1
        while step < len(rows):
            rows[step:] ^= act(tables, rows[:-step])
            tables = act(tables, tables)
            step *= 2
        return rows


CRCS = {
    "crc8": Crc(8, 0x07, 0, reflected=False, final=0),
    "crc8-maxim": Crc(8, 0x31, 0, reflected=True, final=0),
    "crc8-sae-j1850": Crc(8, 0x1D, 0xFF, reflected=False, final=0xFF),
    "crc16-arc": Crc(16, 0x8005, 0, reflected=True, final=0),
    "crc16-aug-ccitt": Crc(16, 0x1021, 0x1D0F, reflected=False, final=0),
    "crc16-ccitt-false": Crc(16, 0x1021, 0xFFFF, reflected=False, final=0),
    "crc16-genibus": Crc(16, 0x1021, 0xFFFF, reflected=False, final=0xFFFF),
    "crc16-kermit": Crc(16, 0x1021, 0, reflected=True, final=0),
    "crc16-mcrf4xx": Crc(16, 0x1021, 0xFFFF, reflected=True, final=0),
    "crc16-modbus": Crc(16, 0x8005, 0xFFFF, reflected=True, final=0),
    "crc16-usb": Crc(16, 0x8005, 0xFFFF, reflected=True, final=0xFFFF),
    "crc16-x25": Crc(16, 0x1021, 0xFFFF, reflected=True, final=0xFFFF),
    "crc16-xmodem": Crc(16, 0x1021, 0, reflected=False, final=0),
    "crc24-openpgp": Crc(24, 0x864CFB, 0xB704CE, reflected=False, final=0),
    "crc24q": Crc(24, 0x864CFB, 0, reflected=False, final=0),
    "crc32": Crc(32, 0x04C11DB7, 0xFFFFFFFF, reflected=True, final=0xFFFFFFFF),
    "crc32-bzip2": Crc(32, 0x04C11DB7, 0xFFFFFFFF, reflected=False, final=0xFFFFFFFF),
    "crc32-mpeg2": Crc(32, 0x04C11DB7, 0xFFFFFFFF, reflected=False, final=0),
    "crc32-posix": Crc(32, 0x04C11DB7, 0, reflected=False, final=0xFFFFFFFF),
    "crc32c": Crc(32, 0x1EDC6F41, 0xFFFFFFFF, reflected=True, final=0xFFFFFFFF),
}
"""Cyclic redundancy checks by name."""
