"""``archive-run``: archive sources into day files."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.completion import complete_plugins
from dayfile.cli.output import report_problem, say
from dayfile.cli.progress import show_progress, show_watch
from dayfile.errors import DayfileError
from dayfile.messages import plural

if TYPE_CHECKING:
    from dayfile.archive.root import Root
    from dayfile.engine.offering import Offered
    from dayfile.engine.report import Report
    from dayfile.settings import CoreSettings

__all__ = [
    "ArchiveOption",
    "ConfigOption",
    "MaybeArchiveOption",
    "PluginsOption",
    "SetOption",
    "StatusPortOption",
    "VersionOption",
    "report_run",
    "run",
    "show_status_address",
]

logger = logging.getLogger(__name__)

PIPE, PIPED_NAME = "-", "standard-input"
"""The argument for standard input, and the name of its source unless ``--name`` gives one."""
NAME_WIDTH, NUMBER_WIDTH = 28, 12
"""Columns of the names of data types, and of numbers of their records."""

ArchiveOption = Annotated[
    Path,
    typer.Option(
        "--archive", "-a", readable=False, metavar="DIR", envvar="DAYFILE_ARCHIVE", help="The archive's directory."
    ),
]
MaybeArchiveOption = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        "-a",
        readable=False,
        metavar="DIR",
        envvar="DAYFILE_ARCHIVE",
        help="The archive's directory.",
        show_default="that of --config, or archive",
    ),
]
PluginsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugins",
        metavar="NAMES",
        help="Plugins, with commas between; may be given again. A layout file, such as ./muon.yaml, is one too.",
        show_default="all installed",
        autocompletion=complete_plugins,
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, such as publish.after=30.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", readable=False, metavar="FILE", help="Settings file instead of DIR/archive.yaml."),
]


def show_version(wanted: bool) -> None:  # noqa: FBT001 - an option
    """Print the version and exit, if the option was given."""
    if wanted:
        import dayfile

        typer.echo(f"dayfile {dayfile.__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
]


StatusPortOption = Annotated[
    str | None,
    typer.Option(
        "--status-port",
        metavar="[HOST:]PORT",
        help="Answer /healthz, /status.json and /metrics there; on 127.0.0.1 if no host is given.",
    ),
]


class Engine(StrEnum):
    """How to run: in one process or in several."""

    auto = "auto"
    serial = "serial"
    processes = "processes"


def run(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            readable=False,
            metavar="[SOURCES]...",
            help="Files or directories, in addition to DIR/incoming; - for a pipe.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the source that - reads from standard input.")
    ] = None,
    plugins: PluginsOption = None,
    archive: MaybeArchiveOption = None,
    set_: SetOption = None,
    config: ConfigOption = None,
    report: Annotated[
        Path | None, typer.Option(readable=False, metavar="FILE.json", help="Write what was done as JSON.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running and archive what arrives in DIR/incoming.")
    ] = False,
    engine: Annotated[
        Engine, typer.Option(help="One process or several; auto: several if there is much to do and not with --watch.")
    ] = Engine.auto,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of processes, if several.", show_default="one a core"),
    ] = None,
    status_port: StatusPortOption = None,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            readable=False, metavar="FILE.prom", help="Write metrics for Prometheus at the end, for a run by cron."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only problems.")] = False,
    version: VersionOption = False,  # noqa: ARG001 - its callback answers
) -> None:
    """Archive sources into day files.

    If the archive's path does not exist, an archive is made, except by --watch; a directory that is not an archive is
    left as it is, as it may be a bare mount point: see dayfile init.

    Exit codes: 0 everything archived (or a watch was stopped), 2 wrong usage or settings, 3 something is in quarantine
    or held, 4 no archive, could not write (also a watch that is stopped while it waits for room), or the archive was
    renamed or unmounted, 5 another run holds the archive, 130 stopped by Ctrl-C.
    """
    from dayfile.configuration import configure
    from dayfile.engine.executors import show_nothing
    from dayfile.engine.watch import run_watch
    from dayfile.errors import StoppedError
    from dayfile.logs import log_as

    sources = sources or []
    check_options(sources, engine, workers, watch=watch, status_port=status_port)
    check_outputs(report, metrics_file)
    given = list_sources(sources, name)
    root, loaded, resolved = configure(archive, plugins, set_ or [], config)
    log_as("run", resolved.core, default="info" if watch and not quiet else "warning")
    try:
        with write_metrics_of_failure(root, metrics_file):
            if watch:
                with (
                    show_watch(None if quiet else root.path) as observers,
                    answer_monitors(root, status_port, resolved.core) as beside,
                ):
                    done = run_watch(root, loaded, resolved, observers, beside)
            else:
                with show_progress() if not quiet else nullcontext(show_nothing) as progress:
                    execute = choose_executor(root, sources, given, engine, workers)
                    done = execute(root, loaded, resolved, progress=progress)
    except KeyboardInterrupt as error:
        message = "stopped; nothing is lost: the next run goes on with what was accepted"
        raise StoppedError(message + ("; give the same sources again" if given else "")) from error
    # The report first: it must exist whatever happens to the output.
    try:
        if report is not None:
            done.write(report)
    finally:
        if not (watch and resolved.core.log_format == "json"):  # a watch has logged everything
            report_run(done, quiet=quiet)
    write_metrics_file(root, metrics_file)
    raise typer.Exit(0 if watch else done.exit_code)


def check_options(
    sources: list[Path], engine: Engine, workers: int | None, *, watch: bool, status_port: str | None
) -> None:
    """Raise a UsageError if options exclude each other."""
    from dayfile.errors import UsageError

    if watch and sources:
        raise UsageError("--watch takes what arrives in DIR/incoming; give sources to a run without it")
    if watch and engine is Engine.processes:
        raise UsageError("--watch works in one process; leave out --engine, or use it without --watch")
    if status_port is not None and not watch:
        raise UsageError("--status-port is for --watch; a run that ends can write --metrics-file")
    if is_piped(sources) and (engine is Engine.processes or workers is not None):
        raise UsageError("- is read in one process; leave out --engine and --workers")


def check_outputs(report: Path | None, metrics_file: Path | None) -> None:
    """Raise a UsageError if report or metrics cannot be written: a path is a URL, or a library is missing."""
    from dayfile.archive.identity import refuse_url
    from dayfile.state.metrics import check_metrics

    for path in (report, metrics_file):
        if path is not None:
            refuse_url(path)
    if metrics_file is not None:
        check_metrics()


def is_piped(sources: list[Path]) -> bool:
    """Return whether one of the given sources is standard input."""
    return any(str(path) == PIPE for path in sources)


def choose_executor(
    root: Root, sources: list[Path], given: list[Path | Offered], engine: Engine, workers: int | None
) -> Callable[..., Report]:
    """Choose how a run archives: in this process, or in several if that was asked for or if there is much to do.

    Parameters
    ----------
    root : Root
        The archive.
    sources : list of Path
        Sources as they were named.
    given : list of Path or Offered
        The same with what standard input offers.
    engine, workers : Engine, int or None
        What was asked for.

    Returns
    -------
    callable
        Takes the archive, its plugins and settings, and ``progress``; see :func:`dayfile.engine.executors.run_serial`.
    """
    from dayfile.engine.executors import run_serial
    from dayfile.engine.processes import needs_processes, run_processes

    several = engine is Engine.processes or (engine is Engine.auto and workers is not None)
    if several or (engine is Engine.auto and not is_piped(sources) and needs_processes(root, sources)):
        return partial(run_processes, given=sources, workers=workers)
    return partial(run_serial, given=given)


@contextmanager
def write_metrics_of_failure(root: Root, path: Path | None) -> Iterator[None]:
    """Write metrics into a file, if one is given, when an error ends the run."""
    try:
        yield
    except BaseException:
        with suppress(DayfileError):  # the error that ended the run is the one to report
            write_metrics_file(root, path)
        raise


def write_metrics_file(root: Root, path: Path | None) -> None:
    """Write metrics into a file, if one is given."""
    if path is not None:
        from dayfile.state.metrics import write_metrics
        from dayfile.state.status import make_status

        write_metrics(make_status(root), path)


@contextmanager
def answer_monitors(
    root: Root, place: str | None, core: CoreSettings
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Listen for monitors, if a place is given; yield what returns a context in which they are answered."""
    if place is None:
        yield nullcontext
        return
    from dayfile.serving.health import find_engine_trouble
    from dayfile.serving.status_port import StatusServer, parse_place

    server = StatusServer(root, parse_place(place), partial(find_engine_trouble, root))
    show_status_address(server.address, core, err=True)
    try:
        yield server.run
    finally:
        server.close()


def show_status_address(address: str, core: CoreSettings, *, err: bool = False) -> None:
    """Print where monitors are answered; where a log of objects is wanted, log it, as the two may share a stream."""
    if core.log_format == "json":
        logger.info("status on %s", address, extra={"fields": {"event": "status_port", "address": address}})
    else:
        typer.echo(f"status on {address}", err=err)


def list_sources(sources: list[Path], name: str | None) -> list[Path | Offered]:
    """List given sources, with standard input in place of ``-``.

    Raises
    ------
    UsageError
        ``-`` is given twice or standard input is closed, or a name without it, or one that cannot be that of a source.
    """
    from dayfile.engine.offering import offer_pipe
    from dayfile.errors import UsageError

    pipes = [path for path in sources if str(path) == PIPE]
    if len(pipes) > 1:
        raise UsageError("- is standard input, which can be read only once")
    if name is not None and not pipes:
        raise UsageError("--name is the name of the source that - reads from standard input; files have names")
    if pipes and sys.stdin is None:
        raise UsageError("- is standard input, which is closed")
    return [offer_pipe(sys.stdin.buffer, name or PIPED_NAME) if str(path) == PIPE else path for path in sources]


def report_run(report: Report, *, quiet: bool) -> None:
    """Print what a run did, and problems to standard error."""
    if report.made and not quiet:
        say(f"made the archive {report.made}")
    if report.recovered:
        report_problem("the previous run was interrupted; what it had accepted is archived now")
    for name in report.growing:
        report_problem(f"{name} is still being written; it waits for the next run")
    if report.left_message:
        report_problem(report.left_message)
    for failure in report.failures:
        report_problem(failure.message, failure.trace)
    for text, number in report.remarks.items():
        report_problem(f"{text} ({plural(number, 'record')})")
    for message in [entry.message for entry in report.held] + [entry.message for entry in report.quarantine]:
        report_problem(message)
    if quiet:
        return
    for line in format_counts(report):
        typer.echo(line)


def format_counts(report: Report) -> Iterator[str]:
    """Format the numbers of records of each data type, and those of sources and day files."""
    for place, (name, counts) in enumerate(report.records.items()):
        if not place:
            yield f"{'records':<{NAME_WIDTH}}" + "".join(f"{word:>{NUMBER_WIDTH}}" for word in counts)
        if len(name) > NAME_WIDTH:  # it has a line of its own
            yield name
        shown = name if len(name) <= NAME_WIDTH else ""
        yield f"{shown:<{NAME_WIDTH}}" + "".join(f"{number:>{NUMBER_WIDTH}}" for number in counts.values())
    yield "sources: " + ", ".join(f"{number} {word}" for word, number in report.sources.items())
    yield f"{plural(len(report.day_files), 'day file')} published in {report.seconds:.1f} s"
