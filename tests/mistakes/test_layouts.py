"""Typical mistakes in layouts: each is reported at its line with what would be right, and nothing else is.

To add one, put a layout with the mistake into ``layouts/``, with ``# expect: part of the message`` on its line, once
for each mistake of the line.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

LAYOUTS = sorted((Path(__file__).parent / "layouts").glob("*.yaml"))
MARK = "# expect:"


def read_expected(path):
    """Read the expected complaints of a layout: line and part of the message."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        yield from ((number, part.strip()) for part in line.split(MARK)[1:])


def test_there_are_layouts_with_mistakes():
    assert sum(len(list(read_expected(path))) for path in LAYOUTS) >= 60


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.stem)
def test_every_mistake_of_a_layout_is_reported_at_its_line_with_what_would_be_right(path, command_here):
    expected = list(read_expected(path))
    done = command_here("dayfile", "layout", "check", path, archive=None)
    complaints = [line.removeprefix(f"{path}:") for line in done.out.splitlines()]
    found = [(int(line.split(":")[0]), line) for line in complaints]
    assert done.code == 2
    assert Counter(line for line, _ in found) == Counter(line for line, _ in expected), done.out
    for line, part in expected:
        assert any(line == place and part in message for place, message in found), f"{line}: {part}\n{done.out}"
