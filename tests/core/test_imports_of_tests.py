"""Tests of promises use what users have; only tests of one room of the core import from it, and each is listed here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dayfile

TESTS = Path(__file__).parents[1]
PUBLIC = {
    "__main__",
    "api",
    "errors",
    "hookspecs",
    "testing",
    *(f"{room}.base" for room in ("export", "formats", "plots", "stores")),
}
"""Modules that programs and plugins import, beside the names of ``dayfile`` itself."""
SHARED = {
    "archives.py": "what runs and checks an archive in the test's process, for all tests",
    "asking.py": "samples and what must come of them",
    "conftest.py": "commands called in the test's process, and plugins put in place of installed ones",
    "core/conftest.py": "counts what is open in the HDF5 library",
    "formats/expected.py": "samples and what must come of them",
    "line_writing.py": "lines that are written the plainest way",
    "plain_decoding.py": "sources decoded in the plainest way",
    "plain_frames.py": "frames found in the plainest way, and by what is tested",
    "random_layouts.py": "layouts and records of any kind",
    "running.py": "commands called in the test's process",
    "two_engines.py": "samples and what must come of them",
}
"""Modules that tests share: they use the core so that tests need not."""
ROOMS = {
    "ace/test_event_buffers.py": "model: packed buffers",
    "ace/test_flat_files.py": "formats: slot files",
    "core/test_attempts.py": "engine: trials of sources in processes of their own",
    "core/test_blobs.py": "stores: blobs",
    "core/test_bulk_reading.py": "archive: how much is read and opened for a question",
    "core/test_checksums.py": "stores: checksums",
    "core/test_clock.py": "model: clocks and instants",
    "core/test_columns.py": "hdf5: single columns of a table",
    "core/test_compressed.py": "formats: gzip files",
    "core/test_compression.py": "archive: the archive",
    "core/test_conditions.py": "model: conditions",
    "core/test_connections.py": "serving: connections and their limits",
    "core/test_damage.py": "archive: checking of single damaged files",
    "core/test_day_begins.py": "cli: commands",
    "core/test_describe.py": "cli, stores: what tables declare of their types, and how it is shown",
    "core/test_directories.py": "archive: directories",
    "core/test_empty_slots.py": "stores: slots",
    "core/test_gaps.py": "archive: gaps and totals",
    "core/test_gaps_in_slots.py": "archive: which rows are kept",
    "core/test_groups.py": "engine: groups of sources",
    "core/test_hdf4.py": "formats: HDF4",
    "core/test_index.py": "stores: the index of rows",
    "core/test_intake.py": "engine: intake",
    "core/test_large.py": "engine: the engine",
    "core/test_layout_commands.py": "layouts, formats: the list of all words",
    "core/test_layout_errors.py": "layouts, model: what layouts declare",
    "core/test_leap_seconds.py": "model: leap seconds",
    "core/test_logs.py": "logs",
    "core/test_lost_records.py": "engine: day files of other programs are taken as they are",
    "core/test_making.py": "stores, hdf5: how tables are made",
    "core/test_open_files.py": "archive, hdf5: what is closed after reading",
    "core/test_opening.py": "archive: opening day files",
    "core/test_outlines.py": "archive: what is remembered of day files",
    "core/test_outputs.py": "cli: standard output and error",
    "core/test_packed.py": "model: packed buffers",
    "core/test_parcels.py": "formats: parcels",
    "core/test_paths.py": "cli: paths that commands are given",
    "core/test_physical.py": "model, stores: stores",
    "core/test_processes.py": "engine: processes",
    "core/test_reading_sources.py": "engine: reading of sources",
    "core/test_readonly.py": "hdf5: files read without their library's open files",
    "core/test_renamed.py": "formats: words of layouts under their old names",
    "core/test_rows.py": "hdf5: rows of tables",
    "core/test_schedule.py": "engine: when day files are published",
    "core/test_screens.py": "cli: the list of its commands",
    "core/test_serving.py": "serving: processes, bounds, health",
    "core/test_settings.py": "settings",
    "core/test_state.py": "state: the record and its files",
    "core/test_status.py": "state, cli: what is said of a state, and how it is shown",
    "core/test_status_port.py": "serving, state: the port for monitors",
    "core/test_struct_dtypes.py": "formats: structs",
    "core/test_validity.py": "model: when records are valid",
    "core/test_vlen.py": "hdf5: arrays of variable length",
    "core/test_workfile.py": "archive: work files",
    "deploy/test_deploy.py": "logs: a log file that logrotate moves",
    "deploy/test_supervision.py": "supervision",
    "end_to_end/test_alarms.py": "state: names of metrics and of what needs attention",
    "end_to_end/test_docs.py": "cli, formats, layouts, settings: their words are those of the documentation",
    "end_to_end/test_plurals.py": "messages",
    "export/test_export_of_instruments.py": "export: the core's own exporters",
    "export/test_numbers.py": "export: numbers as text",
    "export/test_ranges.py": "export: the core's own exporters",
    "formats/test_samples.py": "formats: compressed sources",
    "guarantees/test_catalogue_form.py": "archive: the catalogue's forms",
    "guarantees/test_duplicates.py": "engine, hdf5: rows that are read to find duplicates",
    "guarantees/test_full_disk.py": "archive: what is copied to another file system",
    "guarantees/test_fuzz.py": "engine, formats: single sources, each with a time limit",
    "guarantees/test_moves.py": "archive: moves and the quarantine",
    "guarantees/test_root.py": "engine: what a run publishes after its root has gone",
    "guarantees/test_watch.py": "engine: the watch",
    "plots/test_pictures.py": "plots: bins, limits, colours",
    "stages/test_frame_checksums.py": "stages: checksums",
    "stages/test_frame_words.py": "layouts, stages: words of match, frames and carry",
    "stages/test_framers.py": "stages: framers of each kind",
    "stages/test_framing.py": "stages: frames",
    "stages/test_line_samples.py": "lines: lines and their parts",
    "stages/test_line_shapes.py": "framing, lines, stages: what flows between stages",
    "stages/test_line_words.py": "layouts, lines: lines and their parts",
    "stages/test_line_writing.py": "lines: lines and their parts",
    "stages/test_lines.py": "lines: lines and their parts",
    "stages/test_parts.py": "model, stages, timing: how times are made",
    "stages/test_samples_framed.py": "stages: frames of sample formats",
    "stages/test_texts.py": "model, timing: how times are made",
    "stages/test_time_words.py": "layouts, timing: how times are made",
    "stages/test_zones.py": "stages, timing: how times are made",
    "stores/test_nodes.py": "stores: paths of nodes",
    "stores/test_third_party_store.py": "stores: the registry, put back after each test",
    "stores/test_three_steps.py": "stores: decide, apply, overlay",
    "web/test_ahead.py": "web: blocks of answers",
    "web/test_encoding.py": "web: HAPI",
    "web/test_hapi.py": "settings, web: HAPI",
    "web/test_instruments.py": "model: what records are",
    "web/test_moments.py": "model, web: HAPI",
    "web/test_protection.py": "logs: logs",
    "web/test_server.py": "logs, serving, settings, web: a server that stops sooner",
}
"""Test files that import from rooms of the core, with the rooms and what they test there; no other does."""
FILES = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py") if "data" not in path.parts)


def find_internals(source):
    """Find the rooms of the core that a test imports, also in scripts that it runs."""
    for module, names in re.findall(
        r"^\s*(?:from|import) dayfile\b((?:\.\w+)*)(?: import ([\w, ]+))?", source, re.MULTILINE
    ):
        inner = module.lstrip(".")
        found = [inner] if inner else [name for name in re.findall(r"\w+", names) if name not in dayfile.__all__]
        yield from (each for each in found if not is_public(each))


def is_public(module):
    return any(module == each or module.startswith(f"{each}.") for each in PUBLIC)


@pytest.mark.parametrize("path", FILES)
def test_only_tests_of_a_room_import_from_it(path):
    found = set(find_internals((TESTS / path).read_text(encoding="utf-8")))
    listed = path in ROOMS or path in SHARED
    assert listed or not found, f"{path} imports {', '.join(sorted(found))}; use what users have, or name its room here"
    assert found or not listed, f"{path} imports no room any more; remove it here"


def test_listed_files_exist():
    assert {*ROOMS, *SHARED} <= set(FILES)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import dayfile\nfrom dayfile import Batch, errors\nfrom dayfile.testing.faults import Fault\n", []),
        ("from dayfile.export.base import Day\n", []),
        ("from dayfile import Batch, settings\n", ["settings"]),
        ("def test():\n    from dayfile.archive.root import Root\n", ["archive.root"]),
        ('SCRIPT = """\nimport dayfile.engine.run\n"""\n', ["engine.run"]),
        ("from dayfile_hisparc import pickles\n", []),
    ],
)
def test_imports_of_rooms_are_found(source, found):
    assert list(find_internals(source)) == found
