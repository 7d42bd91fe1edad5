"""A range in pieces is the range as a whole, also where whole times reach into the next day file."""

from __future__ import annotations

import numpy as np
import pytest

from asking import make_rates
from dayfile import Records, create_archive


@pytest.fixture
def late(tmp_path):
    """An archive of four days of rates, of which each has records that are later than the first of the next day."""
    instrument, rates, records = make_rates(40)
    archive = create_archive(tmp_path / "archive", plugins={"muon": instrument})
    midnight = rates.clock.day_start(np.datetime64("2017-02-26"))
    days, places = np.arange(40) // 10, np.arange(40) % 10
    records["second"] = midnight + 86400 * days + np.where(places < 5, places, 86394 + places - 4)
    records["nanosecond"] = np.where(places < 5, 0, 3_500_000_000)
    archive.put("muon.rates", records)
    return archive


@pytest.mark.parametrize("rows", [1, 3, 10, 100])
@pytest.mark.parametrize("window", [1, 400, 10**6])
def test_pieces_are_the_range_in_order_though_times_reach_into_the_next_day(late, rows, window):
    late.window_bytes = window
    whole = late.read("muon.rates")
    assert (np.diff(whole.nanoseconds) >= 0).all()
    assert (np.diff(whole.array["second"].astype(int)) < 0).any()  # the order is not that of the day files
    joined = Records.concatenate(list(late.iter("muon.rates", rows=rows)))
    assert joined.array.tobytes() == whole.array.tobytes()
    part = late.read("muon.rates", "2017-02-27", "2017-02-28T00:00:02", inside=True)
    pieces = list(late.iter("muon.rates", "2017-02-27", "2017-02-28T00:00:02", rows=rows, inside=True))
    assert Records.concatenate(pieces).array.tobytes() == part.array.tobytes()
