"""The receiver: store uploads of stations on disk, by the protocol of the HiSPARC datastore.

A station posts a form (``application/x-www-form-urlencoded``) with ``station_id``, ``password``, ``data`` (the pickle,
a character for each byte, percent-encoded as UTF-8) and ``checksum`` (MD5 of the pickle in lower-case hex). The answer
is always HTTP 200 with three digits. An upload is on disk, file and directory, before the answer 100 is sent.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import logging
import secrets
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from dayfile.archive import disk
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.root import Root
from dayfile.errors import SourceError, StorageError
from dayfile.messages import plural
from dayfile.state.receiver import UploadRecorder
from dayfile_hisparc.passwords import LIMITED, Guesses, Verdict
from dayfile_hisparc.pickles import read_upload
from dayfile_hisparc.stations import Station, StationList

__all__ = ["Answer", "Claim", "Receiver", "make_queue_file", "parse_form"]

logger = logging.getLogger(__name__)

FIELDS = (b"station_id", b"password", b"data", b"checksum")
AS_QUOTED_PRINTABLE = bytes.maketrans(b"%+", b"= ")
HEX = np.full(256, 255, np.uint8)
for digits, first in ((b"0123456789", 0), (b"abcdef", 10), (b"ABCDEF", 10)):
    HEX[list(digits)] = np.arange(first, first + len(digits), dtype=np.uint8)


class Answer(Enum):
    """Answers to a station; checked in this order.

    To a station everything except 100 means "again, later". 500 is new: the upload was good and could not be stored.
    """

    MISSING = 400
    UNKNOWN_STATION = 206
    WRONG_PASSWORD = 203
    WRONG_CHECKSUM = 201
    UNREADABLE = 208
    STORED = 100
    NOT_STORED = 500

    @property
    def reason(self) -> str:
        """Return what was wrong, for the counts of a day."""
        return f"{self.name.lower().replace('_', ' ')} ({self.value})"

    @property
    def body(self) -> bytes:
        """Return three digits, without a line end."""
        return str(self.value).encode()


def parse_form(body: bytes) -> dict[bytes, bytes]:
    """Parse the fields of a form as bytes; the first of a repeated field counts, and blank values are left out.

    Examples
    --------
    >>> parse_form(b"a=1%2B1&b=&a=2&c=x+y")
    {b'a': b'1+1', b'c': b'x y'}
    """
    fields: dict[bytes, bytes] = {}
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        if value:
            fields.setdefault(unquote(name), unquote(value))
    return fields


def unquote(text: bytes) -> bytes:
    """Decode percent-encoded bytes; a ``+`` is a blank, invalid escapes stay.

    Escapes of quoted-printable differ only in their sign, and binascii decodes those fastest. That is not used where it
    would decode more than escapes: for other signs, line ends, and, recognised by the length, signs without an escape.
    """
    if b"%" not in text and b"+" not in text:
        return text
    if b"=" not in text and b"\n" not in text and b"\r" not in text:
        plain = binascii.a2b_qp(text.translate(AS_QUOTED_PRINTABLE))
        if len(text) - len(plain) == 2 * text.count(b"%"):
            return plain
    return unquote_carefully(text.replace(b"+", b" "))


def unquote_carefully(text: bytes) -> bytes:
    """Decode any percent-encoded bytes, without blanks for ``+``."""
    given: npt.NDArray[np.uint8] = np.frombuffer(text + b"\0\0", np.uint8).copy()
    escapes = np.flatnonzero(given == ord("%"))
    high, low = HEX[given[escapes + 1]], HEX[given[escapes + 2]]
    good = (high < 16) & (low < 16)
    escapes = escapes[good]
    given[escapes] = high[good] * 16 + low[good]
    kept = np.ones(len(given), bool)
    kept[escapes + 1] = kept[escapes + 2] = kept[-2:] = False
    return given[kept].tobytes()


def make_queue_file(station: Station, payload: bytes) -> bytes:
    """Make a queue file: the pickled dict of ``station_id``, ``cluster`` and ``event_list``, around the payload.

    A pickle is a program that leaves one value on a stack; this one makes a dict, lets the payload, without its STOP,
    leave the list, and puts it into the dict. The payload is not changed, nor read and written again.
    """
    cluster = station.stored_cluster.encode()
    return b"".join(
        (
            b"}(X\n\0\0\0station_idJ",
            struct.pack("<i", station.number),
            b"X\7\0\0\0clusterX",
            struct.pack("<I", len(cluster)),
            cluster,
            b"X\n\0\0\0event_list",
            payload[:-1],
            b"u.",
        )
    )


def count_events(station: Station, content: bytes) -> int:
    """Count the events of a queue file; SourceError if it cannot be accepted from a station."""
    where = f"upload of station {station.number}"
    upload = read_upload(content, where=where)
    if (upload.station, upload.cluster) != (station.number, station.stored_cluster):
        raise SourceError("the pickle names another station", where=where)
    return len(upload.events)


@dataclass(frozen=True)
class Claim:
    """An upload that claims to be from a station.

    Parameters
    ----------
    station : Station
        The station.
    password, text : str
        The fields ``password`` and ``data``.
    checksum : bytes
        The field ``checksum``.
    limited_as : str
        Key by which wrong passwords of this sender are counted.
    wrong : int
        Number of earlier wrong passwords.
    """

    station: Station
    password: str = field(repr=False)
    text: str = field(repr=False)
    checksum: bytes
    limited_as: str
    wrong: int


class Receiver:
    """Receive uploads for one archive.

    Parameters
    ----------
    root : Root
        The archive; accepted uploads go to its ``incoming/``.
    stations : StationList
        The stations that may upload.
    uploads : UploadRecorder, optional
        Where uploads are recorded; one that writes nothing if not given.
    """

    def __init__(self, root: Root, stations: StationList, uploads: UploadRecorder | None = None) -> None:
        self.root = root
        self.uploads = uploads or UploadRecorder(root)
        self.stations = stations
        self.quarantine = Quarantine(root)
        self.guesses = Guesses()

    def answer(self, body: bytes, sender: str = "") -> Answer:
        """Check an upload and store it if it is good.

        Parameters
        ----------
        body : bytes
            The form as posted.
        sender : str
            Address of the sender, for the log.

        Returns
        -------
        Answer
            An upload that can be read but has events that cannot be archived is stored all the same: the run that
            archives it quarantines those, and the station continues.

        Raises
        ------
        StorageError
            It could not be stored. The answer must not be 100, so that the station tries again.
        """
        found = self.examine(body, sender)
        if isinstance(found, Claim):
            found = self.settle(found, self.stations.proofs.prove(found.station.password, found.password), sender)
        return found

    def examine(self, body: bytes, sender: str = "", limited_as: str = "") -> Answer | Claim:
        """Check an upload without hashing: return a claim if its password must be hashed.

        Parameters
        ----------
        body, sender
            As for :meth:`answer`.
        limited_as : str
            Key by which wrong passwords are counted; empty: not counted.
        """
        fields = parse_form(body)
        if any(name not in fields for name in FIELDS):
            return Answer.MISSING
        try:
            number = parse_station_number(fields[b"station_id"])
            password = fields[b"password"].decode()
            text = fields[b"data"].decode()
        except ValueError:
            return self._answer(Answer.MISSING, sender, "a field is malformed")
        station = self.stations.find(number)
        if station is None:
            return self._answer(Answer.UNKNOWN_STATION, sender, f"station {number} is not in the station list")
        claim = Claim(station, password, text, fields[b"checksum"], limited_as, self.guesses.count(limited_as, number))
        verdict = self.stations.proofs.judge(station.password, password)
        if verdict is Verdict.UNKNOWN:
            return claim
        return self.settle(claim, verdict, sender)

    def settle(self, claim: Claim, verdict: Verdict, sender: str = "") -> Answer:
        """Store a claim if its password is right, else refuse it.

        Parameters
        ----------
        claim : Claim
            An upload.
        verdict : Verdict
            Whether its password is right; UNKNOWN if it was not compared.
        sender : str
            Address of the sender, for the log.

        Raises
        ------
        StorageError
            It could not be stored.
        """
        station = claim.station
        if verdict is Verdict.UNKNOWN:
            answer = Answer.WRONG_PASSWORD if claim.wrong >= LIMITED else Answer.NOT_STORED
            return self._answer(answer, sender, f"too many passwords wait to be hashed, for station {station.number}")
        if verdict is Verdict.WRONG:
            self.guesses.note(claim.limited_as, station.number)
            return self._answer(Answer.WRONG_PASSWORD, sender, f"wrong password for station {station.number}")
        if claim.wrong:
            self.guesses.forget(claim.limited_as, station.number)
        return self._take(station, claim.text, claim.checksum, sender)

    def _take(self, station: Station, text: str, checksum: bytes, sender: str) -> Answer:
        try:
            payload = text.encode("latin-1")
        except UnicodeEncodeError:
            self._quarantine(station, text.encode(), "a character above U+00FF, which is not a byte")
            return self._answer(Answer.UNREADABLE, sender, f"station {station.number}: data is not a pickle")
        digest = hashlib.md5(payload, usedforsecurity=False).hexdigest().encode()
        if not hmac.compare_digest(digest, checksum):
            return self._answer(Answer.WRONG_CHECKSUM, sender, f"wrong checksum from station {station.number}")
        # The stored file is checked, not the payload: a pickle may leave more than its list, which would become keys.
        content = make_queue_file(station, payload)
        try:
            events = count_events(station, content)
        except SourceError as error:
            self._quarantine(station, payload, str(error))
            return self._answer(Answer.UNREADABLE, sender, str(error))
        self._store(station, content)
        self.uploads.note_stored(str(station.number), plural(events, "event"), len(payload))
        return Answer.STORED

    def _store(self, station: Station, content: bytes) -> None:
        """Store an upload on disk: write a hidden file, sync it, rename it, and sync the directory."""
        name = f"{time.time_ns():020d}-{station.number}-{secrets.token_hex(4)}"
        making = self.root.incoming / f".{name}"
        self.root.check_there()
        try:
            disk.write(making, content, private=True)
            disk.rename(making, self.root.incoming / name)
        except StorageError:
            with suppress(OSError):  # an incomplete file takes room that the next one needs
                making.unlink()
            raise

    def _quarantine(self, station: Station, payload: bytes, message: str) -> None:
        """Quarantine an upload that can never be archived, once, however often it is sent."""
        reason = {
            "source": f"upload of station {station.number}",
            "plugin": "hisparc",
            "error": SourceError.__name__,
            "message": message,
            "records": None,
            "offset": None,
        }
        self.root.check_there()
        self.quarantine.put(f"upload-{station.number}", payload, reason)

    def _answer(self, answer: Answer, sender: str, reason: str) -> Answer:
        logger.warning("%s: %s; answered %d", sender or "upload", reason, answer.value)
        return answer


def parse_station_number(text: bytes) -> int:
    """Parse the number of a station, in digits 0 to 9; ``int`` accepts ``5_01``, ``+501`` and other scripts too.

    Raises
    ------
    ValueError
        It is not a number.

    Examples
    --------
    >>> parse_station_number(b"501")
    501
    """
    if not text.strip().removeprefix(b"-").isdigit():  # of bytes only 0 to 9 are
        raise ValueError(text)
    return int(text)
