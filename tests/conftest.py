"""What tests of all instruments share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

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
    import subprocess
    import sys

    def run(*arguments: object, command: str = "archive-run"):
        program = Path(sys.executable).with_name(command)
        return subprocess.run(
            [str(program), *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path, check=False
        )

    return run


@pytest.fixture
def plain_user(monkeypatch) -> Iterator[Path]:
    """Work as somebody to whom permissions apply, root or not: an empty working directory of their own.

    Programs that the test starts have no power over permissions either.
    """
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
