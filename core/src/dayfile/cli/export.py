"""``dayfile export``: write records of an archive as files for other programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dayfile.cli.coverage import FromOption, KeyOption, ToOption, parse_keys_given
from dayfile.cli.output import end_for_lost_output, find_output_error
from dayfile.cli.run import ArchiveOption
from dayfile.messages import plural, printable

if TYPE_CHECKING:
    import numpy as np

    from dayfile.api import Archive
    from dayfile.export.base import Exporter, RangeExporter, Selection
    from dayfile.handover.columns import RecordTable
    from dayfile.model.datatype import DataType
    from dayfile.plugins import Plugins

__all__ = ["export"]

STANDARD_OUTPUT = Path("-")


class ByteOrderOption(StrEnum):
    """Byte orders."""

    big = "big"
    little = "little"


def export(
    data_type: Annotated[str, typer.Argument(metavar="TYPE", help="Name of a data type; see dayfile ls.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The file, - for standard output; or a directory, made if absent."
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
    station: Annotated[
        list[str] | None, typer.Option(metavar="N", help="Only these stations, such as 501 or 501,502.")
    ] = None,
    key: KeyOption = None,
    fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Only these fields, such as second,rate.")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Only records for which this holds: 'rate[0] > 5'.")
    ] = None,
    archive: ArchiveOption = Path("archive"),
    byte_order: Annotated[
        ByteOrderOption, typer.Option(help="Byte order, of formats that have a choice.")
    ] = ByteOrderOption.big,
) -> None:
    """Write the records that begin in a range as a file for other programs; an existing FILE is replaced.

    csv, jsonl, parquet, netcdf and cdf take a range of any length. Formats of flat files write one --day, as it is
    stored, into a directory.

    Exit codes: 0 written, 2 unknown type, day, field or format, 3 the plugin failed, 4 could not write.
    """
    from dayfile import discovery
    from dayfile.api import open_archive
    from dayfile.archive.identity import refuse_url
    from dayfile.errors import UsageError
    from dayfile.export.base import Exporter

    refuse_url(out)
    opened = open_archive(archive)
    described = opened.describe(data_type).data_type
    loaded = discovery.load()
    name, exporter = choose_exporter(loaded, loaded.data_types.get(data_type, described), form, out)
    if isinstance(exporter, Exporter):
        given = {"--from": from_, "--to": to, "--station": station, "--key": key, "--fields": fields, "--where": where}
        unused = [option for option, value in given.items() if value is not None]
        if unused or day is None:
            wrong = f"not {' and '.join(unused)}" if unused else "--day is missing"
            raise UsageError(f"{exporter.name} writes one --day, as it is stored; {wrong}")
        export_day(opened, loaded, (name, exporter), data_type, day, byte_order.value, out)
        return
    start, stop = find_range(from_, to, day)
    selection = select(opened, loaded, data_type, start, stop, station, key, fields=fields, where=where)
    seen: set[str] = set()
    selection = replace(selection, read=partial(note_pieces, selection, seen))
    if out == STANDARD_OUTPUT:
        write_to_output(exporter, selection)
    else:
        loaded.export_range(name, exporter, selection, out)
        typer.echo(f"{out.stat().st_size:>12}  {printable(str(out))}")
    if not seen:
        typer.echo(f"dayfile: there are no such records of {data_type}", err=True)
    for field, count in selection.damaged.items():
        typer.echo(f"dayfile: {plural(count, 'blob')} of {field} could not be read, and left out", err=True)


def note_pieces(selection: Selection, seen: set[str]) -> Iterator[RecordTable]:
    """Read a selection, and note in a set that there are records."""
    for piece in selection.read():
        seen.add(selection.data_type.name)
        yield piece


def choose_exporter(
    loaded: Plugins, data_type: DataType, form: str | None, out: Path
) -> tuple[str, Exporter | RangeExporter]:
    """Choose an exporter by its name or by the suffix of a file; return it with the plugin that offers it.

    Raises
    ------
    UsageError
        No such format; the message lists the formats.
    """
    from dayfile.errors import UsageError
    from dayfile.export.base import Exporter

    exporters = loaded.exporters(data_type)
    formats = ", ".join(sorted(exporters))
    if form is not None:
        if form not in exporters:
            raise UsageError(f"{data_type.name} has no format {form!r}; its formats are: {formats}")
        return exporters[form]
    suffix = out.suffix.lower()
    for name, exporter in exporters.values():
        if not isinstance(exporter, Exporter) and exporter.suffix == suffix and suffix:
            return name, exporter
    raise UsageError(f"the name {str(out)!r} says no format; give one with --format: {formats}")


def export_day(
    archive: Archive,
    loaded: Plugins,
    chosen: tuple[str, Exporter],
    data_type: str,
    day: str,
    byte_order: Any,  # noqa: ANN401 - a ByteOrder
    out: Path,
) -> None:
    """Write a day of a type into a directory."""
    from dayfile.archive.day_tables import read_day
    from dayfile.errors import StorageError, UsageError
    from dayfile.export.base import Day
    from dayfile.model.instants import parse_day

    known = loaded.data_types.get(data_type)
    if known is None:
        for failure in loaded.failures:
            typer.echo(printable(f"dayfile: {failure.message}"), err=True)
        raise UsageError(f"no plugin of {data_type} is installed; install the one that it was archived with")
    moment = parse_day(day)
    tables = read_day(archive.root, data_type, moment)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"could not make the directory: {error.strerror or error}", where=out) from error
    for path in loaded.export(*chosen, Day(known, moment, tables, byte_order), out):
        typer.echo(f"{path.stat().st_size:>12}  {path}")


def find_range(from_: str | None, to: str | None, day: str | None) -> tuple[Any, Any]:
    """Return the range that options give: from and to, or a day; UsageError for both."""
    from dayfile.errors import UsageError
    from dayfile.model.instants import parse_day

    if day is None:
        return from_, to
    if from_ is not None or to is not None:
        raise UsageError("--day is a range already; leave out --from and --to")
    first: np.datetime64 = parse_day(day)
    return first, first + 1


def select(
    archive: Archive,
    loaded: Plugins,
    data_type: str,
    start: Any,  # noqa: ANN401 - a Time
    stop: Any,  # noqa: ANN401 - a Time
    station: list[str] | None,
    key: list[str] | None,
    *,
    fields: str | None,
    where: str | None,
) -> Selection:
    """Select the records that options name."""
    from dayfile.archive.exporting import select_records

    keys: dict[str, list[str]] = {}
    given = [*(key or ()), *(f"station={each}" for each in station or ())]
    for text in given:
        for name, values in parse_keys_given(archive, data_type, [text]).items():
            keys.setdefault(name, []).extend(value.strip() for value in values.split(","))
    chosen = None if fields is None else [name.strip() for name in fields.split(",")]
    readers = loaded.blob_readers(archive.describe(data_type).data_type)
    return select_records(archive, data_type, start, stop, fields=chosen, where=where, readers=readers, **keys)


def write_to_output(exporter: RangeExporter, selection: Selection) -> None:
    """Write text to standard output; stop when nobody reads it any more."""
    from dayfile.errors import UsageError
    from dayfile.export.base import TextExporter

    if not isinstance(exporter, TextExporter):
        raise UsageError(f"{exporter.name} is not text, and cannot be written to standard output; give -o FILE")
    for part in exporter.format(selection):
        sys.stdout.write(part)
        error = find_output_error(sys.stdout)
        if error is not None:
            end_for_lost_output(error)
