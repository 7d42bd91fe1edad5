"""The command line: ``dayfile`` with its commands, and ``archive-run``, which is ``dayfile run``."""

from __future__ import annotations

import logging
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
    layout,
    maintain,
    new,
    plot,
    plugins,
    quarantine,
    run,
    selftest,
    serve,
    show,
    simulate,
    status,
    trial,
    web,
)
from dayfile.cli.keys import KeyCommand
from dayfile.cli.output import replace_outputs, report_problem, require_output
from dayfile.cli.usage import Command, CommandGroup, raise_wrong_usage
from dayfile.cores import check_threads
from dayfile.errors import DayfileError, StorageError, UsageError
from dayfile.messages import suggest

__all__ = ["archive_run", "main"]

INTERRUPTED = 130
HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="dayfile",
    cls=CommandGroup,
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


TO_REGISTER: dict[str, tuple[type[Command], Callable[..., None]]] = {
    "init": (Command, maintain.init),
    "run": (Command, run.run),
    "status": (Command, require_output(status.status)),
    "ls": (Command, require_output(inspect.ls)),
    "coverage": (KeyCommand, require_output(coverage.coverage)),
    "gaps": (KeyCommand, require_output(coverage.gaps)),
    "show": (KeyCommand, require_output(show.show)),
    "plot": (KeyCommand, plot.plot),
    "export": (KeyCommand, export.export),
    "describe": (Command, require_output(describe.describe)),
    "simulate": (Command, simulate.simulate),
    "new": (Command, new.new),
    "try": (Command, require_output(trial.try_sources)),
    "check": (Command, require_output(maintain.check)),
    "adopt": (Command, maintain.adopt),
    "reindex": (Command, maintain.reindex),
    "rebuild": (Command, maintain.rebuild),
    "serve": (Command, serve.serve),
    "web": (Command, web.web),
    "info": (Command, require_output(info.info)),
    "selftest": (Command, selftest.selftest),
    "help": (Command, require_output(show_help)),
}
for name, (command_class, function) in TO_REGISTER.items():
    app.command(name, cls=command_class)(function)
app.add_typer(quarantine.quarantine, name="quarantine")
app.add_typer(layout.layout, name="layout")
app.add_typer(plugins.plugins, name="plugins")


def run_guarded(command: Callable[..., object]) -> None:
    """Run a command; convert errors that a user can fix to a message and an exit code."""
    with replace_outputs():
        try:
            check_threads(os.environ)
            call_without_usage(command)
        except DayfileError as error:
            fail(str(error), error.exit_code)
        except MemoryError:
            fail("not enough memory for this; input is left in place", StorageError.exit_code)
        except OSError as error:
            # An error of the system, or of the output, that no part of the program has described better.
            where = error.filename or "the output could not be written"
            fail(f"{where}: {error.strerror or error}", StorageError.exit_code)


def call_without_usage(command: Callable[..., object]) -> None:
    """Call a command; what is wrong with the command line becomes a UsageError, and an exit code ends the process."""
    try:
        code = command(standalone_mode=False)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(str(error), err=True)
            sys.exit(UsageError.exit_code)
        raise_wrong_usage(error)
        raise
    if code == INTERRUPTED:
        fail("stopped", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, exit_code: int) -> NoReturn:
    """Print a message and exit."""
    report_problem(message, level=logging.CRITICAL)
    sys.exit(exit_code)


def main() -> None:
    """Run ``dayfile`` with the arguments of the command line."""
    run_guarded(app)


def archive_run() -> None:
    """Run ``archive-run`` with the arguments of the command line."""
    single = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=HELP)
    single.command("archive-run", cls=Command)(run.run)
    run_guarded(single)
