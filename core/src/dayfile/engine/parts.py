"""Part files: they carry records from the process that decoded them to the one that writes their day file.

A part file is a line of JSON that describes what follows, then arrays and blobs as plain bytes; again a line and bytes
for pieces that were added later. It is in the workshop, and is removed when its records are written.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.engine.pieces import Piece
from dayfile.model.batch import NO_BLOBS, Batch, Blobs
from dayfile.model.datatype import DataType

__all__ = ["load_pieces", "save_pieces"]


def save_pieces(path: Path, pieces: Iterable[Piece]) -> None:
    """Append pieces to a part file; OSError if that fails."""
    headers, contents = [], []
    for piece in pieces:
        batch = piece.batch
        values = batch.blobs.values
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        numbers, owners = batch.numbers.astype(np.int64), batch.blobs.owners.astype(np.int64)
        arrays = (batch.records, numbers, lengths, owners, piece.sources.astype(np.int64))
        buffers = [np.ascontiguousarray(array).tobytes() for array in arrays] + [b"".join(values)]
        contents += buffers
        headers.append(
            {
                "plugin": piece.plugin,
                "data_type": piece.data_type,
                "path": piece.path,
                "day": str(piece.day),
                "instrument": batch.instrument,
                "code": batch.code,
                "keys": dict(batch.keys),
                "gave_way": batch.gave_way,
                "fields": len(batch.records.dtype.names or ()),
                "sizes": [len(buffer) for buffer in buffers],
            }
        )
    with path.open("ab") as file:
        file.write(json.dumps(headers, default=np.generic.item).encode() + b"\n")
        file.writelines(contents)


def load_pieces(path: Path, types: Mapping[str, DataType], wanted: Collection[str]) -> Iterator[Piece]:
    """Load the pieces of a part file that belong to some day files, in the order in which they were saved.

    Parameters
    ----------
    path : Path
        The part file.
    types : mapping of str to DataType
        The data types by name.
    wanted : collection of str
        Paths of the day files.
    """
    content = path.read_bytes()
    place = 0
    while place < len(content):
        start, place = place, content.index(b"\n", place) + 1
        for words in json.loads(content[start:place]):
            buffers = []
            for size in words["sizes"]:
                buffers.append(memoryview(content)[place : place + size])
                place += size
            if words["path"] in wanted:
                yield make_piece(words, buffers, types[words["data_type"]])


def make_piece(words: Mapping[str, Any], buffers: list[memoryview], data_type: DataType) -> Piece:
    """Make a piece from its description and bytes in a part file."""
    form = next(form for form in data_type.forms if len(form.fields) == words["fields"])
    records: npt.NDArray[Any] = np.frombuffer(buffers[0], form.dtype)
    numbers, lengths, owners, sources = (np.frombuffer(buffer, np.int64) for buffer in buffers[1:5])
    blobs = NO_BLOBS
    if len(lengths):
        ends = np.cumsum(lengths)
        joined = bytes(buffers[5])
        values = [joined[start:end] for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)]
        blobs = Blobs(values, owners)
    batch = Batch(words["instrument"], words["code"], records, numbers, words["keys"], blobs, words["gave_way"])
    return Piece(words["plugin"], words["data_type"], words["path"], np.datetime64(words["day"], "D"), batch, sources)
