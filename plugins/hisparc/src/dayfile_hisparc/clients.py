"""Sample stations that upload to a server, as the two real clients do.

Station software keeps its events until 100 are pending and sends at most 1000 at once, pickled by protocol 0. An answer
that is not exactly ``100`` brings the same batch again after 2^n seconds, at most 60, where n counts failures in a row.
pysparc sends showers and configurations, one an upload, pickled by protocol 2; it waits 10 s for an answer, and after
another answer or none 0.4 s before it sends the same again. Both open a connection for each upload, send the password
each time, and give up nothing.
"""

from __future__ import annotations

import calendar
import hashlib
import http.client
import pickle
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from dayfile.errors import UsageError
from dayfile.messages import plural
from dayfile_hisparc.simulation import Event, events_of_station

__all__ = ["Identity", "Outcome", "Pysparc", "StationSoftware", "Tally", "send", "station_list"]

FIRST_STATION = 501
CLUSTER = "Amsterdam"
MOST_UPLOADS = 100_000
"""Of all clients together: a simulation ends by itself, also where a server answers faster than anybody thought."""


class Identity(NamedTuple):
    """What tells an event from others: station, type (CIC), seconds since 1970, nanoseconds (of showers, else 0)."""

    station: int
    code: str
    timestamp: int
    nanoseconds: int


@dataclass
class Tally:
    """What became of the uploads of one client.

    Parameters
    ----------
    station : int
        Number of the station.
    stored : list of Identity
        Events that were answered 100.
    uploads : int
        Requests, repeated ones included.
    retries : int
        Requests that sent again what was not answered 100.
    others : counter of str
        Other answers: digits, ``HTTP <status>``, or the kind of failure where there was no answer.
    """

    station: int
    stored: list[Identity] = field(default_factory=list)
    uploads: int = 0
    retries: int = 0
    others: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Outcome:
    """What became of a simulation.

    Parameters
    ----------
    tallies : tuple of Tally
        One for each client.
    seconds : float
        How long it took.
    """

    tallies: tuple[Tally, ...]
    seconds: float

    @property
    def stored(self) -> list[Identity]:
        """All events that were answered 100."""
        return [identity for tally in self.tallies for identity in tally.stored]

    def lines(self) -> list[str]:
        """The outcome in words."""
        uploads, retries = sum(tally.uploads for tally in self.tallies), sum(tally.retries for tally in self.tallies)
        others: Counter[str] = sum((tally.others for tally in self.tallies), Counter())
        told = ", ".join(f"{plural(number, 'time')} {answer}" for answer, number in others.most_common()) or "none"
        stored = plural(len(self.stored), "event")
        return [
            f"{stored} of {plural(len(self.tallies), 'station')} answered 100 in {self.seconds:.1f} s",
            f"{plural(uploads, 'upload')}, of which again: {retries:,}",
            f"other answers: {told}",
        ]


class StationSoftware:
    """The client of most stations, written in Python 2: how it groups events, and how patient it is."""

    protocol = 0
    patience = 60.0
    """The real one waits for ever; a simulation has to end."""
    fewest, most = 100, 1000
    longest_pause = 60.0

    def batches(self, events: Iterator[Event], seed: int) -> Iterator[list[Event]]:
        """The lists it uploads: all that is pending, here drawn at random."""
        rng = np.random.default_rng(seed)
        while batch := list(islice(events, int(rng.integers(self.fewest, self.most, endpoint=True)))):
            yield batch

    def pause(self, failures: int) -> float:
        """Seconds it waits after so many failures in a row: twice as long each time."""
        return float(min(2.0 ** min(failures, 16), self.longest_pause))


class Pysparc:
    """The client that runs on a Raspberry Pi; the same methods."""

    protocol = 2
    patience = 10.0
    types = ("CIC", "CFG")

    def batches(self, events: Iterator[Event], seed: int) -> Iterator[list[Event]]:  # noqa: ARG002
        """Each event alone."""
        return ([event] for event in events if event["header"]["eventtype_uploadcode"] in self.types)

    def pause(self, failures: int) -> float:  # noqa: ARG002
        """Always the same."""
        return 0.4


def password(station: int) -> str:
    """The password of a sample station.

    Examples
    --------
    >>> password(501)
    'password-501'
    """
    return f"password-{station}"


def station_list(clients: int) -> str:
    r"""The station list (CSV: number, cluster, password) that lets so many clients in.

    Examples
    --------
    >>> station_list(2)
    '501,Amsterdam,password-501\n502,Amsterdam,password-502\n'
    """
    numbers = range(FIRST_STATION, FIRST_STATION + clients)
    return "".join(f"{number},{CLUSTER},{password(number)}\n" for number in numbers)


def identity(station: int, event: Event) -> Identity:
    """What tells this event from others."""
    header = event["header"]
    seconds = calendar.timegm(header["datetime"].timetuple())
    return Identity(station, header["eventtype_uploadcode"], seconds, header["nanoseconds"])


def form(station: int, events: list[Event], protocol: int) -> bytes:
    """An upload: the pickle as text, a character for each byte, and its MD5 digest, as a form."""
    payload = pickle.dumps(events, protocol)
    fields = {
        "station_id": station,
        "password": password(station),
        "data": payload.decode("latin-1"),
        "checksum": hashlib.md5(payload, usedforsecurity=False).hexdigest(),
    }
    return urllib.parse.urlencode(fields).encode()


def post(url: urllib.parse.SplitResult, body: bytes, patience: float) -> str:
    """Send a form, and tell the answer: its text, ``HTTP <status>``, or the kind of failure."""
    secure = url.scheme == "https"
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(url.netloc, timeout=patience)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}
    path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read(100).decode("latin-1")
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return text if answer.status == http.HTTPStatus.OK else f"HTTP {answer.status}"


def send(
    url: str,
    day: np.datetime64,
    seed: int,
    clients: int,
    seconds: float,
    *,
    most_uploads: int = MOST_UPLOADS,
    patience: float | None = None,
) -> Outcome:
    """Let sample stations upload the events of a day, as fast as they are answered.

    The stations are 501, 502, ...; every other one is pysparc, and of four in a row two have two detectors. Each begins
    with its first event of the day.

    Parameters
    ----------
    url : str
        Where to post to; the scheme is http or https.
    day : numpy.datetime64
        The day of all events.
    seed : int
        The same day and seed give the same events and batches.
    clients : int
        How many stations at once, each in a thread of its own.
    seconds : float
        No upload is begun after so long; one that is under way is waited for.
    most_uploads : int
        Nor after so many, of all clients together.
    patience : float, optional
        Seconds that each client waits for an answer; by default as long as its kind does, see :class:`StationSoftware`
        and :class:`Pysparc`.

    Returns
    -------
    Outcome
        What was answered. Of events that were sent and not answered 100, nobody can tell whether they were stored.

    Raises
    ------
    UsageError
        The URL is none.
    """
    try:
        target = urllib.parse.urlsplit(url)
        usable = target.scheme in ("http", "https") and bool(target.hostname) and target.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{url!r} is no address to upload to; give one such as http://127.0.0.1:8000/hisparc/upload")
    simulation = Simulation(target, day, seed, time.monotonic() + seconds, patience)
    shares = [most_uploads // clients + (number < most_uploads % clients) for number in range(clients)]
    begin = time.monotonic()
    with ThreadPoolExecutor(clients, "station") as threads:
        try:
            tallies = tuple(threads.map(simulation.station, range(clients), shares))
        finally:
            simulation.stop.set()
    return Outcome(tallies, time.monotonic() - begin)


@dataclass(frozen=True)
class Simulation:
    """Stations at work.

    Parameters
    ----------
    url : SplitResult
        Where they post to.
    day : numpy.datetime64
        The day of all events.
    seed : int
        Of events and batches.
    end : float
        When they stop, by the monotonic clock.
    patience : float or None
        Seconds that each waits for an answer; None for as long as its kind does.
    stop : Event
        Stops them at once.
    """

    url: urllib.parse.SplitResult
    day: np.datetime64
    seed: int
    end: float
    patience: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def station(self, number: int, most_uploads: int) -> Tally:
        """What becomes of the uploads of one station, the events of the day in their order."""
        client = Pysparc() if number % 2 else StationSoftware()
        tally = Tally(FIRST_STATION + number)
        events = events_of_station(self.day, self.seed, tally.station, detectors=2 if number % 4 > 1 else 4)
        for batch in client.batches(events, self.seed + number):
            body = form(tally.station, batch, client.protocol)
            if not self._upload(body, client, tally, most_uploads):
                break
            tally.stored += [identity(tally.station, event) for event in batch]
        return tally

    def _upload(self, body: bytes, client: StationSoftware | Pysparc, tally: Tally, most_uploads: int) -> bool:
        """Send until it is answered 100; False if time or uploads ran out before."""
        failures = 0
        while tally.uploads < most_uploads and time.monotonic() < self.end and not self.stop.is_set():
            answer = post(self.url, body, client.patience if self.patience is None else self.patience)
            tally.uploads += 1
            tally.retries += failures > 0
            if answer == "100":
                return True
            tally.others[answer] += 1
            failures += 1
            self.stop.wait(min(client.pause(failures), max(0.0, self.end - time.monotonic())))
        return False
