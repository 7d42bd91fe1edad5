"""Every data type of the three instruments has a default plot, and HiSPARC one of its own."""

from __future__ import annotations

import numpy as np
import pytest

from dayfile import create_archive
from dayfile.errors import UsageError
from dayfile_hisparc.traces import read_traces

DAY = np.datetime64("1997-10-31")


def fill_archive(name, path):
    """Archive a simulated day of an instrument."""
    settings = {"hisparc.cutoff_year": 1997} if name == "hisparc" else {}
    archive = create_archive(path / "archive", plugins=[name], settings=settings)
    (path / "sample").mkdir()
    archive.plugins.simulate(name, DAY, 1, path / "sample")
    archive.ingest(path / "sample")
    return archive


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """The events of a station."""
    return fill_archive("hisparc", tmp_path_factory.mktemp("events")).read("hisparc.events", station=501)


@pytest.mark.parametrize("name", ["hisparc", "cris", "sis"])
def test_every_type_is_drawn_without_a_word(name, tmp_path):
    archive = fill_archive(name, tmp_path)
    for data_type in archive.types():
        figure = archive.read(data_type).plot()
        assert figure.axes[0].get_title(loc="left").startswith(data_type)
        assert all(axes.has_data() for axes in figure.axes)


def test_the_traces_of_an_event_are_drawn_in_nanoseconds(events):
    (axes,) = events.plot("traces").axes
    traces = [trace for trace in read_traces(events, 0) if trace is not None]
    assert [line.get_label() for line in axes.lines] == ["detector 1", "detector 2", "detector 3", "detector 4"]
    for line, trace in zip(axes.lines, traces, strict=True):
        assert (line.get_ydata() == trace).all()
        assert line.get_xdata()[1] == 2.5
    assert axes.get_xlabel() == "time in the trace [ns]"
    assert axes.get_title(loc="left").startswith("hisparc.events, station 501: event of 1997-10-31T00:00:00.")


def test_fields_are_drawn_as_values_where_the_default_are_numbers_of_records(events):
    assert events.plot().axes[0].get_ylabel() == "records per 10 s"
    assert events.plot(fields=["pulseheights"]).axes[0].get_ylabel() == "pulseheights [ADC count]"


def test_an_event_without_traces_says_so(events):
    without = events[:1]
    without.array["traces"] = -1
    with pytest.raises(UsageError, match="has no traces; choose another one, by a time or a condition"):
        without.plot("traces")
