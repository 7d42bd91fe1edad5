"""``dayfile new``: make the package of a new plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dayfile.cli.layout import StructOrder
from dayfile.cli.output import say
from dayfile.messages import plural

EARLIEST_EPOCH_YEAR = 1700
"""Nanoseconds since an epoch before it overflow in 64 bits."""

__all__ = ["new"]


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the instrument, such as muon.")],
    header: Annotated[
        Path | None,
        typer.Option("--from-header", readable=False, metavar="FILE.h", help="A C header with the struct of a record."),
    ] = None,
    struct: Annotated[str | None, typer.Option(metavar="NAME", help="The struct in it.")] = None,
    sample: Annotated[
        Path | None,
        typer.Option(
            readable=False, metavar="FILE", help="A file of the instrument, of which byte order and clock are guessed."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="The field with the time: its name in the header, its column in a sample of text, or the byte of a "
            "record where it begins.",
            show_default="what the header says, or the sample shows",
        ),
    ] = None,
    byte_order: Annotated[
        StructOrder | None, typer.Option(help="Byte order of the sample.", show_default="guessed")
    ] = None,
    record_bytes: Annotated[
        int | None, typer.Option(min=4, metavar="N", help="Bytes of a record in the sample.", show_default="guessed")
    ] = None,
    head_bytes: Annotated[
        int | None,
        typer.Option(min=0, max=1024, metavar="N", help="Bytes in front of the first record.", show_default="guessed"),
    ] = None,
    epoch: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="The date from which times count, such as 2000-01-01; 1980-01-06 is GPS time.",
            show_default="guessed",
        ),
    ] = None,
    python: Annotated[bool, typer.Option("--python", help="Decode sources in Python, not by a layout.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--out", readable=False, metavar="DIR", help="A new directory.", show_default="dayfile-NAME"),
    ] = None,
) -> None:
    """Make the package of a new plugin, with tests.

    It has a layout, a project file, a README, a CI file, and tests that pass as they are.

    With a sample and no header, the length of records and the field with the time are guessed too, or the columns of a
    text. What is guessed is printed with the evidence, and marked in the layout; options correct it.
    """
    from dayfile.authoring.guesses import Corrections
    from dayfile.authoring.packages import PackageRequest, make_package, write_package

    said = Corrections(byte_order, record_bytes, head_bytes, read_epoch(epoch))
    package = make_package(PackageRequest(name, header, struct, sample, time, python, said))
    target = directory or Path(f"dayfile-{name.replace('_', '-')}")
    write_package(package, target)
    for line in package.evidence:
        say(f"guessed: {line}", indent=9)
    say(f"{target}: {plural(len(package.files), 'file')}; next:")
    say(f"  dayfile try {target}/src/dayfile_{name}/{name}.yaml FILE", indent=4)
    say(f"  pip install './{target}[test]' && pytest {target}", indent=4)


def read_epoch(text: str | None) -> str | None:
    """Read the date of an epoch; UsageError if it is not one."""
    from datetime import date

    from dayfile.errors import UsageError

    try:
        epoch = None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--epoch {text}: give a date, such as 2000-01-01") from error
    if epoch is not None and epoch.year < EARLIEST_EPOCH_YEAR:
        raise UsageError(f"--epoch {text}: clocks count from {EARLIEST_EPOCH_YEAR} on, at the earliest")
    return None if epoch is None else epoch.isoformat()
