"""Typical mistakes in plugins: the doctor finds each, all of a plugin at once, and says what helps.

To add one, put a module with the mistake into ``plugins/``. Comments at its top declare the package that it is:
``name``, ``group``, ``target`` and ``also`` of its entry points, what it ``requires``, whether it is there ``twice``;
and, in pairs, what to ``expect`` and the ``fix``.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

PLUGINS = sorted((Path(__file__).parent / "plugins").glob("*.py"))
COMMENT = re.compile(r"^# (\w+):(.*)$", re.MULTILINE)
OTHERS = {"hisparc", "cris", "sis"}


def install(path, site, words):
    """Install a module as a package."""
    shutil.copy(path, site / f"mistake_{path.name}")
    target = words.get("target", "plugin")
    module = f"mistake_{path.stem}"
    entries = [f"{words['name']} = {module}{f':{target}' if target else ''}"]
    entries += [f"{name} = {module}:{name}" for name in words.get("also", "").split()]
    for number in range(2 if "twice" in words else 1):
        about = site / f"{module}{number}-1.{number}.dist-info"
        about.mkdir()
        requires = f"Requires-Dist: {words['requires']}\n" if "requires" in words else ""
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: sample{number}\nVersion: 1.{number}\n{requires}")
        group = words.get("group", "dayfile.plugins")
        (about / "entry_points.txt").write_text("\n".join([f"[{group}]", *entries]))


def test_there_are_plugins_with_mistakes():
    assert len(PLUGINS) >= 20


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_the_doctor_finds_every_mistake_of_a_plugin_and_says_what_helps(path, tmp_path, monkeypatch, command_here):
    comments = COMMENT.findall(path.read_text(encoding="utf-8"))
    words = {word: text.strip() for word, text in comments}
    expected = [text.strip() for word, text in comments if word == "expect"]
    fixes = [text.strip() for word, text in comments if word == "fix"]
    install(path, tmp_path, words)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    done = command_here("dayfile", "plugins", "doctor", "--json", archive=None)
    examined = {each["name"]: each for each in json.loads(done.out)}
    found = examined[words["name"]]["findings"]
    assert done.code == 3
    assert len(found) == len(expected), found
    for part, fix in zip(expected, fixes, strict=True):
        assert any(part in each["problem"] and fix in each["fix"] for each in found), found
    assert [name for name, each in examined.items() if each["findings"]] == [words["name"]]
    assert examined.keys() >= OTHERS
