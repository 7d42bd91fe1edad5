"""What a shell completes: names of data types, plugins, fields and kinds of plot. Whatever fails completes nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dayfile.errors import DayfileError

if TYPE_CHECKING:
    from dayfile.api import Archive

__all__ = ["complete_fields", "complete_installed_types", "complete_kinds", "complete_plugins", "complete_types"]


def complete_types(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a data type that the archive has."""
    with suppress(DayfileError, OSError):
        return [name for name in open_named(ctx).types() if name.startswith(incomplete)]
    return []


def complete_installed_types(incomplete: str) -> list[str]:
    """Complete the name of a data type of an installed plugin."""
    from dayfile import discovery

    with suppress(DayfileError):
        return [name for name in discovery.load().data_types if name.startswith(incomplete)]
    return []


def complete_plugins(incomplete: str) -> list[str]:
    """Complete the last of the names of plugins, with commas between."""
    from dayfile import discovery

    return complete_last(incomplete, list(discovery.installed()))


def complete_fields(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the last of the names of fields, of the data type that was named before."""
    with suppress(DayfileError, OSError):
        fields = open_named(ctx).describe(str(ctx.params.get("data_type"))).fields
        return complete_last(incomplete, [field.name for field in fields])
    return []


def complete_kinds(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a kind of plot, of the data type that was named before."""
    from dayfile.archive.drawing import load_plugins

    with suppress(DayfileError, OSError):
        plots = load_plugins().plots(open_named(ctx).describe(str(ctx.params.get("data_type"))).data_type)
        return [name for name in plots if name.startswith(incomplete)]
    return []


def complete_last(incomplete: str, names: list[str]) -> list[str]:
    """Complete the last of several names.

    Examples
    --------
    >>> complete_last("second,te", ["second", "temperature"])
    ['second,temperature']
    """
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


def open_named(ctx: typer.Context) -> Archive:
    """Open the archive that the command line, or the environment, names."""
    from dayfile.api import open_archive

    return open_archive(Path(ctx.params.get("archive") or os.environ.get("DAYFILE_ARCHIVE", "archive")))
