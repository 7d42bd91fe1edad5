"""What the environment of a command says of threads and of the locale."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("name", "value"),
    [("NUMEXPR_MAX_THREADS", "abc"), ("NUMEXPR_MAX_THREADS", ""), ("NUMEXPR_NUM_THREADS", "0")],
)
def test_a_number_of_threads_that_is_none_ends_every_command_in_one_line(archive_run, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    for program, words in (("dayfile", ["ls"]), ("archive-run", [])):
        done = archive_run(*words, command=program)
        message = f"dayfile: {name}: this environment variable is {value!r} and must be a whole number from 1 on"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{message}; correct or unset it\n")


@pytest.mark.parametrize("value", ["4,2", "2", "", "many"])
def test_any_number_of_threads_for_openmp_lets_commands_work(archive_run, monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert archive_run("init", "archive", command="dayfile").returncode == 0
    done = archive_run("ls", command="dayfile")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_path_that_is_not_ascii_works_in_the_posix_locale_and_without_utf8_says_what_to_set(archive_run, monkeypatch):
    monkeypatch.setenv("LC_ALL", "POSIX")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    assert archive_run("--archive", "größe").returncode == 0
    assert archive_run("check", "--archive", "größe", command="dayfile").returncode == 0
    monkeypatch.setenv("PYTHONUTF8", "0")
    done = archive_run("--archive", "neue-größe")
    assert (done.returncode, "set LC_ALL=C.UTF-8" in done.stderr, len(done.stderr.splitlines())) == (2, True, 1)
