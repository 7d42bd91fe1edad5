"""Pictures show what the records are: values, gaps, units, and what was left out."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dayfile import Instrument, create_archive, open_archive
from dayfile.archive.drawing import draw_pieces
from dayfile.errors import MissingExtraError, StorageError, UsageError
from dayfile.handover import columns
from dayfile.plots.base import Pieces
from dayfile.plots.bins import LENGTHS, cut_time, cut_values
from dayfile.plots.curves import find_longest_step, find_thresholds
from dayfile.plots.figures import COLOURS, save_figure
from dayfile.plots.rates import Counts
from dayfile.plots.survey import Sample, survey_pieces
from dayfile.stores.declarations import make_attributes

LAYOUT = """\
instrument: roof
title: A weather mast
clock: {epoch: 1970-01-01T00:00:00}
path: "roof/{year}{month:02}{day:02}.h5"
node: /mast_{mast}/{type}
main_key: mast
types:
  air:
    code: AIR
    title: Air over the roof
    store: append
    time: second
    plot: {y: [temperature, 'wind[1]']}
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: temperature, type: float32, unit: degC}
      - {name: outside, type: float32, unit: degC}
      - {name: wind, type: int16, shape: [2], unit: m/s, missing: [-1]}
      - {name: samples, type: uint16, shape: [64], unit: count}
      - {name: label, type: char, shape: [4]}
  drops:
    code: DROP
    title: Drops of rain
    store: append
    time: second
    fields: [{name: second, type: uint32, unit: s}, {name: size, type: float32, unit: mm}]
"""
START = 1_714_521_600
"""2024-05-01."""


@pytest.fixture
def archive(tmp_path):
    """Ten hours of two masts, without the third hour, and drops at random times."""
    made = create_archive(tmp_path / "archive", plugins={"roof": Instrument(LAYOUT, "roof.yaml")})
    minutes = np.array([minute for minute in range(600) if not 120 <= minute < 180])
    air = np.zeros(len(minutes), made.plugins.data_types["roof.air"].dtype)
    air["second"] = START + 60 * minutes
    air["temperature"] = 10 + minutes / 100
    air["wind"] = [3, 4]
    air["wind"][5, 1] = -1
    air["samples"] = np.arange(64)
    with made.putting() as put:
        put("roof.air", air, mast=1)
        put("roof.air", air[:60], mast=2)
        drops = np.zeros(500, made.plugins.data_types["roof.drops"].dtype)
        drops["second"] = START + np.sort(np.random.default_rng(1).integers(0, 36000, 500))
        drops["size"] = np.arange(500)
        put("roof.drops", drops, mast=1)
    return made


def lines_of(axes):
    """The drawn lines by their label, without the dots."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_axes_have_names_and_units_and_the_title_says_what_it_is(archive):
    figure = archive.read("roof.air", mast=1).plot(fields=["temperature", "wind[1]"])
    first, second = figure.axes
    assert first.get_title(loc="left") == "roof.air, mast 1: Air over the roof"
    assert first.get_ylabel() == "temperature [degC]"
    assert second.get_ylabel() == "wind [m/s]"
    assert second.get_xlabel() == "time (UTC), 2024-05-01"


def test_physical_values_are_drawn_in_their_units_if_they_are_asked_for(tmp_path):
    cell = """
    instrument: cell
    title: A cell
    clock: {epoch: 1970-01-01T00:00:00}
    path: "cell/{year}{month:02}{day:02}.h5"
    types:
      voltage:
        code: V
        title: Voltage
        store: append
        time: second
        fields:
          - {name: second, type: uint32, unit: s}
          - {name: raw, type: int16, unit: count, missing: [-9], physical: {scale: 0.5, offset: 1, unit: V}}
    """
    made = create_archive(tmp_path / "cells", plugins={"cell": Instrument(cell, "cell.yaml")})
    records = np.array([(START, 2), (START + 60, -9), (START + 120, 8)], [("second", "u4"), ("raw", "i2")])
    made.put("cell.voltage", records)
    for physical, unit, values in [(False, "count", [2, np.nan, 8]), (True, "V", [2, np.nan, 5])]:
        figure = made.plot("cell.voltage", fields="raw", physical=physical)
        (axes,) = figure.axes
        assert axes.get_ylabel() == f"raw [{unit}]"
        (line,) = lines_of(axes).values()
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_a_gap_is_drawn_as_a_gap_and_a_missing_value_is_not_drawn(archive):
    figure = archive.read("roof.air", mast=1).plot(fields=["temperature", "wind[1]"])
    (temperature,) = lines_of(figure.axes[0]).values()
    assert np.isnan(temperature.get_ydata()).sum() == 1
    (wind,) = lines_of(figure.axes[1]).values()
    drawn = wind.get_ydata()
    assert np.isnan(drawn).sum() == 2  # the third hour, and the sixth minute
    assert np.nanmin(drawn) == 4


def test_fields_of_one_unit_share_a_panel_and_each_key_has_its_line(archive):
    figure = archive.read("roof.air").plot(fields=["temperature", "outside"])
    (axes,) = figure.axes
    assert axes.get_ylabel() == "[degC]"
    labels = ["mast 1 temperature", "mast 2 temperature", "mast 1 outside", "mast 2 outside"]
    assert list(lines_of(axes)) == labels
    assert len({line.get_color() for line in lines_of(axes).values()}) == 4


def test_the_default_plot_is_that_of_the_layout_and_day_files_do_not_declare_it(archive):
    data_type = archive.plugins.data_types["roof.air"]
    assert data_type.plot.y == ("temperature", "wind[1]")
    assert "plot" not in make_attributes(data_type)
    records = open_archive(archive.root.path).read("roof.air", mast=1)
    assert records.data_type.plot is None
    guessed = records.plot("series")  # without the plugin: the first fields that look like measurements
    assert [axes.get_ylabel() for axes in guessed.axes] == ["[degC]", "wind [m/s]"]
    assert records.plot().axes[0].get_ylabel() == "records per 5 min"
    assert archive.read("roof.drops").plot().axes[0].get_ylabel().startswith("records per ")


def test_of_many_points_the_means_and_the_range_are_drawn(archive):
    records = archive.read("roof.air", mast=1)
    records.array["temperature"][::7] += 1
    figure = records.plot(fields=["temperature", "outside", "wind"])
    assert "shade" not in "".join(text.get_text() for text in figure.axes[0].texts)
    long = archive.read("roof.drops")
    four = type(long).concatenate([long] * 4)
    axes = four.plot("series", fields=["size"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["line: mean; shade: least to greatest"]
    assert len(axes.collections) == 1


def test_values_far_from_all_others_are_left_out_and_counted(archive):
    records = archive.read("roof.air", mast=1)
    records.array["temperature"][[3, 9]] = 1e9
    axes = records.plot(fields=["temperature"]).axes[0]
    assert axes.get_ylim()[1] < 20
    assert "2 values outside not drawn; all: 10 to 1e+09" in axes.texts[0].get_text()
    assert records.plot(fields=["temperature"], log=True).axes[0].get_yscale() == "log"


def test_rates_are_numbers_of_records_and_empty_in_gaps(archive):
    times = archive.read("roof.air", mast=1).times
    edges, length = cut_time(times[0], times[-1], 20)
    assert length == np.timedelta64(30, "m")
    found = Counts(edges, times[0], times[-1], np.timedelta64(90, "s"))
    for start in range(0, len(times), 100):  # piece after piece
        found.add(times[start : start + 100])
    counts = found.find_rates()
    assert np.isnan(counts[4:6]).all()
    assert np.nan_to_num(counts, nan=30)[:-1].tolist() == [30.0] * (len(counts) - 1)
    assert counts[-1] == pytest.approx(30, abs=1.1)  # a part of the bin, in proportion


def test_histograms_have_the_unit_on_both_axes(archive):
    figure = archive.read("roof.drops").plot("histogram")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "size [mm]"
    assert axes.get_ylabel() == "values per 5 mm"
    assert archive.read("roof.drops").plot("histogram", log=True).axes[0].get_yscale() == "log"


def test_traces_are_the_arrays_of_the_first_record(archive):
    (axes,) = archive.read("roof.air", mast=1).plot("traces").axes
    assert axes.lines[0].get_ydata().tolist() == list(range(64))
    assert axes.get_ylabel() == "samples [count]"
    assert axes.get_title(loc="left") == "roof.air: record of 2024-05-01T00:00:00 UTC"


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("sereis", None, "has no plot 'sereis'; did you mean 'series'?"),
        ("series", ["temprature"], "has no field 'temprature'; did you mean 'temperature'?"),
        ("series", ["wind[2]"], r"wind of roof.air has no element \[2\]; its shape is \[2\]"),
        ("series", ["label"], "label of roof.air is char, which has no axis"),
        ("histogram", ["samples"], "samples gives 64 curves, and a histogram can show 7 clearly"),
        ("rates", ["wind"], "rates are numbers of records, not values of fields"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_that_says_what_can(archive, kind, fields, message):
    with pytest.raises(UsageError, match=message):
        archive.read("roof.air", mast=1).plot(kind, fields=fields)


def test_no_records_make_no_picture_but_name_the_days_that_have_some(archive):
    with pytest.raises(UsageError, match=r"no records of roof\.air to draw; nearest day: 2024-05-01"):
        archive.read("roof.air", "2024-06-01", "2024-06-02").plot()


def test_coverage_and_gaps_are_pictures(archive):
    calendar = archive.plot_coverage("roof.air", "2024-04-01", "2024-06-01", mast=1)
    assert calendar.axes[0].get_title(loc="left") == "roof.air, mast 1: days with records"
    assert [label.get_text() for label in calendar.axes[0].get_yticklabels()] == ["2024-04", "2024-05"]
    assert "1 day, 540 records" in [text.get_text() for text in calendar.axes[0].texts]
    gaps = archive.plot_gaps("roof.air")
    assert [label.get_text() for label in gaps.axes[0].get_yticklabels()] == ["1", "2"]
    assert [text.get_text() for text in gaps.axes[0].texts] == ["1 gap, 10.0%", "1 gap, 90.2%"]
    with pytest.raises(UsageError, match="rows do not fit into a picture; choose a shorter range, or draw it by month"):
        archive.plot_coverage("roof.air", "2000-01-01", "2024-06-01")
    assert archive.plot_coverage("roof.air", "2000-01-01", "2024-06-01", by="month")


def read_colours(axes):
    """The values of the cells of a heat map, NaN for those that are empty, shape (rows, bins)."""
    (mesh,) = axes.collections
    return np.ma.filled(mesh.get_array().astype(float), np.nan)


def test_many_elements_are_a_heat_map_with_a_colour_bar_and_empty_gaps(archive):
    records = archive.read("roof.air", mast=1)
    records.array["samples"][7, 3] = 0
    axes, bar = records.plot(fields=["samples"]).axes
    assert axes.get_ylabel() == "element"
    assert bar.get_ylabel() == "samples [count]"
    assert [text.get_text() for text in axes.texts] == ["colour: mean of 2 min"]
    cells = read_colours(axes)
    assert cells.shape == (64, 300)
    assert np.isnan(cells[:, 60:90]).all()  # the third hour
    drawn = np.delete(cells, np.s_[60:90], axis=1)
    assert (drawn[5] == 5).all()
    assert drawn[3, 3] == 1.5  # the mean of two minutes
    assert (axes.collections[0].cmap.name, axes.collections[0].get_rasterized()) == ("viridis", True)
    mixed = records.plot(fields=["temperature", "samples"], log=True).axes
    assert [each.get_ylabel() for each in mixed] == ["temperature [degC]", "element", "samples [count]"]


def test_rare_records_are_cells_up_to_the_next_one_in_a_heat_map(archive):
    records = archive.read("roof.air", mast=1)[::60]  # one an hour
    cells = read_colours(records.plot(fields=["samples"]).axes[0])
    assert not np.isnan(cells).any()
    assert (cells[9] == 9).all()


def test_more_elements_than_rows_share_them_and_their_mean_is_drawn(tmp_path):
    layout = LAYOUT.replace("shape: [64]", "shape: [30, 20]")
    made = create_archive(tmp_path / "wide", plugins={"roof": Instrument(layout, "roof.yaml")})
    air = np.zeros(10, made.plugins.data_types["roof.air"].dtype)
    air["second"] = START + np.arange(10)
    air["samples"] = np.arange(600).reshape(30, 20)
    made.put("roof.air", air, mast=1)
    axes = made.read("roof.air").plot(fields=["samples"]).axes[0]
    assert read_colours(axes)[:3, 0].tolist() == [1, 4, 7]
    assert axes.get_ylabel() == "element of 30 by 20"
    assert axes.texts[0].get_text() == "colour: mean of 1 s and 3 elements"


def test_many_keys_are_rows_of_a_heat_map(archive):
    air = archive.read("roof.air", mast=1)[:60]
    for mast in range(3, 12):
        archive.put("roof.air", air.array, mast=mast)
    axes, bar = archive.read("roof.air").plot(fields=["temperature"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"mast {mast}" for mast in range(1, 12)]
    assert bar.get_ylabel() == "temperature [degC]"
    with pytest.raises(UsageError, match="samples gives 704 curves: 64 elements of 11 keys; choose a key, or one"):
        archive.read("roof.air").plot(fields=["samples"])


def test_an_archive_draws_a_range_as_its_records_do(archive, tmp_path):
    keywords = [{}, {"fields": ["samples"]}, {"kind": "rates"}, {"kind": "histogram"}, {"kind": "traces"}]
    for number, each in enumerate(keywords):
        drawn = archive.plot("roof.air", "2024-05-01T01:00", "2024-05-01T08:00", where="wind[1] == 4", mast=1, **each)
        read = archive.read(
            "roof.air", "2024-05-01T01:00", "2024-05-01T08:00", where="wind[1] == 4", inside=True, mast=1
        ).plot(**each)
        save_figure(drawn, tmp_path / f"drawn{number}.svg")
        save_figure(read, tmp_path / f"read{number}.svg")
        assert (tmp_path / f"drawn{number}.svg").read_bytes() == (tmp_path / f"read{number}.svg").read_bytes()
    with pytest.raises(UsageError, match=r"no records of roof\.air to draw; nearest day: 2024-05-01"):
        archive.plot("roof.air", "2024-06-01", "2024-06-02")


@pytest.mark.parametrize("each", [{"fields": ["temperature", "wind"]}, {"kind": "rates"}, {"kind": "histogram"}])
def test_pieces_of_any_size_give_the_same_picture(archive, tmp_path, each):
    records = archive.read("roof.air")
    longer = type(records).concatenate([records] * 3)
    longer.array["temperature"][[5, 700]] = 1e9
    longer = longer[np.argsort(longer.times, kind="stable")]
    for rows in (10**6, 1):

        def read(rows=rows):
            return (longer[start : start + rows] for start in range(0, len(longer), rows))

        figure = draw_pieces(Pieces(longer.data_type, read), each.get("kind"), fields=each.get("fields"), log=None)
        save_figure(figure, tmp_path / f"{rows}.svg")
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "1000000.svg").read_bytes()


def test_steps_between_pieces_count_too(archive):
    records = archive.read("roof.air", mast=1)
    survey = survey_pieces(records[row : row + 1] for row in range(100))
    (track,) = survey.tracks.values()
    assert (track.records, find_longest_step(track.steps.rows, 0)) == (100, np.timedelta64(20, "m"))


def test_records_in_any_order_are_drawn_in_time_order(archive, tmp_path):
    records = archive.read("roof.air", mast=1)
    save_figure(records.plot(), tmp_path / "forward.svg")
    save_figure(records[::-1].plot(), tmp_path / "backward.svg")
    assert (tmp_path / "forward.svg").read_bytes() == (tmp_path / "backward.svg").read_bytes()


def test_of_very_many_values_a_sample_has_their_quartiles():
    sample = Sample(1000)
    values = np.random.default_rng(3).normal(size=(100_000, 2))
    for start in range(0, len(values), 777):
        sample.add(values[start : start + 777])
    assert 250 <= len(sample.rows) <= 1000
    assert np.allclose(np.percentile(sample.rows, [25, 75], axis=0), [[-0.67] * 2, [0.67] * 2], atol=0.15)


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_the_same_records_give_the_same_file(archive, tmp_path, form):
    for name in ("first", "second"):
        save_figure(archive.read("roof.air", mast=1).plot(), tmp_path / f"{name}.{form}")
    first, second = ((tmp_path / f"{name}.{form}").read_bytes() for name in ("first", "second"))
    assert first == second


def test_settings_of_the_user_do_not_change_pictures(archive, tmp_path):
    import matplotlib as mpl

    save_figure(archive.read("roof.air", mast=1).plot(), tmp_path / "plain.svg")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30}):
        save_figure(archive.read("roof.air", mast=1).plot(), tmp_path / "red.svg")
        assert mpl.rcParams["font.size"] == 30
    assert (tmp_path / "plain.svg").read_bytes() == (tmp_path / "red.svg").read_bytes()


def test_a_picture_goes_only_into_a_file_of_a_picture(archive, tmp_path):
    figure = archive.read("roof.air", mast=1).plot()
    with pytest.raises(UsageError, match=r"a picture is a \.png, \.svg or \.pdf file, not 'a\.gif'"):
        save_figure(figure, tmp_path / "a.gif")
    with pytest.raises(StorageError, match="could not write the picture: No such file or directory"):
        save_figure(figure, tmp_path / "nowhere" / "a.png")


def test_notebooks_show_a_figure(archive):
    assert archive.read("roof.air", mast=1).plot()._repr_png_().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_names_the_extra(archive, monkeypatch):
    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(columns, "import_module", fail)
    with pytest.raises(
        MissingExtraError, match=r'a plot needs matplotlib; install it with: pip install "dayfile\[plot\]"'
    ):
        archive.read("roof.air").plot()


def test_matplotlib_is_imported_only_to_draw():
    script = "import sys, dayfile.cli, dayfile.api, dayfile.plots.registry; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def find_lightness(colour):
    """The lightness of a colour, 0 to 1, as the eye weighs red, green and blue."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


DEUTERANOPIA = np.array([[0.625, 0.375, 0], [0.7, 0.3, 0], [0, 0.3, 0.7]])


def test_colours_differ_for_people_who_do_not_see_green():
    seen = [DEUTERANOPIA @ [int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in COLOURS]
    nearest = min(np.linalg.norm(one - other) for i, one in enumerate(seen) for other in seen[:i])
    assert nearest > 25
    assert max(map(find_lightness, COLOURS)) < 0.5  # all are seen on white


def test_bins_are_round_and_hold_all_values():
    for seconds in (1, 59, 3600, 86400, 10**7, 10**9):
        first = np.datetime64("2024-05-01T00:00:07", "ns")
        last = first + np.timedelta64(seconds, "s")
        edges, length = cut_time(first, last, 100)
        assert edges[0] <= first
        assert last < edges[-1]
        assert len(edges) <= 103
        assert int(length.astype("m8[s]").astype(int)) in LENGTHS or seconds == 10**9
    assert cut_values(0, 0, 10, whole=True).tolist() == [0, 1]
    assert cut_values(-1.5, 1.5, 3, whole=False).tolist() == [-2, -1, 0, 1, 2]


def test_a_gap_of_irregular_records_is_twenty_usual_steps():
    steps = np.array([2, 2, 2, 54]) * 1e9
    assert find_longest_step(steps, 0) == np.timedelta64(40, "s")
    assert find_longest_step(steps, 16) == np.timedelta64(24, "s")
    assert find_longest_step(np.zeros(0), 0) == np.timedelta64(0, "s")
    assert find_thresholds(np.zeros(5)) == (-np.inf, np.inf)
