"""``dayfile info``: versions and places, for a report of a bug."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.cli.output import say
from dayfile.cli.run import ArchiveOption
from dayfile.messages import plural

__all__ = ["info"]


def info(archive: ArchiveOption = Path("archive"), as_json: JsonOption = False) -> None:
    """Show versions and places, for a report of a bug.

    It has no values of settings or of the environment, only the names of those that are set.
    """
    facts = dict(list_installation()) | dict(list_archive(archive))
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    width = max(map(len, facts))
    for name, fact in facts.items():
        say(f"{name:<{width}}  {fact}", indent=width + 2)


def list_installation() -> Iterator[tuple[str, str]]:
    """List the versions of program, Python, libraries and plugins."""
    import tables

    import dayfile
    from dayfile import discovery

    yield "dayfile", dayfile.__version__
    yield "Python", f"{platform.python_version()}, {sys.executable}"
    yield "system", f"{platform.platform()}, {plural(os.cpu_count() or 1, 'processor')}"
    yield "HDF5", str(tables.hdf5_version)
    for name in list_libraries():
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"
    for name, entries in discovery.installed().items():
        packages = [f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value for entry in entries]
        yield f"plugin {name}", ", ".join(packages)


def list_libraries() -> list[str]:
    """List the libraries that the installed distribution names, also those of its extras."""
    try:
        required = metadata.requires("dayfile") or []
    except metadata.PackageNotFoundError:
        return []
    names = [line.partition(";")[0].split("[")[0].split(">")[0].strip() for line in required]
    return sorted({name for name in names if name != "dayfile"}, key=str.lower)


def list_archive(archive: Path) -> Iterator[tuple[str, str]]:
    """List where the archive is and what it has, and which variables of the environment are set."""
    from dayfile.api import open_archive
    from dayfile.errors import DayfileError

    yield "program", str(Path(__file__).parents[1])
    yield "archive", str(archive.absolute())
    try:
        opened = open_archive(archive)
        rows = opened.catalogue.sum_types()
        yield "archive has", f"{plural(len(rows), 'data type')}, {plural(sum(row[2] for row in rows), 'record')}"
    except DayfileError as error:
        yield "archive has", str(error)
    settings = archive / "archive.yaml"
    yield "settings", f"{settings.absolute()}{'' if settings.is_file() else ' (no such file)'}"
    yield "environment", ", ".join(sorted(name for name in os.environ if name.startswith("DAYFILE_"))) or "none set"
