"""Examine every installed plugin, each for all that can be wrong with it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint

from dayfile import discovery
from dayfile.contract.answers import check_version, describe_package
from dayfile.contract.failures import Failure, collect_failures
from dayfile.doctor.findings import Examined, Finding
from dayfile.doctor.functions import examine_functions
from dayfile.doctor.packages import examine_packages, examine_requirements, find_misspelt
from dayfile.errors import PluginError
from dayfile.instrument import Instrument
from dayfile.messages import list_some
from dayfile.plugins import Plugins

__all__ = ["examine_plugins"]

SLOWEST_IMPORT = 1.0
"""Seconds that an import may take: each command waits for it."""
OWN = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


def examine_plugins(slowest: float = SLOWEST_IMPORT) -> list[Examined]:
    """Examine every installed plugin, and entry points that were meant to be one.

    Parameters
    ----------
    slowest : float
        Seconds that an import may take.
    """
    installed = discovery.installed()
    examined = {name: examine(name, entries, slowest) for name, entries in installed.items()}
    well = [name for name, each in examined.items() if not each.findings]
    # What concerns several, or is found by calling hooks, is found when those that are well are loaded together.
    if well:
        loaded = discovery.load(well)
        for name in well:
            found = [describe_failure(each) for each in loaded.failures if each.plugin == name]
            found += examine_types(name, loaded)
            examined[name] = Examined(name, examined[name].packages, examined[name].seconds, tuple(found))
    return [*examined.values(), *find_misspelt()]


def examine(name: str, entries: list[EntryPoint], slowest: float) -> Examined:
    """Examine one plugin alone."""
    entry = entries[0]
    findings = [*examine_packages(name, entries), *examine_requirements(entry)]
    plugin, seconds, failures, before = None, None, list[Failure](), set(sys.modules)
    start = time.perf_counter()
    with collect_failures(name, failures):
        plugin = entry.load()
        seconds = time.perf_counter() - start
    findings += [describe_import(each, entry) for each in failures]
    if seconds is not None:
        findings += examine_import(entry, seconds, slowest, before)
        findings += examine_plugin(plugin)
    return Examined(name, tuple(sorted(map(describe_package, entries))), seconds, tuple(findings))


def examine_import(entry: EntryPoint, seconds: float, slowest: float, before: set[str]) -> Iterator[Finding]:
    """Examine how long the import of a plugin took."""
    if seconds > slowest:
        own = entry.module.partition(".")[0]
        new = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names) - {own}
        libraries = sorted(name for name in new if not name.startswith("_") and name not in before)
        fix = "import large libraries in the functions that use them"
        imported = f"; it imports {list_some(libraries, 6)}" if libraries else ""
        yield Finding(f"its import takes {seconds:.1f} s, for which every command waits{imported}", fix)


def examine_plugin(plugin: object) -> Iterator[Finding]:
    """Examine the object that an entry point names, without calling a hook."""
    try:
        check_version(getattr(plugin, "hook_version", 1))
    except PluginError as error:
        problem, _, fix = error.message.rpartition(": ")
        yield Finding(problem, fix)
    yield from examine_functions(plugin)
    if isinstance(plugin, Instrument):
        yield from (Finding(str(mistake)) for mistake in plugin.find_mistakes())


def examine_types(name: str, loaded: Plugins) -> Iterator[Finding]:
    """Examine whether the data types of a plugin have its name in front."""
    types = [data_type for each, data_type in loaded.data_types.items() if loaded.owners[each] == name]
    others = dict.fromkeys(data_type.instrument for data_type in types if data_type.instrument != name)
    for other in others:
        if other not in loaded.extends.get(name, ()):
            problem = f"it is named {name!r}, but its data types are of the instrument {other!r}"
            fix = f"give its entry point the name {other!r}, by which 'describe {other}...' and '--plugins' look for it"
            yield Finding(problem, fix)


def describe_import(failure: Failure, entry: EntryPoint) -> Finding:
    """Describe why a plugin could not be imported."""
    problem = f"it cannot be imported as {entry.value}: {failure.message.removeprefix(f'plugin {entry.name} failed: ')}"
    if failure.error == "ModuleNotFoundError":
        return Finding(
            problem + find_failing_line(failure), "install what is missing, and require it in its pyproject.toml"
        )
    if failure.error == "AttributeError":
        return Finding(problem, f"name an object of {entry.module} in the entry point")
    return Finding(problem + find_failing_line(failure), "correct it; 'dayfile plugins' shows the traceback")


def describe_failure(failure: Failure) -> Finding:
    """Describe why a plugin did not load."""
    problem, _, fix = failure.message.removeprefix(f"plugin {failure.plugin}: ").partition("; ")
    return Finding(problem + ("" if fix else find_failing_line(failure)), fix)


def find_failing_line(failure: Failure) -> str:
    """Find the last line of a failure's traceback: `` (file:line)``; empty without one."""
    places = list(OWN.finditer(failure.trace))
    return f" ({places[-1]['file']}:{places[-1]['line']})" if places else ""
