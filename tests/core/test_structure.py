"""Where things are in the code: rules of the house that no other tool knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for directory in (CHECKOUT / "core" / "src", CHECKOUT / "plugins")
    for path in directory.rglob("*.py")
)
CORE = "core/src/dayfile/"
PRIVATE = {
    "a name that PyTables keeps for itself": r"\b_[vfgc]_\w+",
    "an extension module of PyTables": r"\b\w+extension\b",
    "an attribute that PyTables writes for itself": r"\bNROWS\b",
    "a function of the HDF5 library": r"\bH5[A-Z]\w*|\bh5backtrace\b",
    "ctypes": r"\bctypes\b",
}
OTHER_LIBRARIES = {
    "archive/disk.py": "sync_file_range and renameat2 of the C library",
    "archive/gathering.py": "addresses of NumPy arrays",
    "engine/worker.py": "prctl of the C library",
    "formats/hdf4_structs.py": "buffers of pyhdf, which writes samples in HDF4",
}
"""Modules that use ctypes for something other than HDF5."""


def test_the_sources_are_found():
    assert {path.split("/")[-2] for path in SOURCES} >= {"hdf5", "dayfile_hisparc", "dayfile_cris", "dayfile_sis"}
    assert {CORE + path for path in OTHER_LIBRARIES} < set(SOURCES)


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.startswith(f"{CORE}hdf5/")])
def test_only_hdf5_uses_ctypes_and_private_names_of_pytables(path):
    source = (CHECKOUT / path).read_text(encoding="utf-8")
    found = {what: names for what, pattern in PRIVATE.items() if (names := re.findall(pattern, source))}
    if path.removeprefix(CORE) in OTHER_LIBRARIES:
        assert found.pop("ctypes"), f"{path} does not use ctypes any more; remove it from the exceptions"
    assert found == {}


LONGEST = 400


@pytest.mark.parametrize("path", SOURCES)
def test_no_module_is_longer_than_one_can_read_at_once(path):
    assert len((CHECKOUT / path).read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.startswith(f"{CORE}stores/")])
def test_nothing_but_the_stores_decides_by_the_name_of_a_store(path):
    source = (CHECKOUT / path).read_text(encoding="utf-8")
    assert re.findall(r"store\s*(?:==|!=|in|not in)\s*[\[({]?\s*[\"']\w+", source) == []
