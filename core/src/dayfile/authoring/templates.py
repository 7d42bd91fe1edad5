"""The files of a new package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dayfile.authoring.c_structs import CMember, CStruct

__all__ = ["CI", "IGNORED", "write_module", "write_project", "write_python_module", "write_readme", "write_tests"]

IGNORED = "__pycache__/\n*.egg-info/\n.venv/\ndist/\narchive/\n"
CI = """\
name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        python: ["3.11", "3.13"]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "${{ matrix.python }}"}
      - run: pip install '.[test]'
      - run: dayfile layout check src/*/*.yaml
      - run: dayfile plugins doctor
      - run: pytest
"""
PROJECT_FILE = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "dayfile-{dashed}"
version = "0.1.0"
description = "A plugin of dayfile for {name}"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["dayfile>={least},<{next}"]

[project.optional-dependencies]
test = ["dayfile[testing]"]

[project.entry-points."dayfile.plugins"]
{name} = "dayfile_{name}:instrument"

[tool.hatch.build.targets.wheel]
packages = ["src/dayfile_{name}"]

[tool.pytest.ini_options]
pythonpath = ["src"]
testpaths = ["tests"]
"""
README = """\
# dayfile-{dashed}

A plugin of dayfile for {name}. The layout, `src/dayfile_{name}/{name}.yaml`, says what its files are; lines marked as
a guess have to be checked.

```console
$ dayfile layout check src/dayfile_{name}/{name}.yaml
$ dayfile try src/dayfile_{name}/{name}.yaml tests/data/{source}
$ pip install '.[test]'
$ pytest
$ archive-run --plugins {name} tests/data/{source}
$ dayfile show {type_name} --rows 2
```

Replace `tests/data/{source}` by a file of the instrument, of at most some hundred kB.
"""
MODULE = '''\
"""A plugin of dayfile for {name}."""

from dayfile import Instrument

__all__ = ["instrument"]

instrument = Instrument.from_package(__name__, "{name}.yaml")
'''
PYTHON_MODULE = '''\
"""A plugin of dayfile for {name}, whose sources are decoded here."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial

import numpy as np

from dayfile import Batch, Blocks, Instrument, Rejected, Source, SourceError

__all__ = ["instrument"]

RECORD = np.dtype(
    {{
        "names": [
{names}
        ],
        "formats": [
{formats}
        ],
        "offsets": {offsets},
        "itemsize": {size},
    }}
)
"""What a record is in the bytes of a source."""


class {class_name}(Instrument):
    """Reads files of records."""

    def decode(self, source: Source) -> Iterable[Batch | Rejected] | None:
        """Decode a source; None if it is of another instrument."""
        if not fnmatchcase(source.name, "{pattern}"):
            return None
        if source.size % RECORD.itemsize:
            raise SourceError(
                f"{{source.size}} bytes is not a whole number of {{RECORD.itemsize}}-byte records: it is truncated",
                where=source.name,
            )
        return Blocks(partial(self.read, source), alone=True)

    def read(self, source: Source) -> Iterator[Batch | Rejected]:
        """Read the records of a source block by block, so that a large one needs little memory."""
        (data_type,) = self.layout.types
        for offset, block in source.blocks(step=RECORD.itemsize):
            read = np.frombuffer(block, RECORD)
            numbers = offset // RECORD.itemsize + np.arange(len(read))
            records = np.empty(len(read), data_type.dtype)
            for name in RECORD.names:
                records[name] = read[name]
            timed = data_type.timed(records)
            if timed.any():
                yield Batch("{name}", data_type.code, records[timed], numbers[timed])
            for row in np.flatnonzero(~timed):
                reason, content = data_type.why_untimed(records[row : row + 1]), read[row : row + 1].tobytes()
                place = int(numbers[row])
                yield Rejected(
                    instrument="{name}",
                    code=data_type.code,
                    reason=reason,
                    error="RecordError",
                    numbers=(place,),
                    name=source.name,
                    content=content,
                    offset=place * RECORD.itemsize,
                )


instrument = {class_name}.from_package(__name__, "{name}.yaml")
'''
TESTS = '''\
"""What every plugin has to keep, and the whole way of a file: archived, and read back."""

import itertools
from pathlib import Path

import dayfile
from dayfile.testing import PluginContract
from dayfile_{name} import instrument

SAMPLE = Path(__file__).parent / "data" / "{source}"
HEAD = {head}
"""Bytes in front of the first record."""


class Test{class_name}(PluginContract):
    plugin = {{"{name}": instrument}}
    sources = [SAMPLE]

    def grow(self, source):
        body = itertools.repeat(source.content[HEAD:])
        return itertools.chain([source.content[:HEAD]], body) if HEAD else body


def test_a_file_is_archived_and_read_back(tmp_path):
    archive = dayfile.create_archive(tmp_path / "archive", plugins={{"{name}": instrument}})
    report = archive.ingest([SAMPLE])
    assert not report.quarantine
    assert len(archive.read("{type_name}")) == {count}
'''


def write_project(name: str, version: str) -> str:
    """Write ``pyproject.toml``, for the version of dayfile that made it and those that are compatible."""
    major, minor = (int(part) for part in version.split(".")[:2])
    following = f"{major}.{minor + 1}" if major == 0 else f"{major + 1}"
    return PROJECT_FILE.format(name=name, dashed=name.replace("_", "-"), least=f"{major}.{minor}", next=following)


def write_readme(name: str, source: str, type_name: str, evidence: Sequence[str]) -> str:
    """Write ``README.md``, with the evidence for what was guessed."""
    text = README.format(name=name, dashed=name.replace("_", "-"), source=source, type_name=type_name)
    lines = "".join(f"- {line}\n" for line in evidence)
    return f"{text}\n## What was guessed from the sample\n\n{lines}" if lines else text


def write_module(name: str) -> str:
    """Write the module of a plugin that has a layout only."""
    return MODULE.format(name=name)


def write_python_module(
    name: str,
    pattern: str,
    members: Sequence[tuple[str, int, CMember]],
    struct: CStruct,
    *described: object,
) -> str:
    """Write the module of a plugin that decodes its sources.

    Parameters
    ----------
    name : str
        Name of the instrument.
    pattern : str
        Pattern of the names of its sources.
    members : sequence of (str, int, CMember)
        Fields with their offsets.
    struct : CStruct
        What each record is.
    *described
        Name, time and byte order of the records.
    """
    order = described[-1]
    blanks = " " * 12
    return PYTHON_MODULE.format(
        name=name,
        pattern=pattern,
        class_name=name_class(name),
        names="\n".join(f'{blanks}"{field}",' for field, _, _ in members),
        formats="\n".join(f"{blanks}{write_format(member, order)}," for _, _, member in members),
        offsets=[offset for _, offset, _ in members],
        size=struct.size,
    )


def write_format(member: CMember, order: object) -> str:
    """Write the format of a field as NumPy has it."""
    shape = [number for number, _ in member.type.shape]
    if member.type.kind == "char":
        length = shape.pop() if shape else 1
        code = f"S{length}"
    else:
        code = np.dtype(member.type.kind).newbyteorder("<" if order == "little" else ">").str
    return f'("{code}", {tuple(shape)})' if shape else f'"{code}"'


def write_tests(name: str, source: str, type_name: str, count: int, head: int) -> str:
    """Write the tests."""
    return TESTS.format(
        name=name, class_name=name_class(name), source=source, type_name=type_name, count=count, head=head
    )


def name_class(name: str) -> str:
    """Name the class of an instrument."""
    return "".join(part.capitalize() for part in name.split("_"))
