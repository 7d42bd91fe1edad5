"""Where things are in the code: rules of the house that no other tool knows."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from dayfile_cris import instrument as cris
from dayfile_hisparc import instrument as hisparc
from dayfile_sis import instrument as sis

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


INSTRUMENTS = ("hisparc", "sapphire", "ace", "cris", "sis")
STRUCT = "L1(?:Cris|Sis)"
"""What the codes of structs begin with."""
ODD_FIELDS = {
    field.name
    for instrument in (hisparc, cris, sis)
    for data_type in instrument.layout.types
    for field in data_type.fields
    if not re.fullmatch("[a-z0-9]+", field.name)
}
"""Names of fields that no English word is."""
OF_AN_INSTRUMENT = re.compile(
    # With "_" a word ends as well: cris_level1, HISPARC_URL.
    rf"(?i:(?<![a-z0-9])(?:{'|'.join(INSTRUMENTS)})(?![a-z0-9]))|{STRUCT}\w*|\b(?:{'|'.join(sorted(ODD_FIELDS))})\b"
)


@pytest.mark.parametrize("path", [path for path in SOURCES if path.startswith(CORE)])
def test_the_core_names_no_instrument_and_no_field_of_one(path):
    lines = (CHECKOUT / path).read_text(encoding="utf-8").splitlines()
    assert [f"{path}:{number}: {line}" for number, line in enumerate(lines, 1) if OF_AN_INSTRUMENT.search(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        'read("cris.hskp")',
        "the ACE archive",
        "HISPARC_URL",
        "dayfile_sis",
        "L1CrisHskp",
        'Field("Second1996")',
        "event_id",
    ],
)
def test_names_of_instruments_and_fields_are_found(line):
    assert OF_AN_INSTRUMENT.search(line)


@pytest.mark.parametrize("line", ["analysis of surfaces", "place", "crises", "second", "a basis", "event identity"])
def test_words_that_only_look_like_names_are_not(line):
    assert not OF_AN_INSTRUMENT.search(line)


LONGEST = 400


@pytest.mark.parametrize("path", SOURCES)
def test_no_module_is_longer_than_one_can_read_at_once(path):
    assert len((CHECKOUT / path).read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.startswith(f"{CORE}stores/")])
def test_nothing_but_the_stores_decides_by_the_name_of_a_store(path):
    source = (CHECKOUT / path).read_text(encoding="utf-8")
    assert re.findall(r"store\s*(?:==|!=|in|not in)\s*[\[({]?\s*[\"']\w+", source) == []


COMMAND = "a command, which calls the function of this name"
HOOK = "a hook, whose name is the interface of plugins, and a command or function"
DEFINED_TWICE = {
    "CONFLICT_BYTE": "what fills a slot in conflict: in day files, and in slot files, which are not ours",
    "INTERRUPTED": "the exit code, at the start of the program without an import and later",
    "MAGIC": "the first bytes of a file, of two formats",
    "SECONDS_A_DAY": "the same number, in a format that imports no clock",
    "Slots": "the store, by its name in layouts, and the slots of a slot file",
    "adopt": COMMAND,
    "archive_run": "the program, at its start without an import and as a command",
    "export": HOOK,
    "logger": "the logger of the module",
    "main": "the entry of a program",
    "read_layout": "with any words, and with those of the core's formats",
    "rebuild": COMMAND,
    "reindex": COMMAND,
    "selftest": COMMAND,
    "simulate": HOOK,
    "write": HOOK,
}
"""Names that two modules of the core define, each with its reason. Any other name has one home and one meaning."""


def find_defined_names(source):
    """Find the functions, classes and constants that a module defines."""
    for statement in ast.parse(source).body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                named = (each for target in targets for each in ast.walk(target))
                yield from (each.id for each in named if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def test_a_name_of_the_core_has_one_home():
    homes = defaultdict(set)
    for path in SOURCES:
        if path.startswith(CORE):
            for name in find_defined_names((CHECKOUT / path).read_text(encoding="utf-8")):
                homes[name].add(path.removeprefix(CORE))
    twice = {name: sorted(paths) for name, paths in homes.items() if len(paths) > 1 and not name.startswith("__")}
    assert {name: paths for name, paths in twice.items() if name not in DEFINED_TWICE} == {}
    assert DEFINED_TWICE.keys() - twice.keys() == set(), "these have one home now; remove them from the exceptions"


def test_names_that_a_module_defines_are_found():
    source = (
        "import os\nA = 1\nF, (G,) = 2, (3,)\nB: int\nclass C:\n    D = 1\ndef e():\n    f = 1\nasync def g(): ...\n"
    )
    assert list(find_defined_names(source)) == ["A", "F", "G", "B", "C", "e", "g"]
