"""``dayfile simulate``: sample sources of an instrument."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simulate"]


def simulate(
    instrument: Annotated[str, typer.Argument(help="Name of a plugin, such as hisparc.")],
    day: Annotated[str, typer.Option(metavar="D", help="The day, ISO: 1997-10-31.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Directory for the files; made if absent.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed and day give the same bytes.")] = 1,
) -> None:
    """Write sample sources of one day: realistic, not real."""
    from dayfile import plugins
    from dayfile.errors import UsageError
    from dayfile.model.clock import parse_day

    moment = parse_day(day)
    loaded = plugins.load([instrument])
    for failure in loaded.failures:
        raise UsageError(failure.message)
    out.mkdir(parents=True, exist_ok=True)
    answers = loaded.manager.hook.simulate(day=moment, seed=seed, directory=out)
    if not answers:
        raise UsageError(f"plugin {instrument} has no simulation")
    written = [path for answer in answers for path in answer]
    size = sum(path.stat().st_size for path in written)
    typer.echo(f"{len(written)} files, {size / 1e6:.1f} MB, in {out}")
