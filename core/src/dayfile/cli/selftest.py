"""``dayfile selftest``: prove the guarantees on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["selftest"]


def selftest(
    kill: Annotated[int, typer.Option(min=1, metavar="N", help="How often to kill the run and start it again.")] = 200,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Chooses where and when.")] = 1,
    scratch: Annotated[
        Path | None,
        typer.Option(readable=False, metavar="DIR", help="Where to work; the file system to be tried. Must not exist."),
    ] = None,
) -> None:
    """Kill and restart runs on a scratch archive, and check it.

    At the end every record must be there exactly once.

    Exit codes: 0 proved, 1 not.
    """
    import tempfile

    from dayfile.errors import UsageError
    from dayfile.testing.selftest import selftest as prove

    if scratch is not None and scratch.exists():
        raise UsageError("this exists; name a directory that can be made and filled", where=scratch)
    with tempfile.TemporaryDirectory(prefix="dayfile-selftest-") as temporary:
        outcome = prove(scratch or Path(temporary) / "archive", kill, seed)
    for line in outcome.format_lines():
        typer.echo(line)
    raise typer.Exit(0 if outcome.good else 1)
