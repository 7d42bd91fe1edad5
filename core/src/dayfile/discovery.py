"""Plugins that are installed: found by entry point, loaded by name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from dayfile.contract import answers
from dayfile.contract.failures import collect_failures
from dayfile.errors import LayoutError, UsageError
from dayfile.layout_files import is_layout_file, read_layout_files
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


def load(names: Iterable[str | Path] | None = None) -> Plugins:
    """Load plugins.

    Parameters
    ----------
    names : iterable of str or Path, optional
        Names of the plugins; by default all that are installed. Others are not imported. A layout file, such as
        ``./muon.yaml``, is a plugin, too: its name is that of its instrument.

    Returns
    -------
    Plugins
        The plugins, with a failure for each that did not load.

    Raises
    ------
    UsageError
        A plugin of this name is not installed, or no plugin is; or two plugins have one name.
    LayoutError
        A layout file has a mistake.
    """
    there = installed()
    given = list(dict.fromkeys(map(str, there if names is None else names)))
    chosen = [name for name in given if not is_layout_file(name)]
    for name in chosen:
        if name not in there:
            raise UsageError(f"no plugin {name!r} is installed{suggest(name, there)}")
    layouts = read_layout_files((Path(name) for name in given if is_layout_file(name)), there)
    if not given:
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
    offered |= {name: (instrument, "") for name, (instrument, _) in layouts.items()}
    plugins.add_all(offered, {*there, *layouts})
    wrong = [failure.message for failure in plugins.failures if failure.plugin in layouts]
    if wrong:
        raise LayoutError("; ".join(wrong))
    return plugins
