"""HAPI over an archive: what each address answers, before it becomes HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

import dayfile
from dayfile.archive.exporting import select_records
from dayfile.archive.gaps import HOUR
from dayfile.errors import TimeError
from dayfile.messages import plural
from dayfile.web.codes import NO_DATA, OK, RequestError, describe_status
from dayfile.web.datasets import Dataset, find_dataset, list_datasets
from dayfile.web.encoding import ENCODERS, Encoder
from dayfile.web.moments import Moment, choose_digits, format_hapi_time
from dayfile.web.parameters import Parameter, list_parameters
from dayfile.web.query import FORMS, CatalogQuery, DataQuery, InfoQuery, choose_parameters
from dayfile.web.samples import choose_sample

if TYPE_CHECKING:
    from dayfile.api import Archive
    from dayfile.export.base import BlobReader
    from dayfile.handover.columns import RecordTable
    from dayfile.settings import CoreSettings

__all__ = ["HAPI_VERSION", "Answered", "Hapi", "Prepared"]

HAPI_VERSION = "3.3"
ANSWER_BYTES = 3 * 2**20
"""Bytes of records, about, that an answer holds while its client takes them."""
UNKNOWN_CONTACT = "not given; ask whoever gave you this address"
"""What ``about`` has to say where ``web.contact`` is not set."""


@dataclass(frozen=True)
class HapiSubject:
    """A dataset with its parameters."""

    dataset: Dataset
    readers: Mapping[str, BlobReader]

    @cached_property
    def parameters(self) -> list[Parameter]:
        """Return all its parameters, the time first."""
        keys = {name: np.array([total.key[name] for total in self.dataset.totals]) for name in self.dataset.free_keys}
        return list_parameters(self.dataset.data_type, keys, self.readers)


@dataclass(frozen=True)
class Prepared:
    """A request for records that was checked.

    Parameters
    ----------
    query : DataQuery
        What is asked for.
    subject : HapiSubject
        The dataset.
    parameters : list of Parameter
        What is asked for of each record.
    version : tuple of str
        Whatever the answer depends on: it is the same as long as this is.
    changed : int or None
        When a day file of the type was last published, ns since 1970; None if that is unknown.
    """

    query: DataQuery
    subject: HapiSubject
    parameters: list[Parameter]
    version: tuple[str, ...]
    changed: int | None


@dataclass(frozen=True)
class Answered:
    """Records that answer a request.

    Parameters
    ----------
    code : int
        The code of HAPI: 1200, or 1201 without any record.
    encoder : Encoder
        What writes them.
    pieces : iterable of RecordTable
        The records, in pieces that are small.
    """

    code: int
    encoder: Encoder
    pieces: Iterable[RecordTable]

    def write(self) -> Iterator[bytes | memoryview]:
        """Yield the body in blocks."""
        if begin := self.encoder.begin():
            yield begin
        first = True
        for records in cut_pieces(self.pieces, self.encoder.count_rows()):
            yield self.encoder.encode(records, first=first)
            first = False
        if end := self.encoder.end():
            yield end


def cut_pieces(pieces: Iterable[RecordTable], rows: int) -> Iterator[RecordTable]:
    """Yield pieces in parts of at most ``rows`` records."""
    for records in pieces:
        for start in range(0, len(records), rows):
            yield records[start : start + rows]


class Hapi:
    """HAPI over an archive; an object is made for each request, so that it sees what is published.

    Parameters
    ----------
    archive : Archive
        The archive.
    settings : CoreSettings
        ``web.title`` and what else is said of the server, and ``web.most_records``.
    began : int
        When the server began with these settings, ns since 1970.
    """

    def __init__(self, archive: Archive, settings: CoreSettings, began: int) -> None:
        self.archive = archive
        self.settings = settings
        self.began = began

    def describe_server(self) -> dict[str, object]:
        """Answer ``about``."""
        more = {"description": self.settings.web_description} if self.settings.web_description else {}
        return begin_answer() | {
            "id": self.settings.web_id,
            "title": self.settings.web_title,
            "contact": self.settings.web_contact or UNKNOWN_CONTACT,
            "x_software": f"dayfile {dayfile.__version__}",
            **more,
        }

    def list_capabilities(self) -> dict[str, object]:
        """Answer ``capabilities``."""
        return begin_answer() | {"outputFormats": list(FORMS)}

    def list_catalog(self, query: CatalogQuery) -> dict[str, object]:  # noqa: ARG002 - it was checked
        """Answer ``catalog``: a dataset for each type without keys, and for each value of the main key of the others.

        Records of several keys can have the same time, which clients of HAPI do not expect. So a type with keys is not
        in the list, though it can be asked for.
        """
        datasets = [{"id": each.id, "title": each.title} for each in list_datasets(self.archive) if each.is_listed]
        return begin_answer() | {"catalog": datasets}

    def describe_dataset(self, query: InfoQuery) -> dict[str, object]:
        """Answer ``info``."""
        subject = self._find(query.dataset)
        parameters = choose_parameters(subject.parameters, query.names)
        return begin_answer() | self._describe(subject, parameters)

    def prepare(self, query: DataQuery) -> Prepared:
        """Check a request for records, and find out in which version they are there; nothing is read yet.

        Raises
        ------
        RequestError
            There is no such dataset, parameter or range, or it has too many records.
        """
        subject = self._find(query.dataset)
        dataset, parameters = subject.dataset, choose_parameters(subject.parameters, query.names)
        refuse_outside(dataset, query.start, query.stop)
        refuse_wrong_leap_seconds(dataset, query)
        self._check_size(dataset, query)
        days = (np.datetime64(query.start.day, "D") - 1, np.datetime64(query.stop.day, "D") + 1)
        digests = self.archive.catalogue.find_digests(dataset.data_type.name, *days)
        # The newest day file says what the values of all days mean.
        described = [repr(dataset.data_type), *(repr(parameter.describe()) for parameter in parameters)]
        version = [*(digest.sha256 for digest in digests), repr(query), *described]
        newest = self.archive.catalogue.find_newest_digest(dataset.data_type.name)
        if query.described:  # its header says what there is of other days
            version += [repr(dataset.totals), "" if newest is None else newest.sha256]
        return Prepared(query, subject, parameters, tuple(version), None if newest is None else newest.mtime)

    def read(self, prepared: Prepared) -> Answered:
        """Answer ``data``: read the first of the records, and return what reads the others."""
        query = prepared.query
        needed = {source for parameter in prepared.parameters for source in parameter.sources}
        known = prepared.subject.dataset.data_type.dtype.names or ()
        fields: list[str] | None = [name for name in known if name in needed]
        if fields == list(known):
            fields = None  # whole rows are read faster
        pieces = read_range(self.archive, prepared.subject.dataset, fields, query)
        first = next(pieces, None)
        code = NO_DATA if first is None else OK
        header = None
        if query.described:
            described = self._describe(prepared.subject, prepared.parameters)
            header = begin_answer(code) | described | {"format": query.form}
        return Answered(code, ENCODERS[query.form](prepared.parameters, header), put_first(first, pieces))

    def find_change(self, dataset: str | None = None) -> int | None:
        """Return when a day file was last published, of all or of a dataset; ns since 1970, None if unknown."""
        data_type = None if dataset is None else dataset.partition("/")[0]
        digest = self.archive.catalogue.find_newest_digest(data_type)
        return None if digest is None else digest.mtime

    def _find(self, wanted: str) -> HapiSubject:
        """Find a dataset, and what reads its blobs; plugins are asked only if it has any."""
        dataset = find_dataset(self.archive, wanted)
        has_blobs = dataset.data_type.blob_fields
        return HapiSubject(dataset, self.archive.plugins.blob_readers(dataset.data_type) if has_blobs else {})

    def _describe(self, subject: HapiSubject, parameters: Sequence[Parameter]) -> dict[str, object]:
        """Describe a dataset, with some of its parameters."""
        dataset = subject.dataset
        digits = choose_digits(dataset.data_type)
        described: dict[str, object] = {
            "startDate": format_hapi_time(dataset.first, digits),
            "stopDate": format_hapi_time(dataset.last, digits, after=True),
        }
        if sample := choose_sample(self.archive, dataset, digits):
            described |= {"sampleStartDate": sample[0], "sampleStopDate": sample[1]}
        if dataset.data_type.period:
            described["cadence"] = f"PT{dataset.data_type.period}S"
        if dataset.data_type.period or dataset.data_type.end:
            described["timeStampLocation"] = "begin"
        if longest := find_longest_range(dataset, self.settings.web_most_records):
            described["maxRequestDuration"] = f"PT{longest}S"
        described["description"] = describe_records(dataset)
        if notes := list(list_notes(subject)):
            described["note"] = notes
        return described | {"parameters": [parameter.describe() for parameter in parameters]}

    def _check_size(self, dataset: Dataset, query: DataQuery) -> None:
        """Refuse a range with too many records: counted by the hour, and in parts of hours only if need be."""
        most = self.settings.web_most_records
        if dataset.records <= most:
            return
        span = query.start.text, query.stop.text
        counted = self.archive.coverage(dataset.data_type.name, *span, by="hour", **dataset.arguments)
        if int(counted["records"].sum()) <= most:
            return
        start, stop = (moment.time for moment in (query.start, query.stop))
        begins, ends = np.maximum(counted["time"], start), np.minimum(counted["time"] + HOUR, stop)
        is_whole = ends - begins == HOUR
        parts = [(begin, end) for begin, end in zip(begins[~is_whole], ends[~is_whole], strict=True) if begin < end]
        records = int(counted["records"][is_whole].sum())
        for begin, end in parts if records <= most else ():
            times = select_records(self.archive, dataset.data_type.name, begin, end, fields=[], **dataset.arguments)
            records += sum(map(len, times.read()))
        if records > most:
            raise RequestError(1408, f"at most {plural(most, 'record')}")


def begin_answer(code: int = OK) -> dict[str, object]:
    """Return what every answer in JSON begins with."""
    return {"HAPI": HAPI_VERSION, "status": describe_status(code)}


def refuse_outside(dataset: Dataset, start: Moment, stop: Moment) -> None:
    """Refuse a range that reaches beyond the days of the first and of the last record."""
    first, last = dataset.days
    if start < Moment(first) or stop > Moment.after(last):
        raise RequestError(1405, f"there are records from {first}Z to {last}Z")


def refuse_wrong_leap_seconds(dataset: Dataset, query: DataQuery) -> None:
    """Refuse a time in a leap second that does not exist, and a range that ends there for a clock without any."""
    times = []
    for text, code in ((query.start.text, 1402), (query.stop.text, 1403)):
        try:
            times.append(dataset.data_type.clock.read(text))
        except TimeError as error:
            raise RequestError(code, "no leap second is known there") from error
    if times[0] >= times[1]:
        raise RequestError(1404, "the clock of these records has no leap seconds")


def read_range(archive: Archive, dataset: Dataset, fields: list[str] | None, query: DataQuery) -> Iterator[RecordTable]:
    """Read the fields of the records in a range, in pieces."""
    name, span = dataset.data_type.name, (query.start.text, query.stop.text)
    selection = select_records(archive, name, *span, fields=fields, window_bytes=ANSWER_BYTES, **dataset.arguments)
    return iter(selection.read())


def put_first(first: RecordTable | None, others: Iterator[RecordTable]) -> Iterator[RecordTable]:
    """Yield a piece that was read already, and those after it."""
    if first is not None:
        yield first
        del first
        yield from others


def find_longest_range(dataset: Dataset, most: int) -> int:
    """Return the seconds of a range with about as many records as one request may have; 0 if it may have all."""
    if dataset.records <= most:
        return 0
    span = float((dataset.last - dataset.first) / np.timedelta64(1, "s"))
    return max(1, int(span * most / dataset.records))


def describe_records(dataset: Dataset) -> str:
    """Say what the records of a dataset are."""
    keys = ", ".join(f"{name} {value}" for name, value in dataset.key.items())
    of = f" of {keys}" if keys else ""
    return f"{dataset.data_type.title or dataset.data_type.name}{of} ({dataset.data_type.name})"


def list_notes(subject: HapiSubject) -> Iterator[str]:
    """Yield what else is to be known."""
    dataset, data_type = subject.dataset, subject.dataset.data_type
    given = {source for parameter in subject.parameters for source in parameter.sources}
    if blobs := [name for name in data_type.blob_fields if name not in given]:
        yield f"left out, as their values have no fixed length: {', '.join(blobs)}"
    if dataset.free_keys:
        yield "several records can have the same time"
    if data_type.clock_doc:
        yield data_type.clock_doc
