"""``dayfile simulate``: sample sources of an instrument."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simulate"]


def simulate(
    instrument: Annotated[str, typer.Argument(help="Name of a plugin; see dayfile plugins.")],
    day: Annotated[str | None, typer.Option(metavar="D", help="The day, ISO: 1997-10-31.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Directory for the files; made if absent.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and day give the same bytes.")] = 1,
    upload: Annotated[
        str | None, typer.Option(metavar="URL", help="Send to a server instead, as the instrument's clients do.")
    ] = None,
    clients: Annotated[int, typer.Option(min=1, help="With --upload: how many clients at once.")] = 1,
    seconds: Annotated[float, typer.Option(min=0, help="With --upload: begin no upload after so long.")] = 60.0,
) -> None:
    """Write sample sources of one day, realistic and not real; or send them to a server.

    Without --day, --upload sends today's.
    """
    import numpy as np

    from dayfile import plugins
    from dayfile.errors import UsageError
    from dayfile.model.clock import parse_day

    loaded = plugins.load([instrument])
    for failure in loaded.failures:
        raise UsageError(failure.message)
    moment = np.datetime64("today", "D") if day is None else parse_day(day)
    if upload is not None and out is None:
        told = loaded.manager.hook.send(url=upload, day=moment, seed=seed, clients=clients, seconds=seconds)
        if not told:
            raise UsageError(f"plugin {instrument} has no clients to simulate")
        for line in (line for lines in told for line in lines):
            typer.echo(line)
        return
    if out is None or upload is not None or day is None:
        raise UsageError("say where to: --day D and --out DIR for files, or --upload URL for a server")
    out.mkdir(parents=True, exist_ok=True)
    answers = loaded.manager.hook.simulate(day=moment, seed=seed, directory=out)
    if not answers:
        raise UsageError(f"plugin {instrument} has no simulation")
    written = [path for answer in answers for path in answer]
    size = sum(path.stat().st_size for path in written)
    typer.echo(f"{len(written)} files, {size / 1e6:.1f} MB, in {out}")
