"""``dayfile serve``: receive input over HTTP."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Annotated

import typer

from dayfile.cli.output import report_problem
from dayfile.cli.run import (
    ConfigOption,
    MaybeArchiveOption,
    PluginsOption,
    SetOption,
    StatusPortOption,
    show_status_address,
)

__all__ = ["serve"]


def serve(
    plugins: PluginsOption = None,
    archive: MaybeArchiveOption = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 chooses a free one.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            max=4,  # as dayfile.serving.bounds.AT_ONCE, which is heavy to import
            help="Processes that answer.",
            show_default="one for each core, up to 4",
        ),
    ] = None,
    set_: SetOption = None,
    config: ConfigOption = None,
    status_port: StatusPortOption = None,
) -> None:
    """Receive input over HTTP into DIR/incoming until stopped.

    archive-run --watch archives it meanwhile.

    Exit codes: 0 it was stopped, 2 wrong usage or settings, 4 no archive.
    """
    from dayfile.configuration import configure
    from dayfile.cores import available_cores
    from dayfile.errors import DayfileError
    from dayfile.logs import log_as
    from dayfile.problems import collect_errors, combine
    from dayfile.serving.application import make_application
    from dayfile.serving.bounds import AT_ONCE

    root, loaded, settings = configure(archive, plugins, set_ or [], config)
    problems: list[DayfileError] = []
    with collect_errors(problems):
        log_as("serve", settings.core, default="info")
    number = workers or min(available_cores(), AT_ONCE)
    app = None
    with collect_errors(problems):
        app = make_application(root, loaded, settings, number)
    if problems or app is None:
        raise combine(problems)
    from dayfile.serving.health import find_obstacle
    from dayfile.serving.listening import serve_until_stopped
    from dayfile.serving.status_port import StatusServer, parse_place

    for failure in loaded.failures:
        report_problem(failure.message)

    def show_address(address: str) -> None:
        beside_it = sys.stdout.isatty() and settings.core.log_file is None  # the log is on this terminal
        logged = beside_it and logging.getLogger().isEnabledFor(logging.INFO)
        if settings.core.log_format == "text" and not logged:  # otherwise the log is sufficient
            typer.echo(f"serving on {address}")
            sys.stdout.flush()

    find_trouble = partial(find_obstacle, root, settings.core)
    status = None if status_port is None else StatusServer(root, parse_place(status_port), find_trouble)
    if status is not None:
        show_status_address(status.address, settings.core)
    serve_until_stopped(app, host, port, number, show_address, status)
