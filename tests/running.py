"""Programs in processes of their own, and waiting for what they do: the one home of both, for all tests."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from unittest import mock

PATIENCE = 300.0
"""Seconds after which what is waited for will not come; a busy machine is slow."""
PROGRAMS = ("archive-run", "dayfile")
TESTS = Path(__file__).parent
"""Where scripts find the modules that tests share: ``run_python("-c", SCRIPT, paths=[TESTS])``."""

Result = TypeVar("Result")


# ---- Waiting


def until(true: Callable[[], Result], seconds: float = PATIENCE) -> Result:
    """Wait until a condition is true, and return what it returned."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)
    return found


def find_free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def is_listening(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def list_open_files(directory: Path) -> list[Path]:
    """Return the files of a directory that this process has open, as Linux lists them."""
    held = (path.resolve() for path in Path("/proc/self/fd").iterdir())
    return [path for path in held if path.is_relative_to(directory.resolve())]


def read_holder(archive: Path) -> int | None:
    """Return the process that holds the lock of an archive; None if no process is named."""
    with suppress(OSError, ValueError):
        return json.loads((archive / ".lock.json").read_text())["process"]
    return None


# ---- Commands


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @classmethod
    def of(cls, process: subprocess.CompletedProcess[str]) -> Done:
        """Return the same of a process that ended."""
        return cls(process.returncode, process.stdout, process.stderr)


def find_program(name: str) -> str:
    """Return the path of ``dayfile`` or ``archive-run`` as it is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def make_command(words: Iterable[object]) -> list[str]:
    """Return the words of a command, with the path of the program if it is one of ours."""
    program, *arguments = map(str, words)
    return [find_program(program) if program in PROGRAMS else program, *arguments]


def make_environment(further: Mapping[str, str] | None, paths: Iterable[object] = ()) -> dict[str, str]:
    """Return the environment with further variables, and with further directories for Python to import from."""
    known = os.environ.get("PYTHONPATH")
    search = [*map(str, paths), *([known] if known else [])]
    return {**os.environ, **({"PYTHONPATH": os.pathsep.join(search)} if search else {}), **(further or {})}


def run_command(
    *words: object, environment: Mapping[str, str] | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with options of subprocess.run: ``run_command("dayfile", "ls", cwd=directory)``."""
    chosen = {"capture_output": True, "text": True, "check": False, "timeout": PATIENCE, **options}
    return subprocess.run(make_command(words), env=make_environment(environment), **chosen)  # noqa: PLW1510


def run_python(
    *arguments: object,
    paths: Iterable[object] = (),
    environment: Mapping[str, str] | None = None,
    **options: object,
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, with further directories to import from: ``run_python("-c", SCRIPT, directory)``."""
    return run_command(sys.executable, *arguments, environment=make_environment(environment, paths), **options)


def call_command(*words: object) -> Done:
    """Run one of our commands in this process, as its entry point does: ``call_command("dayfile", "ls")``."""
    from dayfile import cli

    programs = {"archive-run": cli.archive_run, "dayfile": cli.main}
    out, err, code = io.StringIO(), io.StringIO(), 0
    with mock.patch.object(sys, "argv", [*map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            programs[words[0]]()
        except SystemExit as end:
            code = end.code
    return Done(code or 0, out.getvalue(), err.getvalue())


# ---- Processes that go on


def start_command(
    *words: object, log: Path, environment: Mapping[str, str] | None = None, **options: object
) -> subprocess.Popen[bytes]:
    """Start a command whose output goes to the end of a file."""
    with log.open("a") as output:
        return subprocess.Popen(
            make_command(words), stdout=output, stderr=output, env=make_environment(environment), **options
        )


def start_script(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python script that the test talks to: it writes what the script reads, and reads what it prints."""
    words = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen) -> None:
    """Kill a process, and wait for its end."""
    process.kill()
    process.communicate()


def stop(process: subprocess.Popen, patience: float = PATIENCE) -> int:
    """Stop a process as a user does, or kill it if it does not listen; return its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def run_script(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a Python script until the end of the block, from when it has printed its first line."""
    process = start_script(script, *arguments)
    try:
        assert process.stdout.readline(), "it ended before it began"
        yield process
    finally:
        kill(process)


class Server:
    """A process that listens on a port of this machine; it is made once it listens.

    Parameters
    ----------
    *words : object
        The command.
    port : int
        Where it will listen.
    log : Path
        The file for its output.
    environment : mapping of str to str, optional
        Further variables.
    patience : float
        Seconds that anything may take.
    """

    def __init__(
        self,
        *words: object,
        port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.port, self.log, self.patience = port, log, patience
        log.write_bytes(b"")
        self.process = start_command(*words, log=log, environment=environment)
        until(lambda: self.listens or self.process.poll() is not None, patience)
        assert self.process.poll() is None, log.read_text()

    @property
    def listens(self) -> bool:
        """Whether it listens."""
        return is_listening(self.port)

    def ask(
        self,
        body: bytes = b"",
        path: str = "/",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request; return the answer, and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, self.patience, (source, 0))
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        """Open a connection, and send the beginning of something."""
        connection = socket.create_connection(("127.0.0.1", self.port), self.patience, (source, 0))
        with suppress(ConnectionError):
            connection.sendall(sent)
        return connection

    def stop(self) -> int:
        """Stop it, and return its exit code."""
        return stop(self.process, self.patience)
