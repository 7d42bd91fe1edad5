"""New packages of plugins: all files, and tests that pass as they are."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import dayfile
from dayfile.authoring import templates
from dayfile.authoring.guesses import Corrections
from dayfile.authoring.ratings import SampleFile
from dayfile.authoring.record_drafts import (
    InstrumentDraft,
    describe_example,
    describe_header,
    describe_sample,
    draft_records,
)
from dayfile.authoring.text_drafts import draft_text
from dayfile.authoring.text_tables import looks_like_text
from dayfile.errors import UsageError
from dayfile.formats.compressed import unfold
from dayfile.model.batch import Source

__all__ = ["NewPackage", "PackageRequest", "make_package", "write_package"]

LARGEST_READ = 2**28


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
        The field with the time; of a sample without a header, the byte of a record where it begins, or its column.
    python : bool
        Whether sources are decoded in Python, rather than by words of the layout.
    said : Corrections
        What is not guessed of the sample.
    """

    name: str
    header: Path | None = None
    struct: str | None = None
    sample: Path | None = None
    time: str | None = None
    python: bool = False
    said: Corrections = field(default_factory=Corrections)


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
    check_request(wanted)
    sample = read_sample(wanted.sample) if wanted.sample else None
    source_name = sample.name.removesuffix(".gz") if sample else f"{name}_20240501.bin"
    draft = make_draft(wanted, sample, make_pattern(source_name))
    parts = name, source_name, draft.type_name
    texts = {
        "pyproject.toml": templates.write_project(name, dayfile.__version__),
        "README.md": templates.write_readme(*parts, draft.evidence),
        ".github/workflows/test.yml": templates.CI,
        ".gitignore": templates.IGNORED,
        f"src/dayfile_{name}/__init__.py": draft.module,
        f"src/dayfile_{name}/{name}.yaml": draft.layout,
        f"tests/test_{name}.py": templates.write_tests(*parts, draft.count, draft.head),
    }
    files = {path: text.encode() for path, text in texts.items()} | {f"tests/data/{source_name}": draft.content}
    return NewPackage(files, draft.evidence)


def check_request(wanted: PackageRequest) -> None:
    """Refuse options that mean nothing with the others."""
    if (wanted.header is None) != (wanted.struct is None):
        raise UsageError("--from-header and --struct go together")
    if wanted.sample is None and wanted.said != Corrections():
        raise UsageError(
            "--byte-order, --record-bytes, --head-bytes and --epoch correct what a sample shows: --sample FILE"
        )
    if wanted.header is not None and wanted.said.record_bytes is not None:
        raise UsageError("the header says how long records are; leave out --record-bytes")
    if wanted.time is not None and wanted.header is None and wanted.sample is None:
        raise UsageError("--time names a field of a header or of a sample; give --from-header or --sample")


def make_draft(wanted: PackageRequest, sample: SampleFile | None, pattern: str) -> InstrumentDraft:
    """Draft the instrument of a package from a header, a sample, both, or an example."""
    said = wanted.said
    if wanted.header is not None and wanted.struct is not None:
        described = describe_header(wanted.header, wanted.struct, wanted.time, sample, said)
    elif sample is None:
        described = describe_example()
    elif looks_like_text(sample.content):
        if wanted.python or said != Corrections():
            raise UsageError(
                "the sample is text; --python, --byte-order, --record-bytes, --head-bytes and --epoch are for records "
                "of bytes",
                where=sample.name,
            )
        return draft_text(wanted.name, pattern, sample, wanted.time)
    else:
        said = replace(said, time_byte=read_time_byte(wanted.time))
        described = describe_sample(sample, said)
    return draft_records(wanted.name, pattern, described, sample, said, python=wanted.python)


def read_time_byte(time: str | None) -> int | None:
    """Read where in a record the time begins; UsageError if it is no number."""
    if time is None or time.isdecimal():
        return None if time is None else int(time)
    raise UsageError(
        f"--time {time}: without a header, records have no names of fields; give the byte of a record where the time "
        "begins, such as --time 4"
    )


def write_package(package: NewPackage, directory: Path) -> None:
    """Write the files of a package into a new directory; UsageError if it exists."""
    if directory.exists():
        raise UsageError("exists already; choose another name, or move it away", where=directory)
    for name, content in package.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_sample(path: Path) -> SampleFile:
    """Read a sample, unfolded if it is compressed; UsageError if that is not possible, or it is empty."""
    try:
        source = unfold(Source.read(path), LARGEST_READ)
        modified = np.datetime64(int(path.stat().st_mtime), "s")
    except OSError as error:
        raise UsageError(f"the sample cannot be read ({error.strerror})", where=path) from error
    content = source.part(0, source.size)
    if not content:
        raise UsageError("the sample is empty; give a file with some records", where=path)
    return SampleFile(content, path.name, modified)


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
