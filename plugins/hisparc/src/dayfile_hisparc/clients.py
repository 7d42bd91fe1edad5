"""Sample stations that upload to a server, as the two real clients do.

Station software keeps its events until 100 are pending and sends at most 1000 at once, pickled by protocol 0. An answer
that is not exactly ``100`` brings the same batch again after 2^n seconds, at most 60, where n counts failures in a row.
pysparc sends showers and configurations, one an upload, pickled by protocol 2; it waits 10 s for an answer, and after
another answer or none 0.4 s before it sends the same again. Both open a connection for each upload, send the password
each time, and never give up.
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
from itertools import islice, takewhile
from typing import NamedTuple

import numpy as np

from dayfile.errors import UsageError
from dayfile.messages import plural
from dayfile_hisparc.simulation import Event, simulate_events

__all__ = ["Identity", "Outcome", "Pysparc", "StationSoftware", "Tally", "make_station_list", "send"]

FIRST_STATION = 501
CLUSTER = "Amsterdam"
MOST_UPLOADS = 100_000
"""Of all clients together: a simulation ends by itself, however fast a server answers."""


class Identity(NamedTuple):
    """Identity of an event: station, type (CIC), seconds since 1970, nanoseconds (of showers, else 0)."""

    station: int
    code: str
    timestamp: int
    nanoseconds: int


@dataclass
class Tally:
    """The results of the uploads of one client.

    Parameters
    ----------
    station : int
        Number of the station.
    stored : list of Identity
        Events that were answered 100.
    uploads : int
        Requests, repeated ones included.
    retries : int
        Requests that repeated a batch that was not answered 100.
    others : counter of str
        Other answers: digits, ``HTTP <status>``, or the kind of failure without an answer.
    """

    station: int
    stored: list[Identity] = field(default_factory=list)
    uploads: int = 0
    retries: int = 0
    others: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Outcome:
    """The result of a simulation.

    Parameters
    ----------
    tallies : tuple of Tally
        One for each client.
    seconds : float
        Duration.
    """

    tallies: tuple[Tally, ...]
    seconds: float

    @property
    def stored(self) -> list[Identity]:
        """Return all events that were answered 100."""
        return [identity for tally in self.tallies for identity in tally.stored]

    def format_lines(self) -> list[str]:
        """Describe the outcome in lines of text."""
        uploads, retries = sum(tally.uploads for tally in self.tallies), sum(tally.retries for tally in self.tallies)
        others: Counter[str] = sum((tally.others for tally in self.tallies), Counter())
        answers = ", ".join(f"{plural(number, 'time')} {answer}" for answer, number in others.most_common()) or "none"
        stored = plural(len(self.stored), "event")
        return [
            f"{stored} of {plural(len(self.tallies), 'station')} answered 100 in {self.seconds:.1f} s",
            f"{plural(uploads, 'upload')}, repeated: {retries:,}",
            f"other answers: {answers}",
        ]


class StationSoftware:
    """The client of most stations, written in Python 2: how it batches events, and how long it waits."""

    protocol = 0
    patience = 60.0
    """The real one waits for ever; a simulation has to end."""
    fewest, most = 100, 1000
    longest_pause = 60.0

    def split_events(self, events: Iterator[Event], seed: int) -> Iterator[list[Event]]:
        """Yield the lists it uploads: all pending events, their number drawn at random."""
        rng = np.random.default_rng(seed)
        while batch := list(islice(events, int(rng.integers(self.fewest, self.most, endpoint=True)))):
            yield batch

    def compute_pause(self, failures: int) -> float:
        """Return the seconds it waits after n failures in a row: twice as long each time."""
        return float(min(2.0 ** min(failures, 16), self.longest_pause))


class Pysparc:
    """The client that runs on a Raspberry Pi, with the same methods."""

    protocol = 2
    patience = 10.0
    types = ("CIC", "CFG")

    def split_events(self, events: Iterator[Event], seed: int) -> Iterator[list[Event]]:  # noqa: ARG002
        """Yield each event alone."""
        return ([event] for event in events if event["header"]["eventtype_uploadcode"] in self.types)

    def compute_pause(self, failures: int) -> float:  # noqa: ARG002
        """Return a constant time."""
        return 0.4


def make_password(station: int) -> str:
    """Make the password of a sample station.

    Examples
    --------
    >>> make_password(501)
    'password-501'
    """
    return f"password-{station}"


def make_station_list(clients: int) -> str:
    r"""Make a station list (CSV: number, cluster, password) for n clients.

    Examples
    --------
    >>> make_station_list(2)
    '501,Amsterdam,password-501\n502,Amsterdam,password-502\n'
    """
    numbers = range(FIRST_STATION, FIRST_STATION + clients)
    return "".join(f"{number},{CLUSTER},{make_password(number)}\n" for number in numbers)


def identify(station: int, event: Event) -> Identity:
    """Return the identity of an event."""
    header = event["header"]
    seconds = calendar.timegm(header["datetime"].timetuple())
    return Identity(station, header["eventtype_uploadcode"], seconds, header["nanoseconds"])


def make_form(station: int, events: list[Event], protocol: int) -> bytes:
    """Make an upload: a form with the pickle as text, a character for each byte, and its MD5 digest."""
    payload = pickle.dumps(events, protocol)
    fields = {
        "station_id": station,
        "password": make_password(station),
        "data": payload.decode("latin-1"),
        "checksum": hashlib.md5(payload, usedforsecurity=False).hexdigest(),
    }
    return urllib.parse.urlencode(fields).encode()


def post(url: urllib.parse.SplitResult, body: bytes, patience: float) -> str:
    """Send a form, and return the answer: its text, ``HTTP <status>``, or the kind of failure."""
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
    """Upload the events of a day from sample stations, as fast as they are answered.

    The stations are 501, 502, ...; every other one is pysparc, and of four in a row two have two detectors. Each begins
    with its first event of the day.

    Parameters
    ----------
    url : str
        Address to post to; the scheme is http or https.
    day : numpy.datetime64
        The day of all events; of today, those up to now.
    seed : int
        The same day and seed give the same events and batches.
    clients : int
        Number of stations at once, each in its own thread.
    seconds : float
        No upload is started after this time; uploads under way are completed.
    most_uploads : int
        Nor after this number, of all clients together.
    patience : float, optional
        Seconds that each client waits for an answer; by default that of its kind, see :class:`StationSoftware` and
        :class:`Pysparc`.

    Returns
    -------
    Outcome
        The answers. Events that were not answered 100 may have been stored or not.

    Raises
    ------
    UsageError
        Not a URL to upload to.
    """
    try:
        target = urllib.parse.urlsplit(url)
        usable = target.scheme in ("http", "https") and bool(target.hostname) and target.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{url!r} is not an upload address; give one such as http://127.0.0.1:8000/hisparc/upload")
    simulation = Simulation(target, day, seed, time.monotonic() + seconds, patience)
    shares = [most_uploads // clients + (number < most_uploads % clients) for number in range(clients)]
    begin = time.monotonic()
    with ThreadPoolExecutor(clients, "station") as threads:
        try:
            tallies = tuple(threads.map(simulation.upload_events, range(clients), shares))
        finally:
            simulation.stop.set()
    return Outcome(tallies, time.monotonic() - begin)


@dataclass(frozen=True)
class Simulation:
    """Stations at work.

    Parameters
    ----------
    url : SplitResult
        Address to post to.
    day : numpy.datetime64
        The day of all events.
    seed : int
        Seed of events and batches.
    end : float
        Time to stop, by the monotonic clock.
    patience : float or None
        Seconds that each waits for an answer; None for that of its kind.
    stop : Event
        Stops them at once.
    """

    url: urllib.parse.SplitResult
    day: np.datetime64
    seed: int
    end: float
    patience: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def upload_events(self, number: int, most_uploads: int) -> Tally:
        """Upload the events of one station, in order, and return the results."""
        client = Pysparc() if number % 2 else StationSoftware()
        tally = Tally(FIRST_STATION + number)
        events = simulate_events(self.day, self.seed, tally.station, detectors=2 if number % 4 > 1 else 4)
        now = time.time()
        if self.day == np.datetime64(int(now), "s").astype("M8[D]"):  # what has not happened yet is not sent
            events = takewhile(lambda event: identify(tally.station, event).timestamp <= now, events)
        for batch in client.split_events(events, self.seed + number):
            body = make_form(tally.station, batch, client.protocol)
            if not self._upload(body, client, tally, most_uploads):
                break
            tally.stored += [identify(tally.station, event) for event in batch]
        return tally

    def _upload(self, body: bytes, client: StationSoftware | Pysparc, tally: Tally, most_uploads: int) -> bool:
        """Send a body until it is answered 100; return False if time or uploads run out before."""
        failures = 0
        while tally.uploads < most_uploads and time.monotonic() < self.end and not self.stop.is_set():
            answer = post(self.url, body, client.patience if self.patience is None else self.patience)
            tally.uploads += 1
            tally.retries += failures > 0
            if answer == "100":
                return True
            tally.others[answer] += 1
            failures += 1
            self.stop.wait(min(client.compute_pause(failures), max(0.0, self.end - time.monotonic())))
        return False
