"""Events of an upload → batches of records, one for each table, with traces and texts as blobs.

Events of one list are of mixed types, and each names the codes of its values. They are grouped by type and sequence of
codes, so that what a code means is looked up once for a group and its values fill a whole column.
"""

from __future__ import annotations

import binascii
import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pybase64

from dayfile import Batch, Blobs, DataType, Field, RecordError, Rejected, Remark, SourceError
from dayfile_hisparc.columns import column, fill
from dayfile_hisparc.pickles import Upload, write_upload
from dayfile_hisparc.traces import adc_counts

__all__ = ["Dates", "decode_events"]

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - uploads carry naive datetimes, GPS time labelled as if UTC
SECONDS_A_DAY = 86400
# The timestamp column is a signed 32-bit number of seconds.
LAST_SECOND = 2**31 - 1
CODE_OF, DATA_OF = itemgetter("data_uploadcode"), itemgetter("data")


@dataclass
class Group:
    """Events that have a form, of one type and sequence of codes: their places in the upload, times and values."""

    numbers: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    nanoseconds: list[object] = field(default_factory=list)
    values: list[list[object]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class Target:
    """What one code of a sequence means: a field, or one element of it."""

    place: int
    field: Field
    element: int | None

    def cells(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The cells of records that the code fills: a view, shape (n,) or (n, *shape of the field)."""
        column = records[self.field.name]
        return column if self.element is None else column[:, self.element]


class Block(NamedTuple):
    """Cells of one type that lie side by side in a record, and the place of each cell's value among those sent."""

    offset: int
    base: np.dtype[Any]
    places: list[int]


class Blocks(NamedTuple):
    """All cells that a sequence of codes fills, and a type of record that has a field for each block of them."""

    form: np.dtype[Any]
    blocks: list[Block]


@dataclass
class Plan:
    """What a sequence of codes means for a type of event.

    ``blocks`` says the same as ``values``, for as many cells at once as can be. ``refusal`` is why no event with these
    codes can be stored; empty if they can.
    """

    values: list[Target] = field(default_factory=list)
    blobs: list[Target] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    refusal: str = ""
    blocks: Blocks | None = None


@dataclass
class Problems:
    """Why events could not be archived, or not whole: places in the upload, by reason and type of event."""

    dropped: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    partial: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def drop(self, code: str, reason: str, number: int) -> None:
        """Put down an event that cannot be archived."""
        self.dropped.setdefault((code, reason), []).append(number)


@dataclass(frozen=True)
class Dates:
    """Which dates events may have.

    Parameters
    ----------
    cutoff_year : int
        Earlier ones are rejected: without GPS the electronics report dates long past.
    latest : int
        Seconds since 1970; later ones are rejected.
    """

    cutoff_year: int = 2020
    latest: int = LAST_SECOND

    def problem(self, moment: dt.datetime, timestamp: int) -> str:
        """Why an event cannot have this time; empty if it can."""
        if moment.year < self.cutoff_year:
            return f"dated before {self.cutoff_year}, the cutoff year (hisparc.cutoff_year)"
        if timestamp > LAST_SECOND:
            return "dated after 2038-01-19, which the timestamp column cannot hold"
        if timestamp > self.latest:
            return "dated further ahead of the clock of this machine than hisparc.days_ahead"
        return ""


def decode_events(
    upload: Upload, types: Mapping[str, DataType], dates: Dates, name: str, check_traces: str = "off"
) -> Iterator[Batch | Rejected | Remark]:
    """Batches of the events of an upload, in the order in which their types first occur, then what was rejected.

    Parameters
    ----------
    upload : Upload
        Station, cluster and events.
    types : mapping of str to DataType
        Data types by event type (``CIC``).
    dates : Dates
        Which dates events may have.
    name : str
        Name of the source.
    check_traces : {'off', 'warn', 'quarantine'}
        What is done about traces that do not inflate and parse.

    Raises
    ------
    SourceError
        The upload does not tell its station or cluster.
    """
    if upload.station is None or upload.cluster is None:
        message = "a bare upload does not tell its station; set hisparc.station and hisparc.cluster"
        raise SourceError(message, where=name)
    keys: dict[str, str | int] = {
        "cluster": upload.cluster.lower(),
        "cluster_name": upload.cluster,
        "station": upload.station,
    }
    problems = Problems()
    groups = grouped(upload.events, types, dates, problems)
    for code in dict.fromkeys(code for code, _ in groups):
        mine = [(codes, group) for (type_code, codes), group in groups.items() if type_code == code]
        batch = batch_of(types[code], mine, keys, problems)
        if check_traces != "off":
            bad = bad_traces(batch, types[code])
            if bad.any() and check_traces == "warn":
                yield Remark("hisparc", code, "a trace does not inflate and parse", tuple(batch.numbers[bad].tolist()))
            elif bad.any():
                for number in batch.numbers[bad].tolist():
                    problems.drop(code, "a trace does not inflate and parse (hisparc.check_traces)", number)
                batch = batch.select(~bad, [field.name for field in types[code].fields if field.blob])
        if len(batch):
            yield batch
    for archived, found in ((False, problems.dropped), (True, problems.partial)):
        for (code, reason), numbers in found.items():
            events = [upload.events[number] for number in numbers]
            yield Rejected(
                instrument="hisparc",
                code=code,
                reason=reason,
                error=RecordError.__name__,
                numbers=tuple(numbers),
                name=name,
                content=write_upload(upload.station, upload.cluster, events),
                archived=archived,
            )


def grouped(
    events: Sequence[object], types: Mapping[str, DataType], dates: Dates, problems: Problems
) -> dict[tuple[str, tuple[str, ...]], Group]:
    """Events by type and sequence of codes; those without a form, a time or a known type are dropped."""
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
            timestamp = seconds(moment)
            nanoseconds = header.get("nanoseconds")
            group = groups.get((code, codes))
            if group is None:
                group = groups[code, codes] = Group()
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError):
            problems.drop(code if isinstance(code, str) else "", "not the form of an event", number)
            continue
        reason = dates.problem(moment, timestamp)
        if reason:
            problems.drop(code, reason, number)
            continue
        group.numbers.append(number)
        group.timestamps.append(timestamp)
        group.nanoseconds.append(nanoseconds)
        group.values.append(values)
    return {key: group for key, group in groups.items() if group}


def seconds(moment: dt.datetime) -> int:
    """Seconds since 1970 of a datetime; an aware one is converted to UTC first. Microseconds are cut off."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    since = moment - EPOCH
    return since.days * SECONDS_A_DAY + since.seconds


def batch_of(
    data_type: DataType,
    groups: Sequence[tuple[tuple[str, ...], Group]],
    keys: Mapping[str, str | int],
    problems: Problems,
) -> Batch:
    """All events of one type, in the order of the upload; those with a value that cannot be stored are dropped."""
    numbers = np.array([number for _, group in groups for number in group.numbers], np.int64)
    records = np.repeat(data_type.defaults, len(numbers))
    dropped: list[int] = []
    blobs: list[Sequence[bytes]] = []
    filled: list[tuple[npt.NDArray[Any], Plan]] = []
    for codes, group in groups:
        plan = plan_of(data_type, codes)
        start = len(blobs)
        part = records[start : start + len(group)]
        sent, bad = fill_part(part, group, data_type, plan)
        blobs += sent
        filled.append((part, plan))
        for place, reason in bad.items():
            dropped.append(start + place)
            blobs[start + place] = ()
            problems.drop(data_type.code, reason, group.numbers[place])
        for unknown in plan.unknown:
            reason = f"unknown upload code {unknown!r}; the rest of the event is archived"
            stored = [number for place, number in enumerate(group.numbers) if place not in bad]
            if stored:
                problems.partial.setdefault((data_type.code, reason), []).extend(stored)
    order = numbers.argsort()
    owned = index_blobs(filled, blobs, order) if any(blobs) else Blobs()
    # Taking whole records is quicker than indexing, which goes over their fields.
    batch = Batch(data_type.instrument, data_type.code, records.take(order), numbers[order], keys, owned)
    if not dropped:
        return batch
    good = ~np.isin(order, dropped)
    return batch.select(good, [field.name for field in data_type.fields if field.blob])


def bad_traces(batch: Batch, data_type: DataType) -> npt.NDArray[np.bool_]:
    """Which records have a trace that does not inflate and parse, shape (n,)."""
    bad = np.zeros(len(batch), bool)
    for field_ in data_type.fields:
        if field_.blob != "base64":
            continue
        cells = batch.records[field_.name].reshape(len(batch), -1)
        for row, cell in np.argwhere(cells >= 0).tolist():
            try:
                adc_counts(batch.blobs.values[cells[row, cell]])
            except ValueError:
                bad[row] = True
    return bad


def index_blobs(
    filled: Sequence[tuple[npt.NDArray[Any], Plan]],
    blobs: Sequence[Sequence[bytes]],
    order: npt.NDArray[np.int64],
) -> Blobs:
    """The blobs of all records in a row, in the order sent; puts their indexes into the cells.

    ``filled`` has the records and ``blobs`` the blobs of each record before they are put in order.
    """
    counts = np.array([len(values) for values in blobs], np.int64)[order]
    starts = np.empty_like(counts)
    starts[order] = np.cumsum(counts) - counts
    done = 0
    for records, plan in filled:
        first = starts[done : done + len(records)]
        for number, target in enumerate(plan.blobs):
            cells = target.cells(records)
            cells[...] = (first + number).reshape((-1,) + (1,) * (cells.ndim - 1))
        done += len(records)
    values = list(chain.from_iterable(blobs[place] for place in order.tolist()))
    return Blobs(values, np.repeat(np.arange(len(counts)), counts))


@lru_cache(maxsize=256)
def plan_of(data_type: DataType, codes: tuple[object, ...]) -> Plan:
    """What a sequence of codes means.

    A code that ends in a digit names an element of the field whose code is the part before: elements count from 1, and
    0 is the last one, as an index of -1 is.
    """
    plan = Plan()
    by_code = {field.code: field for field in data_type.fields if field.code}
    for place, code in enumerate(codes):
        if not isinstance(code, str):
            return Plan(refusal="an upload code that is no text")
        digit = code[-1:].isascii() and code[-1:].isdigit()
        base = code[:-1] if digit else code
        found = by_code.get(base)
        if found is None:
            plan.unknown.append(base[:40])
        elif not digit:
            (plan.blobs if found.blob else plan.values).append(Target(place, found, None))
        elif found.shape and int(code[-1]) <= found.shape[0]:
            element = (int(code[-1]) - 1) % found.shape[0]
            (plan.blobs if found.blob else plan.values).append(Target(place, found, element))
        else:
            return Plan(refusal=f"upload code {code!r}: {found.name} has no element {code[-1]}")
    plan.blocks = blocks_of(data_type, plan.values)
    return plan


def blocks_of(data_type: DataType, targets: Sequence[Target]) -> Blocks | None:
    """The cells that codes fill, those side by side together; None if a code fills a cell that another fills too.

    So there are never more blocks than cells, however many codes there are.
    """
    starts = {name: place[1] for name, place in (data_type.dtype.fields or {}).items()}
    cells: dict[int, tuple[np.dtype[Any], int]] = {}
    for target in targets:
        base = target.field.base
        # An array code without a digit fills every element.
        elements = range(math.prod(target.field.shape)) if target.element is None else [target.element]
        for element in elements:
            offset = starts[target.field.name] + base.itemsize * element
            if offset in cells:
                return None
            cells[offset] = base, target.place
    blocks: list[Block] = []
    for offset, (base, place) in sorted(cells.items()):
        last = blocks[-1] if blocks else None
        if last and last.base == base and offset == last.offset + base.itemsize * len(last.places):
            last.places.append(place)
        else:
            blocks.append(Block(offset, base, [place]))
    form = {
        "names": [f"block {number}" for number in range(len(blocks))],
        "formats": [(block.base, (len(block.places),)) for block in blocks],
        "offsets": [block.offset for block in blocks],
        "itemsize": data_type.dtype.itemsize,
    }
    return Blocks(np.dtype(form), blocks)  # type: ignore[call-overload]  # which knows no dict


def fill_part(
    records: npt.NDArray[Any], group: Group, data_type: DataType, plan: Plan
) -> tuple[list[Sequence[bytes]], dict[int, str]]:
    """Fill the records of a group: the blobs of each, and the reason for each that cannot be stored, by place."""
    if plan.refusal:
        return [()] * len(group), dict.fromkeys(range(len(group)), plan.refusal)
    bad = fill_header(records, group, data_type)
    columns = list(zip(*group.values, strict=True))
    if plan.blocks is None or not fill_blocks(records, columns, plan.blocks):
        bad |= fill_one_by_one(records, columns, plan.values)
    decoded = [blob_column(columns[target.place], target) for target in plan.blobs]
    whole = [values for values in decoded if values is not None]
    if not decoded:
        return [()] * len(group), bad
    if len(whole) == len(decoded):
        return list(zip(*whole, strict=True)), bad
    blobs: list[Sequence[bytes]] = []
    for index, sent in enumerate(group.values):
        try:
            blobs.append([blob_bytes(sent[target.place], target) for target in plan.blobs])
        except (TypeError, ValueError) as error:
            blobs.append(())
            bad[index] = str(error)
    return blobs, bad


def fill_blocks(records: npt.NDArray[Any], columns: Sequence[Sequence[object]], blocks: Blocks) -> bool:
    """Fill cells side by side at once; False, and cells in any state, where values need to be looked at one by one."""
    cells = records.view(blocks.form)
    for name, block in zip(blocks.form.names or (), blocks.blocks, strict=True):
        values = column(list(chain.from_iterable(columns[place] for place in block.places)), block.base)
        if values is None:
            return False
        cells[name][...] = values.reshape(len(block.places), -1).T
    return True


def fill_one_by_one(
    records: npt.NDArray[Any], columns: Sequence[Sequence[object]], targets: Sequence[Target]
) -> dict[int, str]:
    """Fill cells code by code, in the order sent; the reason for each event that cannot be stored, by place."""
    bad: dict[int, str] = {}
    for target in targets:
        cells = target.cells(records)
        if cells.ndim == 1:
            bad |= fill(cells, columns[target.place], target.field)
        else:
            # An array code without a digit sets every element.
            first = np.zeros(len(records), cells.dtype)
            bad |= fill(first, columns[target.place], target.field)
            cells[...] = first.reshape((-1,) + (1,) * (cells.ndim - 1))
    return bad


def fill_header(records: npt.NDArray[Any], group: Group, data_type: DataType) -> dict[int, str]:
    """Time columns; with the reason for each event whose nanoseconds cannot be stored."""
    records["timestamp"] = group.timestamps
    if "ext_timestamp" not in (data_type.dtype.names or ()):
        return {}
    nanoseconds = np.zeros(len(group), np.int64)
    bad = fill(nanoseconds, group.nanoseconds, data_type.field("nanoseconds"))
    records["nanoseconds"] = nanoseconds.astype(np.uint32)
    records["ext_timestamp"] = records["timestamp"].astype(np.int64) * 1_000_000_000 + nanoseconds
    return bad


def blob_column(values: Sequence[object], target: Target) -> list[bytes] | None:
    """The bytes of one code's blobs of many events; None where they need to be looked at one by one."""
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        return None
    try:
        if is_trace(target):
            return [pybase64.b64decode(text, None, True) for text in texts]  # noqa: FBT003 - by name it takes twice as long
        return [text.encode("latin-1") for text in texts]
    except (binascii.Error, ValueError):  # which UnicodeEncodeError is
        return None


def is_trace(target: Target) -> bool:
    """Whether a code's values are traces, in base64; TR without a digit is a text."""
    return target.field.blob == "base64" and target.element is not None


def blob_bytes(value: object, target: Target) -> bytes:
    """The bytes of a trace (base64) or a text (latin-1); TypeError or ValueError where there are none.

    Base64 is read leniently, as the datastore did: foreign characters are skipped, wrong padding is an error.
    """
    name = target.field.name
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where {name} needs a text")
    if is_trace(target):
        with suppress(binascii.Error, ValueError):
            return pybase64.b64decode(value, validate=True)
        try:
            return pybase64.b64decode(value)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"{name}: no base64 (foreign characters or wrong padding)") from error
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: a character beyond U+00FF") from error
