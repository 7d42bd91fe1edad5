"""How commands are used: their help in plain words, and one message for what is wrong with a command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.core

from dayfile.errors import UsageError
from dayfile.messages import begin_small, suggest, suggest_near

__all__ = ["Command", "CommandGroup", "list_help", "raise_wrong_usage"]

TYPED = re.compile(r" <[^<>|]*>")
"""The type of an argument or option, which its name and meaning say already; choices are kept."""
CLICK_ERROR: type[Exception] = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")
"""The base of what is wrong with a command line; it comes from another module in each version of typer."""


class Command(typer.core.TyperCommand):
    """A command whose help has no types, and whose line of usage has plain names."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - of click, which typer brings
        """Return ``[OPTIONS]`` and the names of the arguments, in brackets if they can be left out."""
        arguments = [each for each in self.get_params(ctx) if each.param_type_name == "argument"]
        return ["[OPTIONS]", *map(name_argument, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - of click, which typer brings
        """Write arguments and options."""
        for kind, title in (("argument", "Arguments"), ("option", "Options")):
            records = [record for each, record in list_help(self, ctx) if each.param_type_name == kind]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class CommandGroup(typer.core.TyperGroup):
    """A group of commands that suggests the one that was meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - of click, which typer brings
        """Find the command that the first argument names; UsageError if it is not one."""
        if args and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            raise UsageError(f"no command {args[0]!r}{suggest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


def list_help(command: Any, ctx: Any) -> Iterator[tuple[Any, tuple[str, str]]]:  # noqa: ANN401 - of click
    """Yield each argument and option of a command, with its names and its meaning."""
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            names, meaning = record
            argument = parameter.param_type_name == "argument"
            yield parameter, (name_argument(parameter) if argument else TYPED.sub("", names), meaning)


def name_argument(argument: Any) -> str:  # noqa: ANN401 - of click, which typer brings
    """Name an argument as it is written in a line of usage: ``TYPE``, ``[SOURCES]...``."""
    name = str(argument.metavar or argument.name.upper())
    return name if argument.required or "[" in name else f"[{name.removesuffix('...')}]{'...' * name.endswith('...')}"


def raise_wrong_usage(error: Exception) -> None:
    """Raise what is wrong with a command line as a UsageError in one sentence.

    Parameters
    ----------
    error : Exception
        What was raised; nothing happens if it is not about a command line.
    """
    if not isinstance(error, CLICK_ERROR):
        return
    described: Any = error
    ctx, parameter = getattr(described, "ctx", None), getattr(described, "param", None)
    message = str(getattr(described, "message", error)).removeprefix("Value error, ").rstrip(".")
    message = begin_small(message)
    if ctx is None:
        raise UsageError(message) from error
    command, see = ctx.command_path.removeprefix("dayfile "), f"; see '{ctx.command_path} -h'"
    if type(error).__name__ == "NoSuchOption":
        known = [name for each in ctx.command.get_params(ctx) for name in (*each.opts, *each.secondary_opts)]
        near = suggest_near(described.option_name, [name for name in known if name.startswith("--")])
        raise UsageError(f"{command} has no option {described.option_name}{near or see}") from error
    if parameter is None:
        raise UsageError(f"{message}{see}") from error
    argument = parameter.param_type_name == "argument"
    name = name_argument(parameter) if argument else parameter.opts[0]
    if type(error).__name__ == "MissingParameter":
        value = "" if argument else f" {parameter.metavar or 'VALUE'}"
        raise UsageError(f"{command} needs {name}{value}{see}") from error
    raise UsageError(f"{name}: {message}{see}") from error
