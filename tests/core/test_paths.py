"""Paths of the command line that may not be read: the message is the archive's, with its exit code."""

from __future__ import annotations

import logging.handlers  # noqa: F401 - who gave up root's powers may not be able to import it later
import os

import pytest

import dayfile.engine.processes
import dayfile.engine.watch
import dayfile.logs
import dayfile.serving.application  # noqa: F401 - as above

NOBODY = 65534


@pytest.fixture
def closed(plain_user):
    """A directory that may not be read by this user, who is not root in any way: access(2) asks for the real id."""
    directory = plain_user / "closed"
    directory.mkdir(mode=0)
    before = os.getresuid()
    if before[0] == 0:
        os.setresuid(NOBODY, NOBODY, 0)
    yield directory
    if before[0] == 0:
        os.setresuid(*before)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("archive-run -a {}", 4),
        ("archive-run --watch -a {}", 4),
        ("archive-run --config {} -a archive", 2),
        ("dayfile status -a {}", 4),
        ("dayfile check -a {}", 4),
        ("dayfile reindex -a {}", 4),
        ("dayfile rebuild x.h5 -a {}", 4),
        ("dayfile init {}", 4),
        ("dayfile adopt {}", 4),
        ("dayfile ls -a {}", 4),
        ("dayfile coverage muon.hits -a {}", 4),
        ("dayfile gaps muon.hits -a {}", 4),
        ("dayfile export muon.hits --day 2024-05-01 -o x.csv -a {}", 4),
        ("dayfile plot muon.hits -o x.png -a {}", 4),
        ("dayfile quarantine ls -a {}", 4),
        ("dayfile serve -a {}", 4),
        ("dayfile info -a {}", 4),
        ("dayfile selftest --kill 1 --scratch {}", 2),
    ],
)
def test_a_directory_that_may_not_be_read_is_named_by_what_needs_it(closed, command_here, words, code):
    program, *rest = words.format(closed, closed).split()
    done = command_here(program, *rest, archive=None)
    assert (done.code, "is not readable; see" in done.err, str(closed) in done.err) == (code, False, True)
