"""The station list: who may upload. A CSV file without header: number, cluster, password.

Empty lines are skipped, CSV quoting works, fields are not stripped, of a number listed twice the last row counts: as in
the datastore this plugin replaces. There, one bad row locked out every station after it; here it costs that row.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import logging
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from dayfile.archive import disk
from dayfile.errors import SettingsError
from dayfile.messages import plural

__all__ = ["Station", "StationList", "hashed", "replace_list"]

logger = logging.getLogger(__name__)

SCHEME = "pbkdf2_sha256"
ROUNDS = 600_000
LARGEST = 2**31
LONGEST = 100  # characters; Python reads integers of 4300 digits at most


@dataclass(frozen=True)
class Station:
    """One row of the list.

    Parameters
    ----------
    number : int
        Of the station.
    cluster : str
        As spelt in the list.
    password : str
        In clear, or hashed by :func:`hashed`.
    """

    number: int
    cluster: str
    password: str

    @property
    def stored_cluster(self) -> str:
        """The cluster as a queue file has it: what is no UTF-8 in the list is a question mark."""
        return self.cluster.encode(errors="replace").decode()


def hashed(password: str) -> str:
    """A password in the form in which the list may keep it: PBKDF2-HMAC-SHA-256 with a salt of its own.

    Examples
    --------
    >>> hashed("secret").startswith("pbkdf2_sha256$600000$")
    True
    """
    salt = secrets.token_hex(16)
    return f"{SCHEME}${ROUNDS}${salt}${derived(password, salt, ROUNDS)}"


def derived(password: str, salt: str, rounds: int) -> str:
    """What a hashed password keeps of the password."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), rounds).hex()


class StationList:
    """The list in a file, read again when the file changes.

    Parameters
    ----------
    path : Path
        The CSV file.

    Raises
    ------
    SettingsError
        It cannot be read at the start. Later, the list stays as it was and the failure is logged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stations: dict[int, Station] = {}
        self.problems: list[str] = []
        self.seen: tuple[int, int, int] | None = None
        self.lock = threading.Lock()
        # A hashed password takes a tenth of a second to check: what was right once is known by a key of this process.
        self.key = secrets.token_bytes(32)
        self.proved: dict[Station, bytes] = {}
        try:
            self._refresh()
        except OSError as error:
            raise SettingsError(f"the station list cannot be read: {error.strerror}", where=path) from error

    def find(self, number: int) -> Station | None:
        """The station of that number; None if the list has none."""
        with self.lock:
            try:
                self._refresh()
            except OSError as error:
                logger.error("station list %s cannot be read (%s); the last one stays", self.path, error.strerror)  # noqa: TRY400 - no traceback
            return self.stations.get(number)

    def admits(self, station: Station, password: str) -> bool:
        """Whether it is the station's password, compared in constant time."""
        scheme, _, rest = station.password.partition("$")
        if scheme != SCHEME or rest.count("$") != 2:
            return hmac.compare_digest(station.password.encode(errors="replace"), password.encode(errors="replace"))
        tag = hmac.digest(self.key, password.encode(errors="replace"), "sha256")
        if hmac.compare_digest(self.proved.get(station, b""), tag):
            return True
        rounds, salt, kept = rest.split("$")
        good = rounds.isdigit() and hmac.compare_digest(derived(password, salt, int(rounds)), kept)
        if good:
            self.proved[station] = tag
        return good

    def _refresh(self) -> None:
        told = self.path.stat()
        state = (told.st_mtime_ns, told.st_size, told.st_ino)
        if state == self.seen:
            return
        # A byte order mark is no part of the first row.
        self.stations, self.problems = parsed(self.path.read_text(encoding="utf-8-sig", errors="surrogateescape"))
        self.seen = state
        self.proved.clear()
        for problem in self.problems:
            logger.warning("station list %s: %s", self.path, problem)
        logger.info("station list %s; stations: %d", self.path, len(self.stations))


def parsed(text: str) -> tuple[dict[int, Station], list[str]]:
    r"""The stations of a list by number, and what is wrong with other rows (never a password).

    Examples
    --------
    >>> parsed("501,Amsterdam,secret\nx,Aarhus,y\n")[1]
    ["line 2: 'x' is no station number; this row is left out"]
    """
    stations: dict[int, Station] = {}
    problems = []
    # Line by line, so that an open quote costs its own row and not all that follow.
    for line, row_text in enumerate(io.StringIO(text, newline=None), 1):
        if row_text == "\n":
            continue
        try:
            (row,) = csv.reader([row_text.removesuffix("\n")], strict=True)
        except (csv.Error, ValueError):
            problems.append(f"line {line}: this is no CSV; this row is left out")
            continue
        if len(row) != 3:
            problems.append(
                f"line {line}: {plural(len(row), 'field')}, not number, cluster and password; this row is left out"
            )
        elif not row[0].strip().isascii() or not row[0].strip().isdigit():
            problems.append(f"line {line}: {row[0][:20]!r} is no station number; this row is left out")
        elif len(row[0]) > LONGEST or int(row[0]) >= LARGEST:
            problems.append(f"line {line}: station number {row[0][:20]} has more than 31 bits; this row is left out")
        else:
            stations[int(row[0])] = Station(int(row[0]), row[1], row[2])
    return stations, problems


def replace_list(path: Path, content: bytes) -> None:
    """Put a new list in place of the old one, in one step."""
    making = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    disk.write(making, content)
    disk.rename(making, path)
