"""The command line: ``dayfile`` with its commands, and ``archive-run``, which is ``dayfile run``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from dayfile.cli import describe, export, inspect, maintain, run, selftest, serve, simulate
from dayfile.errors import DayfileError, StorageError
from dayfile.messages import printable

__all__ = ["archive_run", "main"]

app = typer.Typer(
    name="dayfile",
    help="Archives what scientific instruments send into day files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("init")(maintain.init)
app.command("run")(run.run)
app.command("ls")(inspect.ls)
app.command("show")(inspect.show)
app.command("export")(export.export)
app.command("plugins")(inspect.plugins)
app.command("describe")(describe.describe)
app.command("simulate")(simulate.simulate)
app.command("check")(maintain.check)
app.command("adopt")(maintain.adopt)
app.command("reindex")(maintain.reindex)
app.command("rebuild")(maintain.rebuild)
app.command("serve")(serve.serve)
app.command("selftest")(selftest.selftest)
app.add_typer(maintain.quarantine, name="quarantine")


def guarded(command: Callable[[], object]) -> None:
    """Run a command; what a user can mend ends in one message and the exit code of its kind."""
    try:
        command()
    except DayfileError as error:
        typer.echo(printable(f"dayfile: {error}"), err=True)
        sys.exit(error.exit_code)
    except MemoryError:
        typer.echo("dayfile: the memory is too small for this; input stays where it was", err=True)
        sys.exit(StorageError.exit_code)
    except OSError as error:
        # What no part of the program has named better: a fault of the surroundings, or of the output.
        where = error.filename or "the output could not be written"
        typer.echo(printable(f"dayfile: {where}: {error.strerror or error}"), err=True)
        sys.exit(StorageError.exit_code)


def main() -> None:
    """Entry point of ``dayfile``."""
    guarded(app)


def archive_run() -> None:
    """Entry point of ``archive-run``."""
    single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    single.command("archive-run")(run.run)
    guarded(single)
