"""``dayfile simulate``: write sample sources of an instrument."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.completion import complete_plugins
from dayfile.messages import plural, printable

if TYPE_CHECKING:
    import numpy as np

    from dayfile.plugins import Plugins

__all__ = ["simulate"]


def simulate(
    instrument: Annotated[
        str, typer.Argument(help="Name of a plugin; see dayfile plugins.", autocompletion=complete_plugins)
    ],
    day: Annotated[str | None, typer.Option(metavar="D", help="The day, ISO: 1997-10-31.")] = None,
    days: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of days, from D on; several get a directory DIR/<day> each.")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option(readable=False, metavar="DIR", help="Directory for the files; made if absent.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and day give the same bytes.")] = 1,
    upload: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Send to a server instead, as the instrument's clients do; its page describes their credentials.",
        ),
    ] = None,
    clients: Annotated[int, typer.Option(min=1, metavar="N", help="With --upload: number of clients at once.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0, metavar="S", help="With --upload: start no upload after this time.")
    ] = 60.0,
) -> None:
    """Write sample sources of an instrument, or send them.

    They are of one day or more, realistic and not real. Those of one day can be sent to a server.

    Without --day, --upload sends today's, up to now.

    Exit codes: 0 done, 2 wrong usage, 3 the plugin failed, 4 could not write or send.
    """
    import numpy as np

    from dayfile import discovery
    from dayfile.archive.identity import refuse_url
    from dayfile.errors import PluginError, StorageError, UsageError
    from dayfile.model.instants import parse_day

    if out is not None:
        refuse_url(out)
    loaded = discovery.load([instrument])
    for failure in loaded.failures:
        raise PluginError(failure.message)
    moment = np.datetime64("today", "D") if day is None else parse_day(day)
    if upload is not None and out is None and days == 1:
        for line in loaded.send(instrument, url=upload, day=moment, seed=seed, clients=clients, seconds=seconds):
            typer.echo(printable(line))
        return
    if out is None or upload is not None or day is None:
        raise UsageError("say where to: --day D, --days N and --out DIR for files, or --upload URL for a server")
    try:
        sizes = [path.stat().st_size for path in write_days(loaded, instrument, moment, days, seed, out)]
    except OSError as error:
        message = f"could not write: {error.strerror or error}"
        raise StorageError(message, where=error.filename or out) from error
    typer.echo(f"{plural(len(sizes), 'file')}, {sum(sizes) / 1e6:.1f} MB, in {out}")


def write_days(
    loaded: Plugins, instrument: str, first: np.datetime64, days: int, seed: int, out: Path
) -> Iterator[Path]:
    """Write the files of n days, each day in its own directory, as the names of files may be the same."""
    for day in (first + number for number in range(days)):
        directory = out if days == 1 else out / str(day)
        directory.mkdir(parents=True, exist_ok=True)
        yield from loaded.simulate(instrument, day, seed, directory)
