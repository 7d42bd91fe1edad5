"""``dayfile new`` with samples that are damaged, that have little in them, or whose guess somebody corrects."""

from __future__ import annotations

import numpy as np
import pytest

HEADER = """\
#include <stdint.h>
struct house { double t_sec; /* time */ uint32_t n; uint8_t more[84]; };
struct night { double t; /* modified Julian date, days since 1858-11-17 */ uint32_t n; uint32_t m; };
struct plain { double time; /* since 2000-01-01 */ uint32_t n; uint32_t m; };
"""
BEGIN = 1714564807.25


@pytest.fixture
def make_new(tmp_path, command_here):
    """Run ``dayfile new`` with a sample: what it says, and the layout."""
    (tmp_path / "house.h").write_text(HEADER)

    def make(content: bytes, *words: object, struct: str = "", code: int = 0):
        (tmp_path / "house.dat").write_bytes(content)
        header = ("--from-header", tmp_path / "house.h", "--struct", struct) if struct else ()
        out = tmp_path / "new"
        sample = ("--sample", tmp_path / "house.dat")
        done = command_here("dayfile", "new", "house", "--out", out, *sample, *header, *words, archive=None)
        assert done.code == code, done.err
        return done, (out / "src/dayfile_house/house.yaml").read_text() if code == 0 else done.err

    return make


def make_records(first: np.ndarray, size: int, seed: int = 1) -> np.ndarray:
    """Make records of times and bytes that are anything."""
    randoms = np.random.default_rng(seed)
    stamps = first[:, np.newaxis].view(np.uint8)
    return np.concatenate([stamps, randoms.integers(0, 256, (len(first), size - stamps.shape[1]), np.uint8)], axis=1)


def make_house(count: int = 2000) -> np.ndarray:
    return make_records(BEGIN + 0.5 * np.arange(count), 96)


def test_bytes_that_are_lost_in_the_middle_put_nothing_in_front(make_new):
    content = make_house().tobytes()
    done, layout = make_new(content[: 300 * 96] + content[300 * 96 + 7 :], struct="house")
    assert "head:" not in layout
    assert "damaged at byte 28,800: 7 bytes missing there" in done.out


def test_bytes_that_are_lost_soon_put_nothing_in_front_either(make_new):
    content = make_records(767880000 + 1.5 * np.arange(2000), 16).tobytes()
    done, layout = make_new(content[:640] + content[647:], struct="plain")
    assert "head:" not in layout
    assert "damaged at byte 640: 7 bytes missing there" in done.out


@pytest.mark.parametrize("cut", [0, 7, 85])
@pytest.mark.parametrize("bad", [1, 3, 1000])
def test_one_damaged_time_and_bytes_cut_at_the_end_do_not_hide_the_clock(make_new, cut, bad):
    records = make_house()
    records[bad, :8] = 255
    done, layout = make_new(records.tobytes()[: 2000 * 96 - cut], struct="house")
    assert "clock: {epoch: 1970-01-01T00:00:00, unit: s}  # a guess" in layout
    assert "1 record of the sample with a time that does not fit" in done.out


@pytest.mark.parametrize("size", [0, 16, 20, 96, 100])
def test_bytes_in_front_of_records_of_a_header_are_found(make_new, size):
    _, layout = make_new(b"\x01" * size + make_house().tobytes(), struct="house")
    assert (f"head: {{size: {size}}}  # a guess" in layout) == (size > 0)


def test_what_a_comment_says_is_taken_and_what_it_does_not_say_is_marked(make_new, tmp_path):
    _, layout = make_new(make_records(60431.5 + np.arange(200) / 1440, 16).tobytes(), struct="night")
    assert "clock: {epoch: 1858-11-17T00:00:00, unit: d}\n" in layout
    (tmp_path / "new").rename(tmp_path / "night")
    _, layout = make_new(make_records(767880000 + 1.5 * np.arange(200), 16).tobytes(), struct="plain")
    assert "clock: {epoch: 2000-01-01T00:00:00, unit: s}  # a guess" in layout


@pytest.mark.parametrize("order", ["<", ">"])
def test_weeks_of_gps_with_milliseconds_are_found(make_new, order):
    records = np.zeros(600, np.dtype([("w", f"{order}u2"), ("ms", f"{order}u4"), ("x", "u1", 14)]))
    count = 604_800_000 - 100_000 + 1000 * np.arange(600)
    records["w"], records["ms"] = 2311 + count // 604_800_000, count % 604_800_000
    records["x"] = np.random.default_rng(2).integers(0, 256, (600, 14))
    done, layout = make_new(records.tobytes())
    assert "plus: {week: w, time_count: ms}" in layout
    assert "2024-04-27T23:58:02" in done.out, done.out


def test_a_clock_that_may_be_another_is_shown_with_its_dates_and_chosen_by_an_option(make_new, tmp_path):
    content = make_records((1398600000 + 5 * np.arange(3000)).astype("<u4"), 24).tobytes()
    done, layout = make_new(content)
    assert "since 1980-01-06 (GPS time): 2024-05-01T11:59:42" in done.out
    assert "since 1970-01-01: 2014-04-27T12:00:00" in done.out
    assert "--epoch 1970-01-01 chooses it" in done.out
    (tmp_path / "new").rename(tmp_path / "gps")
    _, layout = make_new(content, "--epoch", "1970-01-01")
    assert "clock: {epoch: 1970-01-01T00:00:00, unit: s}" in layout


def test_corrections_are_followed(make_new):
    content = b"\x07" * 24 + make_records((1714564807 + 5 * np.arange(3000)).astype(">u4"), 24).tobytes()
    words = ("--byte-order", "big", "--record-bytes", 24, "--head-bytes", 24, "--time", 0)
    _, layout = make_new(content, *words)
    for line in ("head: {size: 24}\n", "  size: 24\n", "byte_order: big, alignment: natural}\n", "time: time_count\n"):
        assert line in layout


def test_a_small_sample_has_its_head_and_the_shorter_length(make_new):
    records = make_records((1714564807 + 60 * np.arange(120)).astype("<u4"), 20)
    _, layout = make_new(bytes(range(32)) + records.tobytes())
    assert "head: {size: 32}" in layout
    assert "size: 20  #" in layout


def test_steps_of_irregular_records_are_described_by_their_median(make_new):
    steps = np.random.default_rng(3).exponential(4, 3000)
    content = make_records((1714564807e3 + 1e3 * np.cumsum(steps)).astype("<u8"), 32).tobytes()
    done, _ = make_new(content)
    assert "the median step is 2." in done.out


NOTHING = {"zeros": bytes(9000), "noise": np.random.default_rng(4).bytes(9000), "counts": np.arange(4000).tobytes()}


@pytest.mark.parametrize("kind", NOTHING)
def test_where_nothing_is_a_time_the_message_says_what_was_tried(make_new, kind):
    _, message = make_new(NOTHING[kind], code=2)
    assert "tried were" in message
    assert "--epoch" in message
