"""Examine the packages of plugins: groups of entry points, names, and what they require."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, entry_points

from dayfile.contract.answers import describe_package
from dayfile.discovery import ENTRY_POINT_GROUP
from dayfile.doctor.findings import Examined, Finding

__all__ = ["examine_packages", "examine_requirements", "find_misspelt"]

NEAR = 0.85
"""How alike two names of groups are if one is meant by the other."""
REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[(?P<extras>[^\]]*)\])?[^;]*(?:;(?P<marker>.*))?")
EXTRA = re.compile(r"""\s*\(?\s*extra\s*==\s*['"](?P<extra>[^'"]+)['"]\s*\)?\s*""")


def find_misspelt() -> Iterator[Examined]:
    """Find plugins that no program finds, as the group of their entry point is misspelt."""
    for group in sorted(entry_points().groups):
        if group != ENTRY_POINT_GROUP and is_near(group):
            for entry in entry_points(group=group):
                problem = f"its entry point is in the group {group!r}, where no program looks for plugins"
                fix = f'write [project.entry-points."{ENTRY_POINT_GROUP}"] in its pyproject.toml and install it again'
                yield Examined(entry.name, (describe_package(entry),), None, (Finding(problem, fix),))


def is_near(group: str) -> bool:
    """Return whether the group of plugins is meant by another name.

    Examples
    --------
    >>> [is_near(each) for each in ("dayfile.plugin", "dayfile_plugins", "console_scripts", "dayfile.backends")]
    [True, True, False, False]
    """
    plain, wanted = (re.sub(r"[^a-z]", "", each.lower()) for each in (group, ENTRY_POINT_GROUP))
    return SequenceMatcher(None, plain, wanted).ratio() >= NEAR


def examine_packages(name: str, entries: list[EntryPoint]) -> Iterator[Finding]:
    """Examine how many packages have a plugin of a name."""
    packages = sorted(map(describe_package, entries))
    if len(packages) > 1:
        problem = f"{' and '.join(packages)} both have a plugin {name!r}, and neither is used"
        yield Finding(problem, f"pip uninstall {packages[-1].split()[0]}, or the other")


def examine_requirements(entry: EntryPoint) -> Iterator[Finding]:
    """Examine whether what the package of a plugin requires is installed, with the extras that it names."""
    for name in sorted(find_missing(entry.dist, set()) if entry.dist else ()):
        package = entry.dist.name if entry.dist else ""
        yield Finding(f"its package {package} requires {name}, which is not installed", f"pip install '{name}'")


def find_missing(package: Distribution, extras: set[str]) -> Iterator[str]:
    """Find the requirements of a package that are not installed; other conditions than extras are not judged."""
    for line in package.requires or []:
        found = REQUIREMENT.fullmatch(line)
        if found is None:
            continue
        condition = EXTRA.fullmatch(found["marker"] or "")
        if (found["marker"] or "").strip() and (condition is None or condition["extra"] not in extras):
            continue
        try:
            required = distribution(found["name"])
        except PackageNotFoundError:
            yield found["name"]
            continue
        wanted = {extra.strip() for extra in (found["extras"] or "").split(",")} - {""}
        if wanted:
            yield from find_missing(required, wanted)
