"""Names that were renamed can be imported under their old names for a version, with a warning."""

from __future__ import annotations

from importlib import import_module

import pytest

from dayfile.formats.registry import read_layout
from dayfile.layouts.part_words import StructWords

LAYOUT = """\
instrument: muon
title: Muon telescope
clock: {epoch: 1996-01-01T00:00:00}
structs: {byte_order: big}
path: "{year}/{month}/{day}.h5"
types:
  runs:
    {code: Run, title: Runs, store: append, time: second, fields: [{name: second, type: uint32}]}
"""
RENAMED = {
    "dayfile.testing.faults": {"KINDS": "STEP_KINDS", "injected": "inject"},
    "dayfile.testing.generators": {
        "Records": "RecordArray",
        "counts": "draw_counts",
        "magnitudes": "draw_magnitudes",
        "readings": "draw_readings",
        "records": "sample_records",
        "sent_when": "draw_when_sent",
        "setting": "draw_setting",
        "shares": "draw_shares",
        "slow_walk": "draw_slow_walk",
        "with_bits": "draw_with_bits",
    },
    "dayfile.testing.selftest": {"load": "make_load", "work": "run_load"},
    "dayfile.testing.telemetry": {"event_buffers": "sample_event_buffers"},
    "dayfile_hisparc.passwords": {"hashed": "hash_password"},
    "dayfile_hisparc.stations": {"hashed": "hash_password"},
    "dayfile_hisparc.traces": {"adc_counts": "decode_trace", "traces": "read_traces"},
}


@pytest.mark.parametrize(
    ("module", "old", "new"), [(module, *names) for module, renamed in RENAMED.items() for names in renamed.items()]
)
def test_an_old_name_means_the_new_one_and_warns(module, old, new):
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now {new}"):
        found = getattr(import_module(module), old)
    assert found is getattr(import_module(module), new)


def test_an_old_name_is_found_where_the_function_is_now():
    from dayfile.testing import operations, telemetry

    with pytest.warns(DeprecationWarning, match="telemetry.commands is now dayfile.testing.operations:draw_commands"):
        assert telemetry.commands is operations.draw_commands


@pytest.mark.parametrize("module", RENAMED)
def test_a_name_that_never_was_is_missing_as_in_any_module(module):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'misspelt'"):
        _ = import_module(module).misspelt


def test_a_layout_finds_a_section_under_the_old_name():
    layout = read_layout(LAYOUT, "muon.yaml")
    with pytest.warns(DeprecationWarning, match="Layout.section is now Layout.find_section"):
        assert layout.section(StructWords) is layout.find_section(StructWords)
