"""``dayfile export``: write a day of an archive as files for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dayfile.cli.maintain import open_existing
from dayfile.cli.run import ArchiveOption
from dayfile.messages import printable

__all__ = ["export"]


class ByteOrderOption(StrEnum):
    """Byte orders."""

    big = "big"
    little = "little"


def export(
    data_type: Annotated[str, typer.Argument(metavar="TYPE", help="Name of a data type; see dayfile ls.")],
    day: Annotated[str, typer.Option(metavar="D", help="The day, ISO: 1997-10-31.")],
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="The format, as a plugin or its layout calls it.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Directory for the files; made if absent.")],
    archive: ArchiveOption = Path("archive"),
    byte_order: Annotated[
        ByteOrderOption, typer.Option(help="Byte order, of formats that have a choice.")
    ] = ByteOrderOption.big,
) -> None:
    """Write a day of a type in the format of another program; files of the same names in DIR are replaced.

    Exit codes: 0 written, 2 unknown type, day or format, 3 the plugin failed, 4 could not write.
    """
    from dayfile import discovery
    from dayfile.archive.day_tables import read_day
    from dayfile.archive.identity import refuse_url
    from dayfile.errors import StorageError, UsageError
    from dayfile.export.base import Day
    from dayfile.model.instants import parse_day

    refuse_url(out)
    loaded = discovery.load()
    moment = parse_day(day)
    tables = read_day(open_existing(archive), data_type, moment)
    known = loaded.data_types.get(data_type)
    if known is None:
        for failure in loaded.failures:
            typer.echo(printable(f"dayfile: {failure.message}"), err=True)
        raise UsageError(f"no plugin of {data_type} is installed; install the one that it was archived with")
    exporters = loaded.exporters(known)
    if form not in exporters:
        formats = ", ".join(sorted(exporters)) or "none"
        raise UsageError(f"{data_type} has no format {form!r}; its formats are: {formats}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"could not make the directory: {error.strerror or error}", where=out) from error
    files = loaded.export(*exporters[form], Day(known, moment, tables, byte_order.value), out)
    for path in files:
        typer.echo(f"{path.stat().st_size:>12}  {path}")
