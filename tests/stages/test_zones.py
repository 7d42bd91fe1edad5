"""Time zones: what a clock on the wall shows, both ways, as zoneinfo has it."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.errors import SettingsError
from dayfile.stages.base import Wrong
from dayfile.timing.texts import TimeTexts
from dayfile.timing.times import Moments
from dayfile.timing.zones import Zone, find_zone_problem

NAMES = [
    "Europe/Amsterdam",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
]
MOMENTS = st.datetimes(dt.datetime(1901, 1, 1), dt.datetime(2261, 1, 1))
EPOCH = dt.datetime(1970, 1, 1)


def since_1970(moment):
    return (moment - EPOCH) // dt.timedelta(microseconds=1) * 1000


def near_changes(name, years=(1940, 2011, 2024)):
    """Moments within two hours of a change of the zone's offset, as a clock in UTC shows it."""
    zone = zoneinfo.ZoneInfo(name)
    hours = (
        dt.datetime(year, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=hour) for year in years for hour in range(366 * 24)
    )
    found, before = [], None
    for hour in hours:
        offset = hour.astimezone(zone).utcoffset()
        if before is not None and offset != before:
            found.append(hour.replace(tzinfo=None))
        before = offset
    return found


CHANGES = {name: near_changes(name) for name in NAMES}


def moments_of(name):
    if not CHANGES[name]:
        return MOMENTS
    seconds = st.integers(-100_000, 100_000).map(lambda second: dt.timedelta(seconds=second))
    return MOMENTS | st.builds(lambda change, by: change + by, st.sampled_from(CHANGES[name]), seconds)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_clock_on_the_wall_is_read_as_zoneinfo_reads_it(name, data):
    zone, shown = zoneinfo.ZoneInfo(name), data.draw(st.lists(moments_of(name), min_size=1, max_size=8))
    values = np.array([since_1970(each) for each in shown])
    for repeated, fold in (("first", 0), ("second", 1), ("reject", 0)):
        wrong = Wrong.none(len(shown))
        utc = Zone(name, repeated).to_utc(values, wrong)
        for row, each in enumerate(shown):
            first, second = (each.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1))
            exists = first.astimezone(zone).replace(tzinfo=None) == each
            if not exists or (repeated == "reject" and first != second):
                assert wrong.rows[row], (each, repeated)
            else:
                assert not wrong.rows[row], (each, repeated)
                assert utc[row] == since_1970((first, second)[fold].replace(tzinfo=None))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_utc_is_shown_as_zoneinfo_shows_it(name, data):
    moments = data.draw(st.lists(moments_of(name), min_size=1, max_size=8))
    shown = Zone(name).to_wall(np.array([since_1970(each) for each in moments]))
    zone = zoneinfo.ZoneInfo(name)
    assert shown.tolist() == [
        since_1970(each.replace(tzinfo=dt.UTC).astimezone(zone).replace(tzinfo=None)) for each in moments
    ]


def read(texts, zone):
    times, wrong = Moments(TimeTexts("{t}"), zone=zone).make({"t": np.array(texts)}, len(texts))
    return [wrong.reasons.get(row, text) for row, text in enumerate(times.astype("datetime64[ns]").astype(str))]


AMSTERDAM = ["2024-10-27T02:30:00", "2024-03-31T02:30:00", "2024-10-27T02:30:00+02:00", "2024-07-01T12:00:00"]


def test_the_hour_that_comes_twice_is_the_first_or_the_second_or_rejected():
    gap = "2024-03-31T02:30:00 does not exist in Europe/Amsterdam: the clocks were put forward"
    rest = ["2024-10-27T00:30:00.000000000", "2024-07-01T10:00:00.000000000"]
    assert read(AMSTERDAM, Zone("Europe/Amsterdam")) == ["2024-10-27T00:30:00.000000000", gap, *rest]
    assert read(AMSTERDAM, Zone("Europe/Amsterdam", "second")) == ["2024-10-27T01:30:00.000000000", gap, *rest]
    twice = "2024-10-27T02:30:00 comes twice in Europe/Amsterdam: the clocks were put back"
    assert read(AMSTERDAM, Zone("Europe/Amsterdam", "reject")) == [twice, gap, *rest]


def test_clocks_of_lord_howe_are_put_back_by_half_an_hour():
    texts = ["2024-04-07T01:45:00", "2024-04-07T01:15:00", "2024-10-06T02:15:00"]
    gap = "2024-10-06T02:15:00 does not exist in Australia/Lord_Howe: the clocks were put forward"
    assert read(texts, Zone("Australia/Lord_Howe")) == [
        "2024-04-06T14:45:00.000000000",
        "2024-04-06T14:15:00.000000000",
        gap,
    ]
    assert read(texts, Zone("Australia/Lord_Howe", "second"))[0] == "2024-04-06T15:15:00.000000000"


def test_a_zone_that_the_settings_have_to_name_is_asked_for_by_its_setting():
    making = Moments(TimeTexts("{t}"), zone=Zone("", setting="hall.zone"))
    with pytest.raises(SettingsError, match=r"set hall\.zone, such as Europe/Amsterdam"):
        making.make({"t": np.array(["2024-07-01T12:00"])}, 1)
    times, _ = making.in_zone("Europe/Amsterdam").make({"t": np.array(["2024-07-01T12:00"])}, 1)
    assert times.astype("datetime64[ns]").astype(str).tolist() == ["2024-07-01T10:00:00.000000000"]


@pytest.mark.parametrize("name", ["Europe/Amsterdm", "", "../etc", "/etc/passwd", "x" * 300, "a\0b"])
def test_names_that_are_no_zone_are_found(name):
    assert "is not a time zone" in find_zone_problem(name)
    assert find_zone_problem("Europe/Amsterdam") == ""
