"""What ``dayfile new --sample`` finds in samples without a header: the true times, or the truth among what it shows."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import dayfile

DAY = "2024-05-01"
EPOCHS = {name: np.datetime64(f"{name}-01-01") for name in ("1970", "2000")} | {"gps": np.datetime64("1980-01-06")}
TICKS = {"s": 10**9, "ms": 10**6, "us": 10**3}


@dataclass(frozen=True)
class Made:
    """A sample that is made: how its records are, and how many bytes are in front."""

    kind: str
    order: str
    epoch: str
    unit: str
    head: int = 0
    front: str = ""
    regular: bool = True
    damaged: bool = False
    step: float = 5.0
    payload: int = 16
    count: int = 3000

    @property
    def length(self) -> int:
        return FRONTS[self.front] + int(self.kind[-2:]) // 8 + self.payload


FRONTS = {"": 0, "counter": 4, "short counter": 2, "sync": 2, "long sync": 4}


def make_times(made: Made, seed: int) -> np.ndarray:
    """Make times from noon on, in whole ticks of the clock."""
    tick = {"d": 1e-3, "s": 1 if "int" in made.kind else 1e-3, "ms": 1e-3, "us": 1e-6}[made.unit]
    randoms = np.random.default_rng(seed)
    gaps = np.full(made.count, made.step) if made.regular else randoms.exponential(made.step, made.count)
    ticks = np.rint(np.cumsum(gaps) / tick).astype(np.int64)
    return np.datetime64(f"{DAY}T12:00:07", "ns") + ticks * np.timedelta64(round(tick * 1e9), "ns")


def count_times(made: Made, times: np.ndarray) -> np.ndarray:
    """Count times by the clock of a sample, in the bytes of each."""
    form = np.dtype(made.kind).newbyteorder("<" if made.order == "little" else ">")
    if made.epoch == "mjd":
        counts = 40587 + times.astype(np.int64) / 86400e9
    else:
        since = (times - EPOCHS[made.epoch]).astype(np.int64) + (18 * 10**9 if made.epoch == "gps" else 0)
        counts = since / TICKS[made.unit] if "float" in made.kind else since // TICKS[made.unit]
    return np.asarray(counts).astype(form)[:, np.newaxis].view(np.uint8)


def make_sample(made: Made, seed: int) -> tuple[bytes, np.ndarray]:
    """Make a sample, with the true times of its records."""
    randoms = np.random.default_rng(seed)
    times = make_times(made, seed)
    stamps = count_times(made, times).copy()
    if made.damaged:
        stamps[randoms.choice(made.count, made.count // 200, replace=False)] = 255
    order = "<" if made.order == "little" else ">"
    numbers = np.arange(made.count)
    front = {
        "": np.empty((made.count, 0), np.uint8),
        "counter": numbers.astype(f"{order}u4")[:, np.newaxis].view(np.uint8),
        "short counter": (1000 + numbers).astype(f"{order}u2")[:, np.newaxis].view(np.uint8),
        "sync": np.tile(np.array([0xEB, 0x90], np.uint8), (made.count, 1)),
        "long sync": np.tile(np.array([0xA5, 0x5A, 0xEB, 0x90], np.uint8), (made.count, 1)),
    }[made.front]
    payload = np.concatenate(
        [
            randoms.poisson(20, (made.count, 4)).astype(f"{order}u2").view(np.uint8),
            randoms.normal(20, 3, (made.count, 1)).astype(f"{order}f4").view(np.uint8),
            np.zeros((made.count, made.payload - 12), np.uint8),
        ],
        axis=1,
    )
    head = b"HEAD" + randoms.bytes(made.head)[4:] if made.head else b""
    return head + np.concatenate([front, stamps, payload], axis=1).tobytes(), times


def list_samples() -> list[Made]:
    """Mix what samples can be, by a seed."""
    mixed = random.Random(7)
    clocks = [
        ("uint32", "1970", "s"),
        ("uint32", "2000", "s"),
        ("uint32", "gps", "s"),
        ("uint64", "1970", "s"),
        ("uint64", "1970", "ms"),
        ("uint64", "1970", "us"),
        ("uint64", "2000", "ms"),
        ("uint64", "gps", "ms"),
        ("float64", "1970", "s"),
        ("float64", "2000", "s"),
        ("float64", "mjd", "d"),
    ]
    return [
        Made(
            *(kind, order, epoch, unit),
            head=mixed.choice([0, 16, 20, 32, 64]),
            front=mixed.choice(list(FRONTS)),
            regular=mixed.random() < 0.6,
            damaged=mixed.random() < 0.4,
            step=mixed.choice([0.5, 5.0, 60.0]) if unit != "s" or kind == "float64" else mixed.choice([1.0, 5.0, 60.0]),
            payload=mixed.choice([12, 16, 24, 100]),
        )
        for kind, epoch, unit in clocks
        for order in ("little", "big")
    ]


@pytest.fixture
def make_new(tmp_path, command_here):
    """Run ``dayfile new`` with a sample: what it says, and the layout that it drafts."""

    def make(content: bytes, name: str, *words: object):
        (tmp_path / name).write_bytes(content)
        done = command_here(
            "dayfile", "new", "probe", "--out", tmp_path / "new", "--sample", tmp_path / name, *words, archive=None
        )
        path = tmp_path / "new" / "src" / "dayfile_probe" / "probe.yaml"
        return done, path.read_text() if done.code == 0 else ""

    return make


def decode_times(layout: str, name: str, content: bytes) -> np.ndarray:
    """Decode the times of a sample by a layout."""
    instrument = dayfile.Instrument(layout, "probe.yaml")
    assert instrument.find_mistakes() == ()
    batches = [
        each
        for each in instrument.decode(dayfile.Source(Path(name), name, content)) or []
        if isinstance(each, dayfile.Batch)
    ]
    data_type = instrument.layout.types[0]
    counts = np.concatenate([batch.records[data_type.time] for batch in batches])
    return data_type.clock.to_datetime64(counts)


def share_equal(times: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of the true times that are found, to a tick of a float."""
    found = np.sort(times.astype("datetime64[ns]").astype(np.int64))
    wanted = truth.astype(np.int64)
    places = np.clip(np.searchsorted(found, wanted), 1, len(found) - 1)
    near = np.minimum(abs(found[places] - wanted), abs(found[places - 1] - wanted))
    return float((near < 100_000).mean())


@pytest.mark.parametrize("dated", [True, False], ids=["dated", "undated"])
@pytest.mark.parametrize("number", range(22))
def test_the_drafted_layout_decodes_the_true_times_or_they_are_shown(make_new, number, dated):
    made = list_samples()[number]
    content, truth = make_sample(made, number)
    name = "probe_20240501.dat" if dated else "probe.dat"
    done, layout = make_new(content, name)
    assert done.code == 0, (made, done.err)
    share = share_equal(decode_times(layout, name, content), truth)
    assert share > 0.98 or f"{np.datetime_as_string(truth[0], 'ms')}" in done.out, (made, share, done.out)
    if made.epoch != "gps" and made.unit == "s":
        assert share > 0.98
    assert f"size: {made.length}  # a guess" in layout


HARD = {
    4: Made("uint64", "little", "1970", "us", 100, "counter", False, False, 0.01, 100),
    49: Made("uint32", "big", "1970", "s", 64, "counter", False, True, 5.0, 100),
    50: Made("uint64", "big", "1970", "us", 20, "short counter", False, True, 0.01, 400),
    67: Made("uint32", "big", "1970", "s", 64, "sync", False, True, 0.3, 100),
    96: Made("uint32", "big", "1970", "s", 0, "counter", False, True, 1.0, 400, 60),
    97: Made("uint32", "little", "2000", "s", 100, "sync", False, False, 0.3, 24),
    5: Made("uint32", "big", "gps", "s", 20, "sync", True, True, 5.0, 16),
}
"""Samples in which something beside the time goes on like one, by their seeds."""


@pytest.mark.parametrize("seed", HARD)
def test_what_only_looks_like_a_time_has_fewer_points(make_new, seed):
    made = HARD[seed]
    content, truth = make_sample(made, seed)
    _, layout = make_new(content, "probe.dat")
    assert share_equal(decode_times(layout, "probe.dat", content), truth) > 0.95
    assert f"size: {made.length}  # a guess" in layout
    assert ("head:" in layout) == (made.head > 0)
