"""New packages of plugins: all files, and tests that pass as they are."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import dayfile
from dayfile.authoring import templates
from dayfile.authoring.c_structs import CMember, CStruct, CType
from dayfile.authoring.c_types import HeaderTypes
from dayfile.authoring.draft_layouts import (
    TimeMember,
    choose_time,
    list_flat,
    write_flat_layout,
    write_struct_layout,
)
from dayfile.authoring.guesses import TIME_SIZES, Guess, guess_order, guess_records, make_clock
from dayfile.authoring.preprocessing import CHeader
from dayfile.authoring.remarks import Epoch
from dayfile.errors import UsageError
from dayfile.formats.compressed import unfold
from dayfile.messages import plural
from dayfile.model.batch import Source

__all__ = ["NewPackage", "PackageRequest", "make_package", "write_package"]

EXAMPLE_TIME = np.datetime64("2024-05-01T00:00:00")
STEP = 60
MADE_RECORDS = 200
"""Records of the source that is made where no sample is given: one a minute."""
LARGEST_READ = 2**28
LARGEST_SAMPLE = 2**18
"""Bytes of a sample that are copied into the package."""


@dataclass(frozen=True)
class PackageRequest:
    """What a new package is made of.

    Parameters
    ----------
    name : str
        Name of the instrument.
    header, struct : Path and str, optional
        A C header, and the struct of each record.
    sample : Path, optional
        A file of the instrument.
    time : str, optional
        The field with the time.
    python : bool
        Whether sources are decoded in Python, rather than by words of the layout.
    """

    name: str
    header: Path | None = None
    struct: str | None = None
    sample: Path | None = None
    time: str | None = None
    python: bool = False


@dataclass(frozen=True)
class NewPackage:
    """A package: its files by name, and what was guessed with the evidence."""

    files: dict[str, bytes]
    evidence: list[str]


def make_package(wanted: PackageRequest) -> NewPackage:
    """Make the files of a package.

    Raises
    ------
    UsageError
        The name is not one, the header or the sample cannot be read or says nothing that helps.
    """
    name = wanted.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UsageError(f"{name!r} is not a name of an instrument: small letters, digits and _, a letter first")
    if (wanted.header is None) != (wanted.struct is None):
        raise UsageError("--from-header and --struct go together")
    sample = read_sample(wanted.sample) if wanted.sample else b""
    described = describe_header(wanted) if wanted.header else describe_sample(wanted, sample)
    guess = described.guess(sample, wanted.sample.name) if wanted.sample else None
    if guess:
        described = described.follow(guess)
    source_name = wanted.sample.name.removesuffix(".gz") if wanted.sample else f"{name}_20240501.bin"
    parts = described.struct, name, described.time, guess.order if guess else "little"
    pattern = make_pattern(source_name)
    if wanted.python:
        layout = write_flat_layout(described.types, *parts)
        module = templates.write_python_module(name, pattern, list_flat(described.struct), *parts)
    else:
        head = guess.head if guess else 0
        layout = write_struct_layout(described.types, *parts, name=pattern, head=head)
        module = templates.write_module(name)
    content = cut_sample(sample, guess) if guess else make_sample(described.struct, described.time)
    type_name = f"{name}.{described.struct.name}"
    count = (len(content) - (guess.head if guess else 0)) // described.struct.size
    texts = {
        "pyproject.toml": templates.write_project(name, dayfile.__version__),
        "README.md": templates.write_readme(name, source_name, type_name, guess.evidence if guess else ()),
        ".github/workflows/test.yml": templates.CI,
        ".gitignore": templates.IGNORED,
        f"src/dayfile_{name}/__init__.py": module,
        f"src/dayfile_{name}/{name}.yaml": layout,
        f"tests/test_{name}.py": templates.write_tests(name, source_name, type_name, count, guess.head if guess else 0),
    }
    files = {path: text.encode() for path, text in texts.items()} | {f"tests/data/{source_name}": content}
    return NewPackage(files, list(guess.evidence) if guess else [])


def write_package(package: NewPackage, directory: Path) -> None:
    """Write the files of a package into a new directory; UsageError if it exists."""
    if directory.exists():
        raise UsageError("exists already; choose another name, or move it away", where=directory)
    for name, content in package.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@dataclass(frozen=True)
class Described:
    """What the records of a new instrument are."""

    types: HeaderTypes
    struct: CStruct
    time: TimeMember

    def guess(self, sample: bytes, name: str) -> Guess:
        """Guess byte order and clock of a sample; UsageError if its times make no sense."""
        found = guess_order(sample, name, self.struct.size, self.time)
        if not found:
            problem = f"{self.time.name} is no plausible time in records of {plural(self.struct.size, 'byte')}"
            raise UsageError(f"{problem}; say the field with --time, or compare the struct with the sample", where=name)
        return found[0]

    def follow(self, guess: Guess) -> Described:
        """Take the clock of a guess, unless the header says one."""
        date, scale, unit = guess.clock
        time = self.time
        if not time.epoch.said:
            time = replace(time, epoch=Epoch(date, scale, said=time.epoch.said), counts=unit)
        return replace(self, time=time)


def describe_header(wanted: PackageRequest) -> Described:
    """Describe the records of a struct of a header."""
    assert wanted.header is not None and wanted.struct is not None  # noqa: PT018, S101 - for mypy
    types = HeaderTypes.read(wanted.header)
    struct = types.find_struct(wanted.struct)
    return Described(types, struct, choose_time(struct, wanted.time))


def describe_sample(wanted: PackageRequest, sample: bytes) -> Described:
    """Describe the records of a sample, of which only the time is known; without one, those of an example."""
    if wanted.sample is None:
        return describe_parts(
            "records", [("second", "uint32", 1), ("counts", "uint16", 4)], "an example to be replaced"
        )
    found = guess_records(sample, wanted.sample.name)
    if not found:
        problem = "no length of records up to 4,096 bytes divides it and has plausible times in a field of 4 or 8 bytes"
        raise UsageError(f"{problem}; give its struct with --from-header", where=wanted.sample)
    best = found[0]
    size = TIME_SIZES[best.kind]
    parts = [
        ("before", "uint8", best.offset),
        ("time_count", best.kind, 1),
        ("after", "uint8", best.length - best.offset - size),
    ]
    return describe_parts("records", [part for part in parts if part[2]], f"{wanted.sample.name}, as it looks")


def describe_parts(name: str, parts: list[tuple[str, str, int]], origin: str) -> Described:
    """Describe records by name, type and number of their parts; the first that can be is the time."""
    members, offset = [], 0
    for number, (part, kind, count) in enumerate(parts, 1):
        size = np.dtype(kind).itemsize
        shape = ((count, ""),) if count > 1 or kind == "uint8" else ()
        members.append(CMember(part, CType(kind, size, 1, shape), offset, number))
        offset += size * count
    struct = CStruct(name, tuple(members), offset, 1)
    return Described(HeaderTypes(CHeader(Path(origin))), struct, choose_time(struct))


def read_sample(path: Path) -> bytes:
    """Read a sample, unfolded if it is compressed."""
    try:
        source = unfold(Source.read(path), LARGEST_READ)
    except OSError as error:
        raise UsageError(f"the sample cannot be read ({error.strerror})", where=path) from error
    return source.part(0, source.size)


def cut_sample(sample: bytes, guess: Guess) -> bytes:
    """Cut whole records from the beginning of a sample."""
    most = max(1, (LARGEST_SAMPLE - guess.head) // guess.length)
    return sample[: guess.head + min(most, (len(sample) - guess.head) // guess.length) * guess.length]


def make_sample(struct: CStruct, time: TimeMember) -> bytes:
    """Make records that are zero except for their times, one a minute."""
    clock = make_clock(time.epoch.date, time.epoch.scale, time.unit)
    content = np.zeros((MADE_RECORDS, struct.size), np.uint8)
    counts = [clock.number(EXAMPLE_TIME + np.timedelta64(STEP * number, "s")) for number in range(MADE_RECORDS)]
    form = np.dtype(time.member.type.kind).newbyteorder("<")
    content[:, time.offset : time.offset + form.itemsize] = np.array(counts, form)[:, np.newaxis].view(np.uint8)
    return content.tobytes()


def make_pattern(source: str) -> str:
    """Make a pattern of names of one: what begins with its first digit, up to its ending, can be anything.

    Examples
    --------
    >>> make_pattern("house_20240501.hk"), make_pattern("20240501"), make_pattern("a.bin")
    ('house_*.hk', '*', 'a*.bin')
    """
    stem, dot, ending = source.rpartition(".")
    if not dot:
        stem, ending = source, ""
    begin = re.match(r"[^\d*{}]*", stem)
    return f"{begin[0] if begin else ''}*{dot}{ending}"
