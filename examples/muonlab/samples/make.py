"""Make the sample: an hour around midnight, with random hits."""

import random
import struct
from pathlib import Path

BEGIN = 1714606200  # 2024-05-01 23:30:00 UTC


def make_message(kind: int, body: bytes) -> bytes:
    """Put the length and the kind in front of a message."""
    return struct.pack(">HB", len(body) + 1, kind) + body


def make_hit(random: random.Random, second: int) -> bytes:
    """Make a hit in a second."""
    layers, baseline = random.randrange(1, 16), random.randrange(-8, 8)
    status = layers << 12 | (random.random() < 0.02) << 11 | 1 << 8 | baseline & 0x3F
    charges = [random.randrange(20, 2000) if layers >> number & 1 else 65535 for number in range(4)]
    pulse = [-random.randrange(40, 900) for _ in range(random.randrange(8, 33))]
    body = struct.pack(">IHH4HB", second, random.randrange(65536), status, *charges, len(pulse))
    return make_message(1, body + struct.pack(f">{len(pulse)}h", *pulse))


def make_minute(random: random.Random, second: int) -> bytes:
    """Make the messages of a minute."""
    hits = sorted(random.sample(range(60), 5))
    rate = random.randrange(70000, 71000)
    house = struct.pack(">I", second) + rate.to_bytes(3, "big") + struct.pack(">HHBx", 11820, 480 + hits[0], 1)
    return make_message(2, house) + b"".join(make_hit(random, second + hit) for hit in hits)


def make_sample() -> bytes:
    """Make the sample; always the same one."""
    chance = random.Random(7)  # noqa: S311 - no secret
    return b"MUL1" + struct.pack(">Hxx", 5) + b"".join(make_minute(chance, BEGIN + 60 * n) for n in range(60))


if __name__ == "__main__":
    Path(__file__).with_name("roof_20240501.mul").write_bytes(make_sample())
