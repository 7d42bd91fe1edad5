"""From bytes to records: each block of the file is one array, and no event is looked at alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dayfile import Batch, Blobs, DataType, Rejected, Remark, Source
from waveforms.head import CELLS, Head

NAME = "waveforms"
Item = Batch | Rejected | Remark


@dataclass
class Previous:
    """The last good event so far: its index in the file, and its serial number."""

    index: int = -1
    serial: int = 0


def read_items(source: Source, head: Head, data_types: Mapping[str, DataType]) -> Iterator[Item]:
    """Read records, block by block; the widths have the time of the first good event."""
    form = head.event
    first, previous = 0, Previous()
    for offset, block in source.blocks(len(head.content), form.itemsize):
        events = np.frombuffer(block, form, len(block) // form.itemsize)
        times, dated = find_times(events["date"])
        wrong = {
            "does not begin with EHDR": events["tag"] != b"EHDR",
            "has other boards than the head": ~find_boards(events, head),
            "has no date": ~dated,
        }
        good = ~np.any(list(wrong.values()), axis=0)
        for index in np.flatnonzero(~good).tolist():
            reason = next(text for text, odd in wrong.items() if odd[index])
            start = index * form.itemsize
            event = bytes(block[start : start + form.itemsize])
            yield reject(source, head, first + index, reason, event, offset + start)
        found = np.flatnonzero(good)
        if len(found) and previous.index < 0:
            yield from make_widths(head, times[found[0]], data_types["waveforms.widths"])
        yield from remark_gaps(first + found, events["serial"][found], previous, len(head.boards))
        if len(found):
            yield from make_events(events[found], times[found], first + found, head, data_types["waveforms.event"])
        first += len(events)
        if rest := bytes(block[events.nbytes :]):
            yield reject(source, head, first, "incomplete", rest, offset + events.nbytes)
    if previous.index < 0:
        reason = "no event says when the widths were measured"
        yield Rejected(NAME, "widths", reason, "RecordError", (0,), source.name, head.content, 0)


def find_times(dates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times, int64 ns since 1970, of dates, shape (n, 7), and whether the date exists."""
    year, month, day, *clock = dates.astype(np.int64).T
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    good = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    good &= (year >= 1900) & (year <= 2261)
    time = days.astype(np.int64)
    for part, below in zip(clock, (24, 60, 60, 1000), strict=True):
        good &= part < below
        time = time * below + part
    return np.where(good, time, 0) * 10**6, good


def find_boards(events: np.ndarray, head: Head) -> np.ndarray:
    """Return whether events have the boards and channels of the head, shape (n,)."""
    good = np.ones(len(events), bool)
    for index, board in enumerate(head.boards):
        part = events[f"board{index}"]
        good &= (part["tag"] == b"B#") & (part["trigger"] == b"T#") & (part["number"] == board.number)
        good &= part["cell"] < CELLS
        good &= (part["channels"]["tag"] == [f"C{number:03}".encode() for number in board.channels]).all(axis=1)
    return good


def make_events(
    events: np.ndarray, times: np.ndarray, numbers: np.ndarray, head: Head, data_type: DataType
) -> Iterator[Batch]:
    """Make a batch for each board; records of a file are numbered event by event, board by board."""
    for index, board in enumerate(head.boards):
        part = events[f"board{index}"]
        records = np.zeros(len(events), data_type.dtype)
        records["time"] = times
        records["serial"] = events["serial"]
        records["range_centre"] = events["centre"]
        records["trigger_cell"] = part["cell"]
        records["scaler"] = 2**32 - 1
        records["waveform"] = -1
        columns = [number - 1 for number in board.channels]
        records["scaler"][:, columns] = part["channels"]["scaler"]
        records["waveform"][:, columns] = np.arange(len(events) * len(columns)).reshape(len(events), -1)
        yield Batch(
            NAME,
            data_type.code,
            records,
            numbers * len(head.boards) + index,
            {"board": board.number},
            make_blobs(part["channels"]["samples"]),
        )


def make_blobs(samples: np.ndarray) -> Blobs:
    """Make a blob of the samples of each channel, shape (n, channels, 1024)."""
    content, size = samples.tobytes(), 2 * CELLS
    values = [content[start : start + size] for start in range(0, len(content), size)]
    return Blobs(values, np.repeat(np.arange(len(samples)), samples.shape[1]))


def make_widths(head: Head, time: np.int64, data_type: DataType) -> Iterator[Batch]:
    """Make a record of the widths of each board."""
    for index, board in enumerate(head.boards):
        records = np.zeros(1, data_type.dtype)
        records["time"] = time
        records["width"] = np.nan
        records["width"][0, [number - 1 for number in board.channels]] = board.widths
        yield Batch(NAME, data_type.code, records, np.array([index]), {"board": board.number})


def remark_gaps(indexes: np.ndarray, serials: np.ndarray, previous: Previous, boards: int) -> Iterator[Remark]:
    """Remark on events that the program counted and the file does not have."""
    serials = serials.astype(np.int64)
    before = np.concatenate([[previous.serial - previous.index - 1], serials - indexes - 1])
    for row in np.flatnonzero(np.diff(before)).tolist() if len(indexes) else ():
        text = f"the serial numbers jump to {serials[row]}: events are missing from the file"
        yield Remark(NAME, "event", text, (int(indexes[row]) * boards,))
    if len(indexes):
        previous.index, previous.serial = int(indexes[-1]), int(serials[-1])


def reject(source: Source, head: Head, index: int, reason: str, event: bytes, offset: int) -> Rejected:
    """Reject an event; with the head in front of it, it is a source again."""
    numbers = tuple(index * len(head.boards) + board for board in range(len(head.boards)))
    return Rejected(NAME, "event", reason, "RecordError", numbers, source.name, head.content + event, offset)
