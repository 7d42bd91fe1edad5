"""The command line: ``dayfile`` with its commands, and ``archive-run``, which is ``dayfile run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from dayfile.cli import describe, export, inspect, maintain, quarantine, run, selftest, serve, simulate
from dayfile.cli.output import answering, lasting_outputs
from dayfile.cores import check_threads
from dayfile.errors import DayfileError, StorageError
from dayfile.messages import printable

__all__ = ["archive_run", "main"]

INTERRUPTED = 130
HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="dayfile",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings=HELP,
)


@app.callback()
def dayfile(
    version: run.VersionOption = False,
) -> None:
    """Archives what scientific instruments send into day files."""


app.command("init")(maintain.init)
app.command("run")(run.run)
app.command("ls")(answering(inspect.ls))
app.command("show")(answering(inspect.show))
app.command("export")(export.export)
app.command("plugins")(answering(inspect.plugins))
app.command("describe")(answering(describe.describe))
app.command("simulate")(simulate.simulate)
app.command("check")(answering(maintain.check))
app.command("adopt")(maintain.adopt)
app.command("reindex")(maintain.reindex)
app.command("rebuild")(maintain.rebuild)
app.command("serve")(serve.serve)
app.command("selftest")(selftest.selftest)
app.add_typer(quarantine.quarantine, name="quarantine")


def guarded(command: Callable[[], object]) -> None:
    """Run a command; what a user can fix ends in one message and the exit code of its kind."""
    with lasting_outputs():
        try:
            check_threads(os.environ)
            command()
        except DayfileError as error:
            fail(str(error), error.exit_code)
        except MemoryError:
            fail("the memory is too small for this; input stays where it was", StorageError.exit_code)
        except OSError as error:
            # What no part of the program has named better: a fault of the surroundings, or of the output.
            where = error.filename or "the output could not be written"
            fail(f"{where}: {error.strerror or error}", StorageError.exit_code)
        except SystemExit as end:
            if end.code == INTERRUPTED:
                fail("stopped", INTERRUPTED)
            raise


def fail(message: str, exit_code: int) -> NoReturn:
    """End with one message."""
    typer.echo(printable(f"dayfile: {message}"), err=True)
    sys.exit(exit_code)


def main() -> None:
    """Run ``dayfile`` with the words of the command line."""
    guarded(app)


def archive_run() -> None:
    """Run ``archive-run`` with the words of the command line."""
    single = typer.Typer(pretty_exceptions_enable=False, add_completion=False, context_settings=HELP)
    single.command("archive-run")(run.run)
    guarded(single)
