"""Whoever searches the page "Troubleshooting" for the words of a message finds it there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from dayfile import errors

CHECKOUT = Path(__file__).parents[2]
PAGE = re.sub(r"\s+", " ", (CHECKOUT / "docs/troubleshooting.md").read_text())
ENDING = {
    "ArchiveLockedError",
    "DamagedCatalogueError",
    "DayFileError",
    "DayfileError",
    "HeldError",
    "InstallationError",
    "LossError",
    "MissingExtraError",
    "SettingsError",
    "StorageError",
}
"""Errors that end a run, a watch, a server or a check, or hold its sources, whatever the command line was."""
STARTING = {
    *("archive/bases.py", "archive/identity.py", "archive/root.py", "cli/run.py", "discovery.py", "engine/intake.py"),
    *("engine/processes.py", "serving/application.py", "serving/listening.py"),
}
"""Modules whose usage errors keep a run or a server from starting."""
ENOUGH = 12
"""Letters of a part of a message that nobody takes for another one."""


def read_parts(node, names):
    """The constant parts of a message, with the constants that it has by name."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return [part for value in node.values for part in read_parts(value, names)]
    if isinstance(node, ast.FormattedValue):
        return read_parts(node.value, names) if isinstance(node.value, ast.Name) else []
    if isinstance(node, ast.Name):
        return [part for value in names.get(node.id, ()) for part in read_parts(value, {})]
    return []


def find_messages():
    """The messages of errors in the source: file and line, and the constant parts of each."""
    for path in sorted([*CHECKOUT.glob("core/src/**/*.py"), *CHECKOUT.glob("plugins/*/src/**/*.py")]):
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            names = {}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    names.setdefault(node.targets[0].id, []).append(node.value)
            for node in ast.walk(function):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                    continue
                starts = node.func.id == "UsageError" and any(str(path).endswith(f"/dayfile/{end}") for end in STARTING)
                if node.func.id in ENDING or starts:
                    given = node.args[0]
                    for value in names.get(given.id, ()) if isinstance(given, ast.Name) else [given]:
                        yield f"{path.name}:{node.lineno}", read_parts(value, names)


def find_words(parts):
    """The words of a message that somebody would search for: its first long clause, or else its longest."""
    clauses = [clause.strip(" ;:(,)") for part in parts for clause in re.split("[;.] ", re.sub(r"\s+", " ", part))]
    return next((clause for clause in clauses if len(clause) >= ENOUGH), max(clauses, key=len, default=""))


MESSAGES = [(place, words) for place, parts in find_messages() if len(words := find_words(parts)) >= ENOUGH // 2]


def test_there_are_messages_to_look_for():
    assert len(MESSAGES) > 80


@pytest.mark.parametrize(("place", "words"), MESSAGES, ids=[place for place, _ in MESSAGES])
def test_every_message_that_ends_a_run_is_on_the_page(place, words):
    assert words in PAGE, place


def test_every_class_of_errors_is_on_the_page_with_its_exit_code():
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if name not in errors.__all__:
            continue
        row = re.search(rf"\| {kind.exit_code} \|[^\n]*`{name}`", (CHECKOUT / "docs/troubleshooting.md").read_text())
        assert row, name


def test_every_command_on_the_page_exists(command_here):
    commands = re.findall(r"`(dayfile(?: [a-z]+)+|archive-run)((?: [^`]*)?)`", PAGE)
    assert len(commands) > 10
    for words, rest in commands:
        known = command_here(*words.split(), "--help", archive=None)
        assert known.code == 0, words
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in known.out, (words, option)
