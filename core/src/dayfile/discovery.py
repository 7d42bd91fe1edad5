"""Plugins that are installed: found by entry point, loaded by name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from dayfile.contract import answers
from dayfile.contract.failures import collect_failures
from dayfile.errors import UsageError
from dayfile.messages import suggest
from dayfile.plugins import Plugins

__all__ = ["ENTRY_POINT_GROUP", "installed", "load"]

ENTRY_POINT_GROUP = "dayfile.plugins"


def installed() -> dict[str, list[EntryPoint]]:
    """Find the installed plugins by name without loading them; several of a name if packages disagree about it."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        same = found.setdefault(entry.name, [])
        if all(
            (entry.value, answers.describe_package(entry)) != (each.value, answers.describe_package(each))
            for each in same
        ):
            same.append(entry)
    return found


def load(names: Iterable[str] | None = None) -> Plugins:
    """Load plugins.

    Parameters
    ----------
    names : iterable of str, optional
        Names of the plugins; by default all that are installed. Others are not imported.

    Returns
    -------
    Plugins
        The plugins, with a failure for each that did not load.

    Raises
    ------
    UsageError
        A plugin of this name is not installed, or no plugin is.
    """
    there = installed()
    chosen = list(dict.fromkeys(there if names is None else names))
    for name in chosen:
        if name not in there:
            raise UsageError(f"no plugin {name!r} is installed{suggest(name, there)}")
    if not chosen:
        raise UsageError("no plugin is installed; install one for your instrument")
    plugins = Plugins.make_empty()
    plugins.others = tuple(name for name in there if name not in chosen)
    offered: dict[str, tuple[object, str]] = {}
    for name in chosen:
        entry = there[name][0]
        plugins.versions[name] = version = entry.dist.version if entry.dist else ""
        with collect_failures(name, plugins.failures):
            answers.check_packages(there[name])
            offered[name] = entry.load(), version
    plugins.add_all(offered, there)
    return plugins
