"""``dayfile export``: write records of an archive as files for other programs."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dayfile.cli.completion import complete_fields
from dayfile.cli.coverage import FromOption, ToOption, TypeArgument
from dayfile.cli.keys import KeyOption, parse_keys_given
from dayfile.cli.output import end_for_lost_output, find_output_error, say
from dayfile.cli.run import ArchiveOption
from dayfile.cli.show import PhysicalOption
from dayfile.messages import plural, printable

__all__ = ["export"]

STANDARD_OUTPUT = Path("-")


class ByteOrderOption(StrEnum):
    """Byte orders."""

    big = "big"
    little = "little"


def export(
    data_type: TypeArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            readable=False,
            metavar="FILE",
            help="The file, - for standard output; or a directory, made if absent.",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="One of csv, jsonl, parquet, netcdf, cdf, or of a plugin or layout.",
            show_default="by the suffix of FILE: .csv .jsonl .parquet .nc .cdf",
        ),
    ] = None,
    from_: FromOption = None,
    to: ToOption = None,
    day: Annotated[str | None, typer.Option(metavar="D", help="One day, ISO: 1997-10-31.")] = None,
    key: KeyOption = None,
    fields: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Only these fields, such as second,rate.", autocompletion=complete_fields),
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Only records for which this holds: 'rate[0] > 5'.")
    ] = None,
    physical: PhysicalOption = False,
    archive: ArchiveOption = Path("archive"),
    byte_order: Annotated[
        ByteOrderOption, typer.Option(help="Byte order, of formats that have a choice.")
    ] = ByteOrderOption.big,
) -> None:
    """Write records of a range as a file for other programs.

    Only records that begin in the range are written. An existing FILE is replaced.

    csv, jsonl, parquet, netcdf and cdf take a range of any length. Formats of flat files write one --day, as it is
    stored, into a directory.

    Exit codes: 0 written, 2 unknown type, day, field or format, 3 the plugin failed, 4 could not write.
    """
    from dayfile.api import open_archive
    from dayfile.errors import UsageError

    opened = open_archive(archive)
    if day is not None and (from_ is not None or to is not None):
        raise UsageError("--day is a range already; leave out --from and --to")
    names = None if fields is None else [name.strip() for name in fields.split(",")]
    keys = parse_keys_given(opened, data_type, key)
    target = Output() if out == STANDARD_OUTPUT else out
    done = opened.export(
        data_type,
        target,
        from_,
        to,
        format=form,
        day=day,
        fields=names,
        where=where,
        physical=physical,
        byte_order=byte_order.value,
        **keys,
    )
    for path in done.files:
        typer.echo(f"{path.stat().st_size:>12}  {printable(str(path))}")
    if done.records == 0:
        say(f"dayfile: there are no such records of {data_type}", err=True)
    for field, count in done.damaged.items():
        say(f"dayfile: {plural(count, 'blob')} of {field} could not be read, and left out", err=True)


class Output:
    """Standard output, as a stream that ends the command when nobody reads it any more."""

    def write(self, text: str) -> None:
        """Write text."""
        sys.stdout.write(text)
        error = find_output_error(sys.stdout)
        if error is not None:
            end_for_lost_output(error)
