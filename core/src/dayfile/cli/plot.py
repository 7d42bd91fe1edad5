"""``dayfile plot``: draw records of a type into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dayfile.cli.completion import complete_fields, complete_kinds
from dayfile.cli.coverage import FromOption, ToOption, TypeArgument
from dayfile.cli.keys import KeyOption, parse_keys_given
from dayfile.cli.run import ArchiveOption
from dayfile.cli.show import PhysicalOption
from dayfile.messages import printable

__all__ = ["plot"]


def plot(
    data_type: TypeArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", readable=False, metavar="FILE", help="The picture: .png, .svg or .pdf.")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="series (values over time), rates (records over time), histogram, traces (of the first record), or "
            "one that a plugin brings.",
            show_default="that of the layout",
            autocompletion=complete_kinds,
        ),
    ] = None,
    from_: FromOption = None,
    to: ToOption = None,
    key: KeyOption = None,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Fields or elements, such as temperature,hp[0].",
            show_default="those of the layout",
            autocompletion=complete_fields,
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Only records for which this holds, such as 'hp[0] > 60'.")
    ] = None,
    physical: PhysicalOption = False,
    log: Annotated[
        bool | None, typer.Option("--log/--no-log", help="A logarithmic axis, or not.", show_default="as in the layout")
    ] = None,
    archive: ArchiveOption = Path("archive"),
) -> None:
    """Draw records of a type.

    The layout of a type names what is drawn without options. Lines are broken where records are missing.

    Exit codes: 0 drawn, 2 unknown type, field or kind of plot, or matplotlib is not installed, 3 the plugin failed, 4
    could not write.
    """
    from dayfile.api import open_archive
    from dayfile.archive.identity import refuse_url
    from dayfile.plots.figures import check_suffix, save_figure

    refuse_url(out)
    check_suffix(out)
    opened = open_archive(archive)
    keys = parse_keys_given(opened, data_type, key)
    names = split_names(fields)
    figure = opened.plot(data_type, from_, to, kind=kind, fields=names, where=where, physical=physical, log=log, **keys)
    save_figure(figure, out)
    typer.echo(printable(str(out)))


def split_names(text: str | None) -> list[str]:
    """Split names at commas, but not at those between brackets.

    Examples
    --------
    >>> split_names("hp[0], grid[2,3],rate")
    ['hp[0]', 'grid[2,3]', 'rate']
    """
    parts: list[str] = []
    for part in (text or "").split(","):
        if parts and parts[-1].count("[") > parts[-1].count("]"):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return [part.strip() for part in parts if part.strip()]
