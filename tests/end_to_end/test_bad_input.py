"""Bad input gets one clear message, is kept whole in quarantine, and costs nothing else."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import dayfile
from dayfile.testing.telemetry import write_sources
from dayfile_cris import instrument as cris
from instruments import make_stream


def hskp_stream(count=3) -> bytes:
    data_type = cris.layout.by_code()["L1CrisHskp"]
    records = np.zeros(count, data_type.dtype)
    records["Second1996"] = 57801601 + 256 * np.arange(count)
    return make_stream(cris, data_type, records)


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch pwned",)


@pytest.fixture
def truncated_hdf4(tmp_path) -> bytes:
    pytest.importorskip("pyhdf")
    data_type = cris.layout.by_code()["L1CrisHskp"]
    records = np.zeros(200, data_type.dtype)
    records["Second1996"] = 57801601 + 256 * np.arange(200)
    write_sources(cris, tmp_path, {}, "whole.hdf", {"L1CrisHskp": records})
    return (tmp_path / "whole.hdf").read_bytes()[:20000]


def bad_sources(truncated: bytes) -> dict[str, tuple[bytes, str]]:
    return {
        "empty": (b"", "empty"),
        "notes.hdf": (b"these are my notes\n", "HDF4"),
        "cut.hdf": (truncated, "cut.hdf"),
        "evil": (pickle.dumps([Evil()]), "system"),
        "L1CrisHskp.be.bin": (hskp_stream()[:-7], "byte 584"),
        "letter.txt": (b"Dear archive", "no plugin of this run recognises it"),
    }


def test_each_bad_source_is_told_once_kept_whole_and_costs_nothing_else(tmp_path, archive_run, truncated_hdf4):
    sources = bad_sources(truncated_hdf4)
    (tmp_path / "in").mkdir()
    for name, (content, _) in sources.items():
        (tmp_path / "in" / name).write_bytes(content)
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "L1CrisHskp.be.bin").write_bytes(hskp_stream())
    done = archive_run("in", "good", "--archive", "archive", "--report", "report.json")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "pwned").exists()
    lines = done.stderr.splitlines()
    assert len(lines) == len(sources)
    for name, (_, words) in sources.items():
        (line,) = [line for line in lines if line.startswith(f"dayfile: {name}")]
        assert words in line
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sources"] == {"archived": 1, "already": 0, "quarantined": len(sources), "held": 0, "left": 0}
    assert len(dayfile.open_archive(tmp_path / "archive").read("cris.hskp")) == 3
    kept = {}
    for entry in (tmp_path / "archive" / "quarantine").iterdir():
        reason = json.loads((entry / "reason.json").read_text())
        assert reason["message"]
        kept[reason["source"]] = (entry / reason["source"]).read_bytes()
    assert kept == {name: content for name, (content, _) in sources.items()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plugins", "criss"], "did you mean 'cris'?"),
        (["--set", "hisparc.cutof_year=2016"], "did you mean 'hisparc.cutoff_year'?"),
        (["--set", "hisparc.cutoff_year=old"], "hisparc.cutoff_year cannot be 'old'"),
        (["--set", "nonsense"], "KEY=VALUE"),
        (["missing-file"], "no such file"),
        (["--config", "missing.yaml"], "missing.yaml"),
    ],
)
def test_wrong_usage_and_settings_end_with_exit_code_2_and_say_what_would_be_right(archive_run, arguments, words):
    done = archive_run(*arguments, "--archive", "archive")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_record_without_a_time_is_quarantined_alone_and_can_be_given_again(tmp_path, archive_run):
    data_type = cris.layout.by_code()["L1CrisHskp"]
    records = np.zeros(3, data_type.dtype)
    records["Second1996"] = [57801601, 0, 57801601 + 256]
    records["ClockCycle"] = [1, 2, 3]
    content = make_stream(cris, data_type, records)
    (tmp_path / "L1CrisHskp.be.bin").write_bytes(content)
    done = archive_run("L1CrisHskp.be.bin", "--plugins", "cris", "--archive", "archive")
    assert done.returncode == 3
    (kept,) = (tmp_path / "archive" / "quarantine").glob("*/L1CrisHskp.be.bin")
    size = cris.struct(data_type).itemsize
    assert kept.read_bytes() == content[size : 2 * size]
    assert len(dayfile.open_archive(tmp_path / "archive").read("cris.hskp")) == 2
    again = archive_run("L1CrisHskp.be.bin", "--plugins", "cris", "--archive", "archive")
    assert again.returncode == 0
    assert "1 already" in again.stdout
