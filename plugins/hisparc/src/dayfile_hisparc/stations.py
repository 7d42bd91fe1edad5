"""The list of stations that may upload: a CSV file without header, with number, cluster and password.

Empty lines are skipped, CSV quoting works, fields are not stripped, and the last row of a repeated number counts, as in
the datastore that this plugin replaces. There, one bad row locked out every station after it; here only itself.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import secrets
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dayfile.archive import disk
from dayfile.errors import SettingsError
from dayfile.messages import plural
from dayfile.renamed import keep_old_names
from dayfile_hisparc.passwords import Proofs, hash_password, is_hashed

__all__ = ["Station", "StationList", "hash_password", "open_list", "replace_list"]

__getattr__ = keep_old_names(__name__, {"hashed": "hash_password"})

logger = logging.getLogger(__name__)

PRIVATE = 0o600
LARGEST = 2**31
LONGEST = 100  # characters; Python reads integers of 4300 digits at most


@dataclass(frozen=True)
class Station:
    """One row of the list.

    Parameters
    ----------
    number : int
        Number of the station.
    cluster : str
        Its cluster, as spelt in the list.
    password : str
        Never shown. In clear, or hashed by :func:`dayfile_hisparc.passwords.hash_password`.
    """

    number: int
    cluster: str
    password: str = field(repr=False)

    @property
    def stored_cluster(self) -> str:
        """Return the cluster as stored in a queue file: with a question mark for anything that is not UTF-8."""
        return self.cluster.encode(errors="replace").decode()


class StationList:
    """The list in a file, read again when the file changes.

    Parameters
    ----------
    path : Path
        The CSV file.

    Raises
    ------
    SettingsError
        It cannot be read at the start. Later, the old list is kept and the error is logged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stations: dict[int, Station] = {}
        self.problems: list[str] = []
        self.seen: tuple[int, int, int] | None = None
        self.lock = threading.Lock()
        self.proofs = Proofs()
        try:
            self._refresh()
        except OSError as error:
            raise SettingsError(f"the station list cannot be read: {error.strerror}", where=path) from error

    def find(self, number: int) -> Station | None:
        """Find the station of a number; None if it is not in the list."""
        with self.lock:
            try:
                self._refresh()
            except OSError as error:
                logger.error("station list %s cannot be read (%s); keeping the last one", self.path, error.strerror)  # noqa: TRY400 - no traceback
            return self.stations.get(number)

    def _refresh(self) -> None:
        found = self.path.stat()
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        if state == self.seen:
            return
        # A byte order mark does not belong to the first row.
        self.stations, self.problems = parse_list(self.path.read_text(encoding="utf-8-sig", errors="surrogateescape"))
        self.seen = state
        self.proofs.keep({station.password for station in self.stations.values()})
        for problem in self.problems:
            logger.warning("station list %s: %s", self.path, problem)
        logger.info("station list %s; stations: %d", self.path, len(self.stations))


def open_list(path: Path | None) -> StationList:
    """Open the list that the settings name.

    Raises
    ------
    SettingsError
        They do not name one, or it cannot be read.
    """
    if path is None:
        raise SettingsError("set hisparc.station_list to the station list, or give the datastore's config.ini")
    return StationList(path)


def parse_list(text: str) -> tuple[dict[int, Station], list[str]]:
    r"""Parse the stations of a list, by number, and describe what is wrong with other rows (without passwords).

    Examples
    --------
    >>> parse_list("501,Amsterdam,secret\nx,Aarhus,y\n")[1]
    ['line 2: the first field is not a station number; this row is left out']
    """
    stations: dict[int, Station] = {}
    lines: dict[int, int] = {}
    problems = []
    # Line by line, so that an open quote loses only its own row.
    for line, row_text in enumerate(io.StringIO(text, newline=None), 1):
        if row_text == "\n":
            continue
        try:
            (row,) = csv.reader([row_text.removesuffix("\n")], strict=True)
        except (csv.Error, ValueError):
            problems.append(f"line {line}: this is not CSV; this row is left out")
            continue
        if len(row) != 3:
            problems.append(
                f"line {line}: {plural(len(row), 'field')}, not number, cluster and password; this row is left out"
            )
        elif not row[0].strip().isascii() or not row[0].strip().isdigit():
            problems.append(f"line {line}: the first field is not a station number; this row is left out")
        elif len(row[0]) > LONGEST or int(row[0]) >= LARGEST:
            problems.append(f"line {line}: the station number has more than 31 bits; this row is left out")
        else:
            number = int(row[0])
            if number in stations:
                problems.append(f"line {line}: station {number} is in line {lines[number]} too; this row counts")
            stations[number], lines[number] = Station(number, row[1], row[2]), line
            if not is_hashed(row[2]) and {":", "$"} & set(row[2]):
                problems.append(f"line {line}: the password looks like a hash of an unknown kind; it is taken as it is")
    return stations, problems


def replace_list(path: Path, content: bytes) -> None:
    """Replace the list in one step, keeping mode, owner and group of the old file.

    Nobody else can read the file until it has the group of the old one; if that cannot be set, it has no permissions
    for a group. If the path is a link, the file it leads to is replaced.
    """
    target = path.resolve()
    making = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with disk.storage_errors("write", making):
        old = target.stat() if target.exists() else None
        os.close(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    try:
        disk.append(making, content)
        if old is not None:
            keep_access(making, old)
        disk.rename(making, target)
    except BaseException:
        making.unlink(missing_ok=True)
        raise


def keep_access(path: Path, old: os.stat_result) -> None:
    """Give a new file the owner, group and mode of another one, as far as this user may."""
    with disk.storage_errors("give the mode of the old one to", path):
        mode = stat.S_IMODE(old.st_mode)
        with suppress(PermissionError):
            os.chown(path, -1, old.st_gid)
        if path.stat().st_gid != old.st_gid:
            mode &= ~stat.S_IRWXG
        with suppress(PermissionError):
            os.chown(path, old.st_uid, -1)
        path.chmod(mode)
