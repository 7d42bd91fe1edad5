"""What tests of all instruments share."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from dayfile import discovery, hookimpl
from dayfile.errors import SettingsError, StorageError

# Tests import what they share from modules beside this one, however pytest is started.
sys.path.insert(0, str(Path(__file__).parent))

from running import Done, run_command

# A promise that is kept slowly is kept: no example has to be done within a time.
settings.register_profile("dayfile", deadline=None)
settings.load_profile("dayfile")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real and sample input that is not part of the project; tests that want it skip without it.

    Below ``DAYFILE_SAMPLES``, or in ``shared/data`` beside the checkout.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("DAYFILE_SAMPLES", beside))
    if not path.is_dir():
        pytest.skip("no sample data (set DAYFILE_SAMPLES)")
    return path


@pytest.fixture
def archive_run(tmp_path: Path):
    """Run ``archive-run`` as a user does: its exit code, standard output and standard error."""

    def run(*arguments: object, command: str = "archive-run"):
        return run_command(command, *arguments, cwd=tmp_path)

    return run


@pytest.fixture
def command_here(monkeypatch, capsys):
    """Call ``archive-run`` or ``dayfile`` in this process, in the working directory; as ``command``."""
    from dayfile import cli

    monkeypatch.setenv("DAYFILE_WATCH__SETTLE", "0")
    programs = {"archive-run": cli.archive_run, "dayfile": cli.main}

    def call(program: str, *words: object, archive: object = "archive") -> Done:
        where = [] if archive is None else ["--archive", str(archive)]
        monkeypatch.setattr(sys, "argv", [program, *map(str, words), *where])
        with pytest.raises(SystemExit) as ended:
            programs[program]()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Done(ended.value.code or 0, printed.out, printed.err)

    logger = logging.getLogger()
    before, level = list(logger.handlers), logger.level
    yield call
    for handler in [handler for handler in logger.handlers if handler not in before]:
        logger.removeHandler(handler)  # it writes to what pytest closes after the test
        handler.close()
    logger.setLevel(level)


@pytest.fixture
def command(tmp_path, monkeypatch, command_here):
    """Call ``archive-run`` or ``dayfile`` in this process, in an empty directory: ``command("dayfile", "check")``.

    The archive is ``archive`` there, unless it is named; no command may end in a traceback.
    """
    monkeypatch.chdir(tmp_path)
    return command_here


def drop_powers() -> None:
    """Let permissions apply to what this process starts, also where it is root's (Linux capabilities)."""
    for capability in (1, 2, 3):  # DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture
def plain_command(tmp_path, monkeypatch):
    """As ``command``, in a process of its own to which permissions apply, root's or not."""
    monkeypatch.chdir(tmp_path)

    def call(program: str, *words: object, archive: object = "archive") -> Done:
        where = [] if archive is None else ["--archive", str(archive)]
        settle = {"DAYFILE_WATCH__SETTLE": "0"}
        done = Done.of(run_command(program, *words, *where, preexec_fn=drop_powers, environment=settle))
        assert "Traceback" not in done.err
        return done

    yield call
    for here, below, files in os.walk(tmp_path):
        for name in (*below, *files):
            if not Path(here, name).is_symlink():
                Path(here, name).chmod(0o700)


@pytest.fixture
def plain_user(monkeypatch) -> Iterator[Path]:
    """Work as somebody to whom permissions apply, root or not: an empty working directory of their own."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    monkeypatch.chdir(directory)
    me = os.geteuid()
    try:
        os.seteuid(me or 65534)
    except OSError as error:
        pytest.skip(f"root cannot be anybody else here ({error})")
    yield directory
    os.seteuid(me)
    for here, below, _ in os.walk(directory):
        for name in below:
            Path(here, name).chmod(0o700)
    shutil.rmtree(directory)


@pytest.fixture
def install(monkeypatch):
    """Install plugins, for what loads them itself: ``install(make_plugins(muon=plugin))``."""

    def put_in_place(loaded):
        monkeypatch.setattr(discovery, "load", lambda _names=None: loaded)
        monkeypatch.setattr(discovery, "installed", lambda: {name: [] for name in loaded.names})

    return put_in_place


@dataclass(frozen=True)
class Said:
    """A command that ended: its exit code, and all that it printed."""

    exit_code: int
    output: str


@pytest.fixture
def command_with(command_here, install):
    """Run a command with these plugins installed."""

    def run(loaded, *words):
        install(loaded)
        done = command_here("dayfile", *words, archive=None)
        return Said(done.code, done.out + done.err)

    return run


# ---- plugins with bad manners


class Leaving(BaseException):
    """What no ``except Exception`` catches."""


def raises(error):
    """Make a hook that raises."""

    def misbehave():
        raise error

    return misbehave


def half_way():
    """Give nothing, and raise."""
    yield from ()
    raise RuntimeError("boom")


MANNERS = {
    "raises": raises(RuntimeError("boom")),
    "exits": raises(SystemExit(0)),
    "raises what no Exception is": raises(Leaving()),
    "raises StorageError": raises(StorageError("no disk")),
    "raises SettingsError": raises(SettingsError("not set")),
    "answers a number": lambda: 17,
    "answers a text": lambda: "fits",
    "answers a path outside": lambda: "../x.h5",
    "answers nothing": lambda: (),
    "raises half way": half_way,
}
ARGUMENTS = {
    "classify": "batch",
    "locate_file": "data_type, day",
    "write": "work_file, data_type, batch",
    "encode": "data_type, records",
    "export_formats": "data_type",
    "export": "data_type, day, directory",
    "read_config": "path",
    "routes": "root, settings",
    "simulate": "day, seed, directory",
    "send": "url",
}


@pytest.fixture(params=MANNERS)
def manners(request):
    """Names of what an offender does, one after the other."""
    return request.param


@pytest.fixture
def offender():
    """Make a plugin that misbehaves in some hooks, whoever it is asked about: ``offender(manners, *hooks)``."""

    def make(manners, *hooks, **other):
        misbehave = MANNERS[manners] if isinstance(manners, str) else manners
        for hook in hooks:
            function = eval(f"lambda self, {ARGUMENTS[hook]}: misbehave()", {"misbehave": misbehave})  # noqa: S307
            other[hook] = hookimpl(function)
        return type("Offender", (), other)()

    return make


FIRST_FORM = """
CREATE TABLE day_files (
    path TEXT NOT NULL,
    data_type TEXT NOT NULL,
    day TEXT NOT NULL,
    records INTEGER NOT NULL,
    first INTEGER,
    last INTEGER,
    PRIMARY KEY (path, data_type)
) WITHOUT ROWID;
CREATE TABLE publishing (path TEXT PRIMARY KEY, day TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX day_files_by_type ON day_files (data_type, day);
CREATE TABLE digests (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    taken INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE losses (
    path TEXT NOT NULL,
    data_type TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (path, data_type)
) WITHOUT ROWID;
INSERT INTO day_files SELECT * FROM now.types;
INSERT INTO publishing SELECT * FROM now.publishing;
INSERT INTO digests SELECT * FROM now.digests;
INSERT INTO losses SELECT * FROM now.losses;
"""


@pytest.fixture(scope="session")
def make_first_form():
    """Replace a catalogue by one of the first form, made by the statements of the version that wrote such."""

    def make(path):
        old = path.with_name("first.db")
        connection = sqlite3.connect(old, isolation_level=None)
        connection.execute("ATTACH ? AS now", (str(path),))
        connection.executescript(FIRST_FORM)
        connection.close()
        old.replace(path)

    return make
