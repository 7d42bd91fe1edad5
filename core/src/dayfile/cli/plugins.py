"""``dayfile plugins``: list installed plugins, and say what is wrong with them."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.cli.output import find_width, require_output, say
from dayfile.cli.usage import Command, CommandGroup
from dayfile.messages import plural

if TYPE_CHECKING:
    from dayfile.doctor.findings import Examined

__all__ = ["plugins"]

HANGING: dict[str, Any] = {"subsequent_indent": " " * 29, "drop_whitespace": True}
plugins = typer.Typer(cls=CommandGroup)


@plugins.callback(invoke_without_command=True)
def list_without_command(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List installed plugins, their versions and data types.

    Those that failed to load are listed with the reason; 'doctor' says more.
    """
    if ctx.invoked_subcommand is None:
        require_output(list_plugins)(as_json=as_json)


@plugins.command("doctor", cls=Command)
@require_output
def plugins_doctor(as_json: JsonOption = False) -> None:
    """Find what is wrong with installed plugins, and what helps.

    All of it at once: entry points that no program finds, packages, names, marks and arguments of hooks, layouts,
    tables that two plugins would share, what is required and not installed, and slow imports.

    Exit codes: 0 all plugins are well, 3 something is wrong.
    """
    from dataclasses import asdict

    from dayfile.doctor.examination import examine_plugins
    from dayfile.errors import PluginError

    examined = examine_plugins()
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in examined], indent=2, ensure_ascii=False))
    elif not examined:
        typer.echo("no plugin is installed; install one for your instrument")
    for each in () if as_json else examined:
        show_examined(each)
    raise typer.Exit(PluginError.exit_code if any(each.findings for each in examined) else 0)


def show_examined(examined: Examined) -> None:
    """Show what was found on a plugin."""
    state = plural(len(examined.findings), "problem") if examined.findings else "well"
    imported = "" if examined.seconds is None else f", imported in {examined.seconds:.2f} s"
    say(f"{examined.name} ({', '.join(examined.packages)}): {state}{imported}")
    for finding in examined.findings:
        say(f"  {finding.problem}", indent=4)
        if finding.fix:
            say(f"    fix: {finding.fix}", indent=9)


def list_plugins(*, as_json: bool) -> None:
    """List installed plugins; exit with 3 if one failed."""
    from dayfile import discovery

    names = discovery.installed()
    if not names:
        typer.echo("[]" if as_json else "no plugin is installed; install one for your instrument")
        return
    loaded = discovery.load(names)
    failures = {failure.plugin: failure for failure in loaded.failures}
    listing: list[dict[str, Any]] = [
        {
            "name": name,
            "version": loaded.versions.get(name, ""),
            "types": [data_type for data_type, owner in loaded.owners.items() if owner == name],
            "failed": failures[name].message if name in failures else None,
            "traceback": failures[name].trace if name in failures else None,
        }
        for name in names
    ]
    if as_json:
        typer.echo(json.dumps(listing, indent=2))
    for entry in [] if as_json else listing:
        typer.echo(f"{entry['name']} {entry['version']}" + (" FAILED" if entry["failed"] else ""))
        for name in entry["types"]:
            for line in textwrap.wrap(f"{name:<28} {loaded.data_types[name].title}", find_width() - 4, **HANGING):
                typer.echo(f"    {line}")
        if entry["failed"]:
            say(f"    {entry['failed']}", indent=8)
            typer.echo("".join(f"    {line}\n" for line in str(entry["traceback"]).splitlines()).rstrip())
    raise typer.Exit(3 if failures else 0)
