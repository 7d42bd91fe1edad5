"""``dayfile coverage`` and ``gaps``: when an archive has records of a type, and when it has none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.completion import complete_types
from dayfile.cli.inspect import JsonOption, format_second
from dayfile.cli.keys import KeyOption, parse_keys_given
from dayfile.cli.run import ArchiveOption
from dayfile.messages import plural

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure


__all__ = ["coverage", "gaps"]

TypeArgument = Annotated[
    str, typer.Argument(metavar="TYPE", help="Name of a data type; see dayfile ls.", autocompletion=complete_types)
]
FromOption = Annotated[str | None, typer.Option("--from", metavar="T", help="First time, ISO.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="T", help="Time before which to stop, ISO.")]
PngOption = Annotated[
    Path | None,
    typer.Option("--png", readable=False, metavar="FILE", help="Draw it into a file instead: .png, or .svg or .pdf."),
]

DAYS_A_LINE = 31
MARKS = ((24, "#"), (12, "+"), (1, "-"), (0, "."))
"""Hours of a day with records, at least, and how the calendar shows that."""
LEGEND = "# all 24 hours have records   + 12 to 23   - 1 to 11   . none"
DAY_NUMBERS = "".join(f"{day:<7}" for day in (1, 8, 15, 22, 29))[:DAYS_A_LINE]
"""The line above the marks, with every seventh day."""


class By(StrEnum):
    """What a mark of the calendar is."""

    DAY = "day"
    MONTH = "month"


def coverage(
    data_type: TypeArgument,
    from_: FromOption = None,
    to: ToOption = None,
    key: KeyOption = None,
    by: Annotated[By, typer.Option(help="A line for each month with a mark for each day, or one for each year.")] = (
        By.DAY
    ),
    archive: ArchiveOption = Path("archive"),
    as_json: JsonOption = False,
    png: PngOption = None,
) -> None:
    """Show on which days there are records of a type.

    A calendar shows in how many of their hours. With --json: days or months with the number of their records, and of
    their hours that have some.
    """
    from dayfile.api import open_archive

    opened = open_archive(archive)
    given = parse_keys_given(opened, data_type, key)
    if png is not None:
        write_picture(partial(opened.plot_coverage, data_type, from_, to, by=by.value, **given), png)
        return
    table = opened.coverage(data_type, from_, to, by=by.value, **given)
    if as_json:
        rows = [
            {"time": str(row["time"].astype("M8[D]")), "records": int(row["records"]), "hours": int(row["hours"])}
            for row in table
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for line in format_calendar(table) if by is By.DAY else format_years(table):
        typer.echo(line)


def format_calendar(table: npt.NDArray[np.void]) -> Iterator[str]:
    """Format the coverage of days: a line for each month, a mark for each day, and how many days have records."""
    yield f"{'':9}{DAY_NUMBERS:<{DAYS_A_LINE + 2}}{'days':>7}{'records':>16}"
    for month, days in split_by(table, "M"):
        marks = [" "] * DAYS_A_LINE
        for day in days:
            place = int((day["time"].astype("M8[D]") - day["time"].astype("M8[M]")).astype(int))
            marks[place] = next(mark for least, mark in MARKS if day["hours"] >= least)
        held = f"{int((days['records'] > 0).sum())}/{len(days)}"
        yield f"{month:<9}{''.join(marks)}  {held:>7}{days['records'].sum():>16,}"
    yield LEGEND


def format_years(table: npt.NDArray[np.void]) -> Iterator[str]:
    """Format the coverage of months: a line for each year, and for each month the share of its hours with records."""
    yield f"{'':4}{''.join(f'{month:>5}' for month in range(1, 13))}{'records':>16}"
    for year, months in split_by(table, "Y"):
        cells = [""] * 12
        for month in months:
            first = month["time"].astype("M8[M]")
            hours = int(((first + 1).astype("M8[h]") - first.astype("M8[h]")).astype(int))
            share = month["hours"] / hours
            # What is not nothing, and not all, is not shown as such.
            percent = min(max(round(100 * share), 1), 99) if 0 < share < 1 else round(100 * share)
            cells[int((first - first.astype("M8[Y]").astype("M8[M]")).astype(int))] = str(percent) if percent else "."
        yield f"{year:<4}{''.join(f'{cell:>5}' for cell in cells)}{months['records'].sum():>16,}"
    yield "percent of the hours of each month that have records   . none"


def split_by(table: npt.NDArray[np.void], unit: str) -> Iterator[tuple[str, npt.NDArray[np.void]]]:
    """Split a table by the months (M) or years (Y) of its times; yield the name of each and its rows."""
    periods = table["time"].astype(f"M8[{unit}]")
    for period in sorted(set(periods)):
        yield str(period), table[periods == period]


def gaps(
    data_type: TypeArgument,
    from_: FromOption = None,
    to: ToOption = None,
    longer_than: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="Leave out shorter ones: 90 min, 2 h, 1 d.", show_default="an hour"),
    ] = None,
    key: KeyOption = None,
    archive: ArchiveOption = Path("archive"),
    as_json: JsonOption = False,
    png: PngOption = None,
) -> None:
    """List the gaps of a type: when there are no records.

    The catalogue counts by the hour, so a gap may be up to an hour longer at either side.
    """
    from dayfile.api import open_archive

    opened = open_archive(archive)
    given = parse_keys_given(opened, data_type, key)
    if png is not None:
        write_picture(partial(opened.plot_gaps, data_type, from_, to, longer_than=longer_than, **given), png)
        return
    found = opened.gaps(data_type, from_, to, longer_than=longer_than, **given)
    rows = [(format_second(gap["start"]), format_second(gap["stop"]), gap["stop"] - gap["start"]) for gap in found]
    if as_json:
        typer.echo(json.dumps([{"start": start, "stop": stop} for start, stop, _ in rows], indent=2))
        return
    for start, stop, length in rows:
        typer.echo(f"{start:<20}  {stop:<20}  {format_length(length):>12}")
    typer.echo(plural(len(rows), "gap"))


def write_picture(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a picture and write it to a file."""
    from dayfile.archive.identity import refuse_url
    from dayfile.plots.figures import check_suffix, save_figure

    refuse_url(path)
    check_suffix(path)
    save_figure(draw(), path)
    typer.echo(str(path))


def format_length(length: np.timedelta64) -> str:
    """Format a length of time, such as ``3 d 04:30``."""
    minutes = int(length.astype("m8[m]").astype(int))
    days = f"{minutes // 1440} d " if minutes >= 1440 else ""
    return f"{days}{minutes // 60 % 24:02}:{minutes % 60:02}"
