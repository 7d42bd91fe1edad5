"""What tests of all instruments share."""

from __future__ import annotations

import os
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
