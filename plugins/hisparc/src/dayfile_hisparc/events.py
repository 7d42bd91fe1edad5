"""Decode the events of an upload to batches of records, one for each table, with traces and texts as blobs.

A list has events of mixed types, and each names the codes of its values. They are grouped by type and sequence of
codes, so that a code is looked up once for a group and its values fill a whole column.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile import Batch, Blobs, DataType, RecordError, Rejected, Remark, SourceError
from dayfile.messages import again_with
from dayfile_hisparc.codes import Plan, find_plan
from dayfile_hisparc.filling import Group, fill_part, find_beyond_a_second
from dayfile_hisparc.pickles import Upload, write_upload
from dayfile_hisparc.traces import MOST_INFLATED, TraceCheck
from dayfile_hisparc.unfolding import MOST_UNFOLDED

__all__ = ["Dates", "decode_events"]

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - uploads carry naive datetimes, GPS time labelled as if UTC
SECONDS_A_DAY = 86400
# The timestamp column is a signed 32-bit number of seconds.
LAST_SECOND = 2**31 - 1
FIRST_YEAR = 2004
"""The first year with data at https://data.hisparc.nl; electronics without GPS report earlier years."""
BAD_TRACE = (
    "a trace does not inflate and parse (hisparc.check_traces); to archive it all the same: "
    f"{again_with('hisparc.check_traces=warn')}"
)
TOO_LATE = "dated further ahead of the clock of this machine than hisparc.days_ahead"
BEYOND = (
    "nanoseconds not from 0 to 999999999, stored as sent: nanoseconds and ext_timestamp contradict each other, or are "
    "of another second than timestamp"
)
MOST_UNKNOWN = 20
"""Unknown upload codes of one upload that are reported separately."""
CODE_OF, DATA_OF = itemgetter("data_uploadcode"), itemgetter("data")


@dataclass
class Problems:
    """Why events could not be archived, or only in part: indexes in the upload, by reason and type of event."""

    dropped: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    partial: dict[tuple[str, str], dict[int, list[str]]] = field(default_factory=dict)  # with lines of each event
    size: int = 0  # characters of all lines
    beyond: dict[str, list[int]] = field(default_factory=dict)  # events whose nanoseconds are beyond a second

    def drop(self, code: str, reason: str, number: int) -> None:
        """Record an event that cannot be archived."""
        self.dropped.setdefault((code, reason), []).append(number)

    def keep_unknown(self, code: str, unknown: str, lines: dict[int, str]) -> None:
        """Record the values of an unknown upload code; with many codes, together."""
        reason = f"unknown upload code {unknown!r}; the rest of the event is archived"
        if (code, reason) not in self.partial and len(self.partial) >= MOST_UNKNOWN:
            reason = "many unknown upload codes; the rest of the event is archived"
        for number, line in lines.items():
            self.partial.setdefault((code, reason), {}).setdefault(number, []).append(line)
            self.size += len(line)
        if self.size > MOST_UNFOLDED:
            raise SourceError(f"unknown upload codes would take over {MOST_UNFOLDED} bytes; the upload is kept whole")


@dataclass(frozen=True)
class Dates:
    """The dates that events may have.

    Parameters
    ----------
    cutoff_year : int
        Events before this year are rejected: without GPS the electronics report dates in the distant past.
    latest : float
        Seconds since 1970; later ones are rejected. Infinite for no bound.
    """

    cutoff_year: int = 2020
    latest: float = LAST_SECOND

    def find_problem(self, moment: dt.datetime, timestamp: int) -> str:
        """Return why an event cannot have this time; empty if it can."""
        if moment.year < self.cutoff_year:
            return self.too_early
        if timestamp > LAST_SECOND:
            return "dated after 2038-01-19, which the timestamp column cannot hold"
        if timestamp > self.latest:
            return TOO_LATE
        return ""

    @property
    def too_early(self) -> str:
        """Return why events from before the cutoff year are rejected."""
        return f"dated before {self.cutoff_year}, the cutoff year (hisparc.cutoff_year)"

    def advise(self, reason: str, events: Sequence[Any]) -> str:
        """Return the commands that archive events that were rejected for their dates, if these can be right."""
        if reason == TOO_LATE:
            return f"; if the dates are right: {again_with('hisparc.days_ahead=inf')}"
        if reason != self.too_early:
            return ""
        years = [year for event in events if (year := event["header"]["datetime"].year) >= FIRST_YEAR]
        return f"; if the dates are right: {again_with(f'hisparc.cutoff_year={min(years)}')}" if years else ""


def decode_events(
    upload: Upload,
    types: Mapping[str, DataType],
    dates: Dates,
    name: str,
    check_traces: str = "off",
    *,
    most_inflated: int = MOST_INFLATED,
) -> Iterator[Batch | Rejected | Remark]:
    """Decode the events of an upload: batches in the order in which their types first occur, then rejected events.

    Parameters
    ----------
    upload : Upload
        Station, cluster and events.
    types : mapping of str to DataType
        Data types by event type (``CIC``).
    dates : Dates
        Dates that events may have.
    name : str
        Name of the source.
    check_traces : {'off', 'warn', 'quarantine'}
        What to do about traces that do not inflate and parse.
    most_inflated : int
        Total bytes that traces may inflate to, if they are checked.

    Raises
    ------
    SourceError
        The upload does not name its station or cluster; its traces inflate to too much, if they are checked; or the
        rejected events would take too much, as each has many reasons.
    """
    if upload.station is None or upload.cluster is None:
        commands = again_with("hisparc.station=NUMBER", "hisparc.cluster=NAME")
        message = f"a bare upload does not name its station; set hisparc.station and hisparc.cluster: {commands}"
        raise SourceError(f"{message}; in a program, ingest(…, station=NUMBER, cluster=NAME) needs both", where=name)
    keys: dict[str, str | int] = {
        "cluster": upload.cluster.lower(),
        "cluster_name": upload.cluster,
        "station": upload.station,
    }
    problems = Problems()
    check = TraceCheck(most_inflated)
    groups = group_events(upload.events, types, dates, problems)
    for code in dict.fromkeys(code for code, _ in groups):
        mine = [(codes, group) for (type_code, codes), group in groups.items() if type_code == code]
        batch = make_batch(types[code], mine, keys, problems)
        if check_traces != "off":
            bad = find_bad_traces(batch, types[code], check)
            if bad.any() and check_traces == "warn":
                yield Remark("hisparc", code, "a trace does not inflate and parse", tuple(batch.numbers[bad].tolist()))
            elif bad.any():
                for number in batch.numbers[bad].tolist():
                    problems.drop(code, BAD_TRACE, number)
                batch = batch.select(~bad, types[code].blob_fields)
        if len(batch):
            yield batch
        beyond = batch.numbers[np.isin(batch.numbers, problems.beyond.get(code, ()))]
        if len(beyond):
            yield Remark("hisparc", code, BEYOND, tuple(beyond.tolist()))
    for (code, reason), kept in problems.partial.items():
        if kept:
            station = {"station": upload.station}
            lines = tuple(f"{{{', '.join(part[1:-1] for part in parts)}}}" for parts in kept.values())
            yield Remark("hisparc", code, reason, tuple(kept), station, lines)
    for each in reject(upload, upload.station, upload.cluster, problems, name):
        yield replace(each, reason=each.reason + dates.advise(each.reason, [upload.events[n] for n in each.numbers]))


def reject(upload: Upload, station: int, cluster: str, problems: Problems, name: str) -> Iterator[Rejected]:
    """Reject the events that could not be archived, by reason: an event with several reasons is in several."""
    size = 0
    for (code, reason), numbers in problems.dropped.items():
        content = write_upload(station, cluster, [upload.events[number] for number in numbers])
        size += len(content)
        if size > MOST_UNFOLDED:
            message = f"its events would take over {MOST_UNFOLDED} bytes in quarantine, as they have too many reasons"
            raise SourceError(f"{message}; the upload is kept whole", where=name)
        yield Rejected(
            instrument="hisparc",
            code=code,
            reason=reason,
            error=RecordError.__name__,
            numbers=tuple(numbers),
            name=name,
            content=content,
        )


def format_line(group: Group, place: int, codes: Sequence[str], columns: Sequence[int]) -> str:
    """Format values that have no column, with the time of their event, as a line of JSON."""
    values = {codes[column]: group.values[place][column] for column in columns}
    line = {"timestamp": group.timestamps[place], "nanoseconds": group.nanoseconds[place], **values}
    return json.dumps(line, default=to_text, ensure_ascii=False)


def to_text(value: object) -> str:
    """Convert a value that JSON cannot hold to text."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def group_events(
    events: Sequence[object], types: Mapping[str, DataType], dates: Dates, problems: Problems
) -> dict[tuple[str, tuple[str, ...]], Group]:
    """Group events by type and sequence of codes; drop malformed ones, and those without a time or a known type."""
    groups: dict[tuple[str, tuple[str, ...]], Group] = {}
    for number, event in enumerate(events):
        code = ""
        try:
            header = event["header"]  # type: ignore[index]  # an event is whatever the station sent
            code = header["eventtype_uploadcode"]
            if code not in types:
                known = isinstance(code, str) and len(code) < 100
                problems.drop(
                    code if known else "", f"unknown event type {code!r}" if known else "no event type", number
                )
                continue
            moment = header["datetime"]
            if not isinstance(moment, dt.datetime):
                problems.drop(code, "no timestamp", number)
                continue
            sent = event["datalist"]  # type: ignore[index]
            codes = tuple(map(CODE_OF, sent))
            values = list(map(DATA_OF, sent))
            timestamp = to_seconds(moment)
            nanoseconds = header.get("nanoseconds")
            group = groups.get((code, codes))
            if group is None:
                group = groups[code, codes] = Group()
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError):
            problems.drop(code if isinstance(code, str) else "", "not the form of an event", number)
            continue
        reason = dates.find_problem(moment, timestamp)
        if reason:
            problems.drop(code, reason, number)
            continue
        group.numbers.append(number)
        group.timestamps.append(timestamp)
        group.nanoseconds.append(nanoseconds)
        group.values.append(values)
    return {key: group for key, group in groups.items() if group}


def to_seconds(moment: dt.datetime) -> int:
    """Convert a datetime to seconds since 1970, without microseconds; an aware one is converted to UTC first."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    since = moment - EPOCH
    return since.days * SECONDS_A_DAY + since.seconds


def make_batch(
    data_type: DataType,
    groups: Sequence[tuple[tuple[str, ...], Group]],
    keys: Mapping[str, str | int],
    problems: Problems,
) -> Batch:
    """Make a batch of all events of one type, in the order of the upload; drop those with a value that is no good."""
    numbers = np.array([number for _, group in groups for number in group.numbers], np.int64)
    records = np.repeat(data_type.defaults, len(numbers))
    dropped: list[int] = []
    blobs: list[Sequence[bytes]] = []
    filled: list[tuple[npt.NDArray[Any], Plan]] = []
    for codes, group in groups:
        plan = find_plan(data_type, codes)
        start = len(blobs)
        part = records[start : start + len(group)]
        sent, bad = fill_part(part, group, data_type, plan)
        if "ext_timestamp" in (data_type.dtype.names or ()):
            places = find_beyond_a_second(group.nanoseconds)
            problems.beyond.setdefault(data_type.code, []).extend(group.numbers[place] for place in places)
        blobs += sent
        filled.append((part, plan))
        for place, reason in bad.items():
            dropped.append(start + place)
            blobs[start + place] = ()
            problems.drop(data_type.code, reason, group.numbers[place])
        for unknown, columns in plan.unknown.items():
            kept = {
                number: format_line(group, place, codes, columns)
                for place, number in enumerate(group.numbers)
                if place not in bad
            }
            problems.keep_unknown(data_type.code, unknown, kept)
    order = numbers.argsort()
    owned = index_blobs(filled, blobs, order) if any(blobs) else Blobs()
    # Taking whole records is faster than indexing, which copies field by field.
    batch = Batch(data_type.instrument, data_type.code, records.take(order), numbers[order], keys, owned)
    if not dropped:
        return batch
    good = ~np.isin(order, dropped)
    return batch.select(good, data_type.blob_fields)


def find_bad_traces(batch: Batch, data_type: DataType, check: TraceCheck) -> npt.NDArray[np.bool_]:
    """Find the records with a trace that does not inflate and parse, shape (n,)."""
    bad = np.zeros(len(batch), bool)
    for field_ in data_type.fields:
        if field_.blob != "base64":
            continue
        cells = batch.records[field_.name].reshape(len(batch), -1)
        for row, cell in np.argwhere(cells >= 0).tolist():
            bad[row] |= not check(batch.blobs.values[cells[row, cell]])
    return bad


def index_blobs(
    filled: Sequence[tuple[npt.NDArray[Any], Plan]],
    blobs: Sequence[Sequence[bytes]],
    order: npt.NDArray[np.int64],
) -> Blobs:
    """Join the blobs of all records, in the order sent, and write their indexes into the cells.

    ``filled`` has the records and ``blobs`` the blobs of each record, before sorting.
    """
    counts = np.array([len(values) for values in blobs], np.int64)[order]
    starts = np.empty_like(counts)
    starts[order] = np.cumsum(counts) - counts
    done = 0
    for records, plan in filled:
        first = starts[done : done + len(records)]
        for number, target in enumerate(plan.blobs):
            cells = target.select_cells(records)
            cells[...] = (first + number).reshape((-1,) + (1,) * (cells.ndim - 1))
        done += len(records)
    values = list(chain.from_iterable(blobs[place] for place in order.tolist()))
    return Blobs(values, np.repeat(np.arange(len(counts)), counts))
