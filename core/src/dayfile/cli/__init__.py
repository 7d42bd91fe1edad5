"""The command line: ``dayfile`` with its commands, and ``archive-run``, which is ``dayfile run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from dayfile.cli import (
    coverage,
    describe,
    export,
    info,
    inspect,
    maintain,
    plot,
    quarantine,
    run,
    selftest,
    serve,
    show,
    simulate,
    status,
)
from dayfile.cli.keys import KeyCommand
from dayfile.cli.output import replace_outputs, require_output
from dayfile.cores import check_threads
from dayfile.errors import DayfileError, StorageError, UsageError
from dayfile.messages import printable, suggest

__all__ = ["archive_run", "main"]

INTERRUPTED = 130
HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="dayfile",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP,
)


@app.callback()
def dayfile(
    version: run.VersionOption = False,
) -> None:
    """Archive what scientific instruments send into day files."""


def show_help(
    ctx: typer.Context, command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND...")] = None
) -> None:
    """Show the help of a command, as -h does."""
    context: Any = ctx.find_root()
    for word in command or ():
        found = getattr(context.command, "commands", {}).get(word)
        if found is None:
            raise UsageError(f"no command {word!r}{suggest(word, getattr(context.command, 'commands', {}))}")
        context = found.context_class(found, info_name=word, parent=context)
    typer.echo(context.command.get_help(context))


app.command("init")(maintain.init)
app.command("run")(run.run)
app.command("status")(require_output(status.status))
app.command("ls")(require_output(inspect.ls))
app.command("coverage", cls=KeyCommand)(require_output(coverage.coverage))
app.command("gaps", cls=KeyCommand)(require_output(coverage.gaps))
app.command("show", cls=KeyCommand)(require_output(show.show))
app.command("plot", cls=KeyCommand)(plot.plot)
app.command("export")(export.export)
app.command("plugins")(require_output(inspect.plugins))
app.command("describe")(require_output(describe.describe))
app.command("simulate")(simulate.simulate)
app.command("check")(require_output(maintain.check))
app.command("adopt")(maintain.adopt)
app.command("reindex")(maintain.reindex)
app.command("rebuild")(maintain.rebuild)
app.command("serve")(serve.serve)
app.command("info")(require_output(info.info))
app.command("selftest")(selftest.selftest)
app.command("help")(require_output(show_help))
app.add_typer(quarantine.quarantine, name="quarantine")


def run_guarded(command: Callable[[], object]) -> None:
    """Run a command; convert errors that a user can fix to a message and an exit code."""
    with replace_outputs():
        try:
            check_threads(os.environ)
            command()
        except DayfileError as error:
            fail(str(error), error.exit_code)
        except MemoryError:
            fail("not enough memory for this; input is left in place", StorageError.exit_code)
        except OSError as error:
            # An error of the system, or of the output, that no part of the program has described better.
            where = error.filename or "the output could not be written"
            fail(f"{where}: {error.strerror or error}", StorageError.exit_code)
        except SystemExit as end:
            if end.code == INTERRUPTED:
                fail("stopped", INTERRUPTED)
            raise


def fail(message: str, exit_code: int) -> NoReturn:
    """Print a message and exit."""
    typer.echo(printable(f"dayfile: {message}"), err=True)
    sys.exit(exit_code)


def main() -> None:
    """Run ``dayfile`` with the arguments of the command line."""
    run_guarded(app)


def archive_run() -> None:
    """Run ``archive-run`` with the arguments of the command line."""
    single = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=HELP)
    single.command("archive-run")(run.run)
    run_guarded(single)
