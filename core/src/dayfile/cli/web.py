"""``dayfile web``: let others read an archive over HTTP."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from dayfile.cli.run import ConfigOption, MaybeArchiveOption, PluginsOption, SetOption

__all__ = ["web"]

MOST_WORKERS = 4
"""Processes if nobody says how many."""


def web(
    archive: MaybeArchiveOption = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 chooses a free one.")] = 8080,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="Processes that answer.", show_default="that of web.workers"),
    ] = None,
    plugins: PluginsOption = None,
    set_: SetOption = None,
    config: ConfigOption = None,
) -> None:
    """Let others read the archive over HTTP, by HAPI, until stopped.

    Nothing is written, except to the log, and no plugin is needed.

    Exit codes: 0 it was stopped, 2 wrong usage or settings, or no archive.
    """
    from dayfile.api import open_archive
    from dayfile.configuration import configure_reading
    from dayfile.cores import available_cores
    from dayfile.errors import DayfileError
    from dayfile.logs import log_as
    from dayfile.problems import collect_errors, combine
    from dayfile.web.application import make_site

    root, loaded, settings = configure_reading(archive, plugins, set_ or [], config)
    problems: list[DayfileError] = []
    with collect_errors(problems):
        log_as("web", settings.core, default="info")
    reopen = partial(open_archive, root.path, plugins=loaded)
    site = None
    with collect_errors(problems):
        site = make_site(reopen, settings.core, loaded.pages(reopen(), settings))
    if problems or site is None:
        raise combine(problems)
    from dayfile.serving.listening import serve_until_stopped

    for failure in loaded.failures:
        typer.echo(f"dayfile: {failure.message}", err=True)

    def show_address(address: str) -> None:
        if settings.core.log_format == "text":  # otherwise the log is sufficient
            typer.echo(f"serving on {address}")
            sys.stdout.flush()

    number = workers or settings.core.web_workers or min(available_cores(), MOST_WORKERS)
    serve_until_stopped(site, host, port, number, show_address)
