"""``dayfile new``: make the package of a new plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dayfile.cli.layout import TimeOption
from dayfile.cli.output import say
from dayfile.messages import plural

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
    time: TimeOption = None,
    python: Annotated[bool, typer.Option("--python", help="Decode sources in Python, not by a layout.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--out", readable=False, metavar="DIR", help="A new directory.", show_default="dayfile-NAME"),
    ] = None,
) -> None:
    """Make the package of a new plugin, with tests.

    It has a layout, a project file, a README, a CI file, and tests that pass as they are.

    With a sample and no header, the length of records and the field with the time are guessed too. What is guessed is
    printed with the evidence, and marked in the layout.
    """
    from dayfile.authoring.packages import PackageRequest, make_package, write_package

    package = make_package(PackageRequest(name, header, struct, sample, time, python))
    target = directory or Path(f"dayfile-{name.replace('_', '-')}")
    write_package(package, target)
    for line in package.evidence:
        say(f"guessed: {line}", indent=9)
    say(f"{target}: {plural(len(package.files), 'file')}; next:")
    say(f"  dayfile try {target}/src/dayfile_{name}/{name}.yaml FILE", indent=4)
    say(f"  pip install './{target}[test]' && pytest {target}", indent=4)
