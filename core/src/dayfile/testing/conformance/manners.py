"""Rules about manners: a plugin changes nothing that it was given, and writes nowhere."""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dayfile.model.places import DIRECTORIES, may_be_day_file
from dayfile.testing.conformance.rows import compute_fingerprint
from dayfile.testing.conformance.subject import Subject

__all__ = ["find_changed_arguments", "find_name_problems", "find_outside_writes"]

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.chdir": "changed the working directory to",
    "os.chmod": "changed the mode of",
    "os.link": "linked",
    "os.mkdir": "made the directory",
    "os.putenv": "set the environment variable",
    "os.remove": "removed",
    "os.rename": "renamed",
    "os.rmdir": "removed the directory",
    "os.symlink": "linked",
    "os.system": "started",
    "os.truncate": "truncated",
    "socket.connect": "connected a socket to",
    "subprocess.Popen": "started",
}
"""Audit events of Python that change something outside the process, and what to call them."""
TARGETS = {"os.rename": (0, 2), "os.link": (1, 2), "os.symlink": (1, 2), "socket.connect": (1, 2)}
"""Which arguments of an event are what is changed; of all others the first."""
IN_DIRECTORY = {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"}
"""Events whose last argument can be a directory that is open."""
OF_PYTHON = ("__pycache__", "/dev/")
"""Parts of paths that Python itself writes to when it imports."""


class Watcher:
    """Notes what this process changes outside itself; Python's audit hooks cannot be removed, so there is one."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()
        self.found: list[str] | None = None
        self.installed = False

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note an audit event, while somebody watches."""
        if self.found is None or (event != "open" and event not in CHANGES):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        if event in IN_DIRECTORY and arguments[-1] >= 0:
            return  # within a directory that is open: by the core, which checks what it opens
        first, last = TARGETS.get(event, (0, 1))
        for target in arguments[first:last]:
            path = os.fsdecode(target) if isinstance(target, str | bytes | os.PathLike) else str(target)
            # A number is a file that is open already.
            if not (isinstance(target, int) or any(part in path for part in OF_PYTHON) or self.is_allowed(path)):
                self.found.append(f"{CHANGES.get(event, 'opened for writing')} {path}")

    def is_allowed(self, path: str) -> bool:
        """Return whether a path is in a directory that may be written to."""
        whole = os.path.abspath(path)  # noqa: PTH100 - resolving links would raise further events
        return any(whole.startswith(each) for each in self.allowed)

    @contextmanager
    def watch(self, *allowed: Path) -> Iterator[list[str]]:
        """Collect what is changed outside of some directories."""
        if not self.installed:
            sys.addaudithook(self.note)
            self.installed = True
        found: list[str] = []
        self.allowed, self.found = tuple(f"{path}{os.sep}" for path in allowed), found
        try:
            yield found
        finally:
            self.found = None


WATCHER = Watcher()


def find_outside_writes(subject: Subject) -> Iterator[str]:
    """Decoding writes no file, opens no connection and starts no program; archiving writes in the archive only."""
    list_before = survey_files(subject.directory)
    temporary = Path(tempfile.gettempdir())
    allowed = [] if subject.directory.is_relative_to(temporary) else [temporary]
    with WATCHER.watch(*allowed) as found:
        for sample in subject.samples:
            for batch in subject.decode(sample).batches:
                data_type = subject.classify(batch)
                days = data_type.clock.days(data_type.count(batch.records[:1]))
                subject.plugins.locate_file(data_type, days[0])
    yield from (f"while sources were decoded, something {each}" for each in dict.fromkeys(found))
    new = sorted(survey_files(subject.directory) - list_before)
    yield from (f"while sources were decoded, {path} was made or changed" for path, *_ in new)
    archive = subject.create_archive("watched")
    root = archive.root.path
    with WATCHER.watch(*allowed, root) as found:
        archived = subject.take(archive, subject.samples)
    yield from (f"while sources were archived, something {each}" for each in dict.fromkeys(found))
    day_files = {str(root / path) for path in archived.day_files}
    for path, *_ in sorted(survey_files(root)):
        if path not in day_files and may_be_foreign(Path(path).relative_to(root)):
            yield f"while sources were archived, {Path(path).relative_to(root)} was made, which is no day file"


def may_be_foreign(path: Path) -> bool:
    """Return whether a file below an archive's root is not one of the core's own."""
    first, *below = path.parts
    return (bool(below) and first not in DIRECTORIES and not first.startswith(".")) or may_be_day_file(str(path))


def survey_files(directory: Path) -> set[tuple[str, int, int]]:
    """List the files below a directory, with size and time of change."""
    found = set()
    for path in directory.rglob("*"):
        status = path.lstat()
        if path.is_file():
            found.add((str(path), status.st_size, status.st_mtime_ns))
    return found


def find_changed_arguments(subject: Subject) -> Iterator[str]:
    """No hook changes what it was given: the file of a source, data types, settings, or the records of a batch."""
    types = dict(subject.plugins.data_types)
    settings = copy.deepcopy(dump_settings(subject))
    for sample in subject.samples:
        on_disk = sample.path.read_bytes() if sample.path.is_file() else None
        answer = subject.decode(sample)
        if on_disk is not None and (not sample.path.is_file() or sample.path.read_bytes() != on_disk):
            yield f"{sample.name}: decode changed the file of the source"
        for batch in answer.batches:
            before = compute_fingerprint(batch)
            records = np.array(batch.records)
            data_type = subject.classify(batch)
            if compute_fingerprint(batch) != before:
                yield f"{sample.name}: classify changed the records of {data_type.name}"
            if not (data_type.placement.node.keys or data_type.blob_fields):
                form = next(form for form in data_type.forms if form.dtype == records.dtype)
                subject.plugins.encode_own(form, records)
                if records.tobytes() != batch.records.tobytes():
                    yield f"{sample.name}: encode changed the records of {data_type.name}"
    if dict(subject.plugins.data_types) != types:
        yield "decode changed the mapping of data types"
    if dump_settings(subject) != settings:
        yield "decode changed the settings of the plugin"


def dump_settings(subject: Subject) -> Mapping[str, Any]:
    """Return the settings of the plugin by name."""
    return dict(subject.settings.plugins[subject.name])


def find_name_problems(subject: Subject) -> Iterator[str]:
    """A source may have any name that a file can have; it leads nowhere, and raises nothing but SourceError."""
    sample = min(subject.samples, key=lambda each: each.size)
    stem, dot, suffix = sample.name.partition(".")
    names = [
        f"../../{sample.name}",
        f"/{sample.name}",
        f"..{sample.name}",
        f"-{sample.name}",
        f"{sample.name}\n",
        f"{stem} {{0}} {{year}} %s{dot}{suffix}",
        f"{stem}é\N{SNOWMAN}\udcff{dot}{suffix}",
        f"{stem}\0{dot}{suffix}",
        f"{stem * 40}{dot}{suffix}",
        f"{dot}{suffix}" or "x",
        "9" * 100 + dot + suffix,
    ]
    for name in names:
        with WATCHER.watch() as found:
            answer = subject.decode(replace(sample, path=Path(sample.path), name=name))
        if answer.trouble:
            yield f"a source named {name!r}: {answer.trouble}"
        yield from (f"a source named {name!r}: something {each}" for each in found)
        for batch in answer.batches:
            yield from (
                f"a source named {name!r}: the key {key} is {value!r}, which may lead out of a path"
                for key, value in batch.keys.items()
                if isinstance(value, str) and ("/" in value or "\0" in value or value in {".", ".."})
            )
