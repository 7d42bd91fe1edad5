"""Where input that cannot be archived is kept, whole, with the reason."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from dayfile.archive import disk

__all__ = ["Quarantine"]

REASON = "reason.json"


class Quarantine:
    """The directory of an archive with one entry, ``<date>-<short id>/``, for each thing that was set aside.

    Parameters
    ----------
    path : Path
        The directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, content: bytes, reason: dict[str, Any]) -> Path:
        """Keep bytes with the reason; bytes that are there already are not kept twice.

        Parameters
        ----------
        name : str
            File name under which a run would recognise the bytes as a source again.
        content : bytes
            The source, or the records of it that could not be archived.
        reason : dict
            What went wrong; written as JSON.

        Returns
        -------
        Path
            The entry's directory.
        """
        short = hashlib.sha256(content + name.encode(errors="replace")).hexdigest()[:12]
        for entry in sorted(self.path.glob(f"*-{short}")):
            return entry
        now = dt.datetime.now(dt.UTC)
        making = self.path / f".{short}"
        if making.exists():
            shutil.rmtree(making)
        disk.make_directory(making)
        disk.write(making / (Path(name).name or "source"), content)
        told = {"time": now.isoformat(timespec="seconds"), "sha256": hashlib.sha256(content).hexdigest(), **reason}
        disk.write(making / REASON, json.dumps(told, indent=2, ensure_ascii=False).encode())
        disk.sync(making)
        entry = self.path / f"{now:%Y-%m-%d}-{short}"
        disk.rename(making, entry)
        return entry
