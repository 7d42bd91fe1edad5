"""The lowest versions that the project files name are those that are tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

CHECKOUT = Path(__file__).parents[2]
PARTS = ("core", "plugins/hisparc", "plugins/cris", "plugins/sis")


def lower_bounds():
    """The lower bounds of what the projects need to build, to run, and for their extras: a set for each name."""
    found = {}
    for part in PARTS:
        project = tomllib.loads((CHECKOUT / part / "pyproject.toml").read_text(encoding="utf-8"))
        extras = project["project"].get("optional-dependencies", {}).values()
        lists = [project["build-system"]["requires"], project["project"]["dependencies"], *extras]
        for requirement in (Requirement(line) for lines in lists for line in lines):
            if not requirement.name.startswith("dayfile"):
                bounds = [Version(each.version) for each in requirement.specifier if each.operator == ">="]
                assert len(bounds) == 1, f"{part}: {requirement} has no lower bound"
                found.setdefault(requirement.name.lower(), set()).update(bounds)
    return found


def test_the_lowest_versions_that_are_tried_are_the_lower_bounds_of_the_projects():
    lines = (CHECKOUT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    tried = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {name: {Version(version)} for name, version in tried.items()} == lower_bounds()


def test_ci_tries_the_lowest_versions_after_the_tests():
    words = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^make test$.*^(exec )?make lowest$", words, re.MULTILINE | re.DOTALL)
