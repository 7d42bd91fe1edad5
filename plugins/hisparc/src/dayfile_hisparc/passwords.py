"""Passwords of stations: in clear or hashed, compared in constant time, with limits on the cost of guessing.

A hash is slow to compute on purpose (600,000 rounds, some tenths of a second), so guessing makes the server work. Three
measures limit that:

- Once the right password of a station was used, a keyed digest of it is kept in memory. From then on neither it nor a
  wrong one is hashed.
- Hashes are computed one at a time in a thread of their own with a low priority, and uploads do not wait for it.
- Waiting passwords take turns by station, and within a station by how often their address was wrong before. If too many
  wait, the last ones are answered as wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from dayfile.renamed import keep_old_names

__all__ = ["LIMITED", "Guesses", "HashingQueue", "Proofs", "Verdict", "hash_password", "is_hashed"]

__getattr__ = keep_old_names(__name__, {"hashed": "hash_password"})
SCHEME = "pbkdf2_sha256"
ROUNDS = 600_000
MOST_DIGITS = 9
LOW_PRIORITY = 5
FORGIVEN = 300.0
"""Seconds after which wrong passwords of an address are forgotten."""
LIMITED = 5
"""Wrong passwords after which an address is limited for a station."""
REMEMBERED = 10_000
"""Pairs of address and station for which wrong passwords are counted."""
WAITING = 64
"""Passwords that may wait to be hashed."""


def hash_password(password: str) -> str:
    """Hash a password for the station list: PBKDF2-HMAC-SHA-256 with a random salt.

    Examples
    --------
    >>> hash_password("secret").startswith("pbkdf2_sha256$600000$")
    True
    """
    salt = secrets.token_hex(16)
    return f"{SCHEME}${ROUNDS}${salt}${derive(password, salt, ROUNDS)}"


def is_hashed(stored: str) -> bool:
    """Return whether a password in a station list is a hash, as :func:`hash_password` makes them."""
    scheme, _, rest = stored.partition("$")
    return scheme == SCHEME and rest.count("$") == 2


def derive(password: str, salt: str, rounds: int) -> str:
    """Derive the digest of a hashed password."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(errors="replace"), rounds).hex()


class Verdict(Enum):
    """The result of comparing a password."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "must be hashed"


class Proofs:
    """The passwords that were right once, as digests with a key of this process.

    They are stored by the entry in the list, so a changed list makes no old password right.
    """

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.right: dict[str, bytes] = {}

    def judge(self, stored: str, password: str) -> Verdict:
        """Compare a password with a stored one, in constant time and without hashing."""
        if not is_hashed(stored):
            same = hmac.compare_digest(stored.encode(errors="replace"), password.encode(errors="replace"))
            return Verdict.RIGHT if same else Verdict.WRONG
        if stored not in self.right:
            return Verdict.UNKNOWN
        same = hmac.compare_digest(self.right[stored], self._digest(password))
        return Verdict.RIGHT if same else Verdict.WRONG

    def prove(self, stored: str, password: str) -> Verdict:
        """Hash a password, and remember it if it is right."""
        rounds, salt, kept = stored.split("$")[1:]
        if not rounds.isdecimal() or len(rounds) > MOST_DIGITS or not int(rounds):
            return Verdict.WRONG
        right = hmac.compare_digest(derive(password, salt, int(rounds)).encode(), kept.encode(errors="replace"))
        if right:
            self.right[stored] = self._digest(password)
        return Verdict.RIGHT if right else Verdict.WRONG

    def keep(self, stored: set[str]) -> None:
        """Forget passwords that are no longer in the list."""
        self.right = {known: digest for known, digest in self.right.items() if known in stored}

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self.key, password.encode(errors="replace"), "sha256")


class Guesses:
    """Counts of recent wrong passwords by address and station.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.wrong: OrderedDict[tuple[str, int], tuple[int, float]] = OrderedDict()
        self.lock = threading.Lock()

    def count(self, address: str, station: int) -> int:
        """Return how often an address was wrong; 0 for an empty address."""
        number, last = self.wrong.get((address, station), (0, 0.0))
        return number if self.clock() - last < FORGIVEN else 0

    def note(self, address: str, station: int) -> None:
        """Count a wrong password of an address (empty: of this machine or a proxy, not counted)."""
        if not address:
            return
        with self.lock:
            number = self.count(address, station) + 1
            self.wrong[address, station] = (number, self.clock())
            self.wrong.move_to_end((address, station))
            if len(self.wrong) > REMEMBERED:
                self.wrong.popitem(last=False)

    def forget(self, address: str, station: int) -> None:
        """Reset the count of an address that has the right password."""
        with self.lock:
            self.wrong.pop((address, station), None)


@dataclass(eq=False)
class Waiting:
    """A password that waits to be hashed.

    Parameters
    ----------
    station : int
        Number of the station.
    stored, password : str
        The entry of the list, and the password that was sent.
    wrong : int
        How often its address was wrong before.
    size : int
        Bytes of its upload, which are in memory meanwhile.
    done : Future
        The verdict; UNKNOWN if the queue was full.
    """

    station: int
    stored: str
    password: str = field(repr=False)
    wrong: int
    size: int
    done: asyncio.Future[Verdict]


class HashingQueue:
    """The queue of passwords to hash in a server: one at a time, in a separate thread.

    Parameters
    ----------
    proofs : Proofs
        The proofs of the station list.
    most_bytes : int
        Total bytes of waiting uploads, if there are several.
    """

    def __init__(self, proofs: Proofs, most_bytes: int) -> None:
        self.proofs = proofs
        self.most_bytes = most_bytes
        self.lanes: OrderedDict[int, list[Waiting]] = OrderedDict()
        self.hashing: asyncio.Task[None] | None = None
        self.thread: ThreadPoolExecutor | None = None

    async def ask(self, station: int, stored: str, password: str, wrong: int, size: int) -> Verdict:
        """Return whether a password is right; UNKNOWN if too many wait, and it was not compared."""
        done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.lanes.setdefault(station, []).append(Waiting(station, stored, password, wrong, size, done))
        self._shorten()
        if self.hashing is None or self.hashing.done():
            self.hashing = asyncio.create_task(self._work())
        return await done

    def _shorten(self) -> None:
        """Remove the last of the longest lane while too many wait."""
        while (waiting := [one for lane in self.lanes.values() for one in lane]) and (
            len(waiting) > WAITING or (len(waiting) > 1 and sum(one.size for one in waiting) > self.most_bytes)
        ):
            if len(waiting) > WAITING:
                lane = max(self.lanes.values(), key=len)
                last = max(lane, key=lambda one: one.wrong)  # the oldest of those
            else:
                last = max(waiting, key=lambda one: (one.size, one.wrong))
            self._remove(last)
            if not last.done.done():
                last.done.set_result(Verdict.UNKNOWN)

    def _take_next(self) -> Waiting:
        """Take the next of the station whose turn it is: the one with the fewest wrong passwords, then the newest.

        The newest, as persistent guessers are already waiting when somebody else comes.
        """
        station, lane = next(iter(self.lanes.items()))
        least = min(one.wrong for one in lane)
        chosen = next(one for one in reversed(lane) if one.wrong == least)
        self.lanes.move_to_end(station)
        self._remove(chosen)
        return chosen

    def _remove(self, one: Waiting) -> None:
        lane = self.lanes[one.station]
        lane.remove(one)
        if not lane:
            del self.lanes[one.station]

    async def _work(self) -> None:
        """Hash the waiting passwords."""
        loop = asyncio.get_running_loop()
        if self.thread is None:
            self.thread = ThreadPoolExecutor(1, "hashing", initializer=lower_priority)
        while self.lanes:
            one = self._take_next()
            verdict = self.proofs.judge(one.stored, one.password)
            if verdict is Verdict.UNKNOWN:  # otherwise the station's password was proved meanwhile
                verdict = await loop.run_in_executor(self.thread, self.proofs.prove, one.stored, one.password)
            if not one.done.done():
                one.done.set_result(verdict)


def lower_priority() -> None:
    """Lower the priority of this thread: Linux has one for each thread."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)
