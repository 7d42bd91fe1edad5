"""Reading in pieces takes memory for a piece and a day, however long the range is."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dayfile import create_archive
from running import run_python

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures by /proc")

MB = 2**20
DAYS, A_DAY = 12, 250_000
MEASURE = """
import sys, dayfile
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

archive = dayfile.open_archive(sys.argv[1])
archive.read("muon.hits", "1997-10-31", "1997-11-01", fields=["channel"], where="channel == 7")  # all is imported
before = peak()
if sys.argv[2] == "plot":
    kinds = {"series": ["energy"], "histogram": ["energy"], "rates": None}
    archive.plot("muon.hits", "1997-10-31", "1997-11-01", kind="series", fields=["energy"])
    before = peak()
    count = total = len([archive.plot("muon.hits", kind=kind, fields=fields) for kind, fields in kinds.items()])
elif sys.argv[2] == "read":
    count, total = len(found := archive.read("muon.hits")), int(found["channel"].sum())
else:
    count = total = 0
    for piece in archive.iter("muon.hits", rows=20_000):
        count += len(piece)
        total += int(piece["channel"].sum())
print(count, total, peak() - before)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory, muon):
    """An archive of 57 MB in twelve days."""
    archive = create_archive(tmp_path_factory.mktemp("large") / "archive", plugins={"muon": muon.instrument})
    rng = np.random.default_rng(3)
    with archive.putting(publish_bytes=256 * MB) as put:
        for day in range(DAYS):
            hits = np.zeros(A_DAY, muon.hits.dtype)
            hits["second"] = muon.start + 86400 * day + rng.integers(0, 86400, A_DAY)
            hits["energy"] = rng.random(A_DAY)
            hits["channel"] = rng.integers(0, 8, A_DAY)
            put("muon.hits", hits)
    return archive.root.path


def test_memory_for_pieces_is_that_of_a_day_and_not_of_the_range(large):
    whole = list(map(int, run_python("-c", MEASURE, large, "read").stdout.split()))
    pieces = list(map(int, run_python("-c", MEASURE, large, "iter").stdout.split()))
    assert pieces[:2] == whole[:2]
    assert whole[0] == DAYS * A_DAY
    assert whole[2] * 1024 > 50 * MB
    assert pieces[2] < whole[2] / 3, f"{pieces[2] / 1024:.0f} MB in pieces, {whole[2] / 1024:.0f} MB at once"
    print(f"{pieces[2] / 1024:.0f} MB in pieces, {whole[2] / 1024:.0f} MB at once")  # noqa: T201 - a measurement


def test_memory_for_a_picture_does_not_grow_with_the_range(large):
    drawn, _, more = map(int, run_python("-c", MEASURE, large, "plot").stdout.split())
    assert drawn == 3
    assert more * 1024 < 30 * MB, f"{more / 1024:.0f} MB more for twelve days than for one"
