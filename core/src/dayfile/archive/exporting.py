"""Select the records of an archive to be exported, in pieces that need little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.answering import answer_in_pieces
from dayfile.archive.inventory import Inventory
from dayfile.archive.question import KeyValues, list_key_names
from dayfile.archive.reading import ask_range
from dayfile.archive.records import Records
from dayfile.export.base import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dayfile.archive.question import Question
    from dayfile.export.base import BlobReader
    from dayfile.model.instants import Time

__all__ = ["EXPORT_BYTES", "SMALL_WINDOW_BYTES", "select_records"]

EXPORT_BYTES = 4 * 2**20
"""Bytes of the records of a piece."""
SMALL_WINDOW_BYTES = 16 * 2**20
"""Bytes of records, about, that are read at once to put them in order."""
PIECE_ROWS = 20_000
PIECE_ROWS_WITH_BLOBS = 200
"""Records of a piece, whose blobs are read together."""


def select_records(
    archive: Inventory,
    data_type: str,
    start: Time | None = None,
    stop: Time | None = None,
    *,
    fields: str | Iterable[str] | None = None,
    where: str | None = None,
    physical: bool = False,
    readers: Mapping[str, BlobReader] | None = None,
    window_bytes: int = SMALL_WINDOW_BYTES,
    **keys: KeyValues,
) -> Selection:
    """Select records to be exported: those that begin in a range, start <= time < stop.

    Parameters
    ----------
    archive : Inventory
        Where they are.
    data_type, start, stop, fields, where, physical, **keys
        As for :meth:`dayfile.Archive.read`.
    readers : mapping of str to BlobReader, optional
        What reads the blobs of fields as samples.
    window_bytes : int
        Bytes of records, about, that are read at once to put them in order, if a piece has fewer.

    Raises
    ------
    UsageError, TimeError
        As for :meth:`dayfile.Archive.read`; for a key that no record has when the records are read.
    """
    question = ask_range(
        archive.finder, data_type, start, stop, keys, fields=fields, where=where, inside=True, physical=physical
    )
    dtypes = find_key_dtypes(archive, data_type, list_key_names(question.data_type))
    newest = question.data_type
    empty = Records(newest, np.zeros(0, newest.dtype), {name: np.zeros(0, dtype) for name, dtype in dtypes.items()})
    empty = (empty.to_physical() if physical else empty).select(
        newest.dtype.names or () if question.fields is None else question.fields
    )
    blobs = empty.data_type.blob_fields
    most = PIECE_ROWS_WITH_BLOBS if blobs else PIECE_ROWS
    rows = min(most, max(1, EXPORT_BYTES // max(1, empty.data_type.dtype.itemsize)))
    chosen = {name: reader for name, reader in (readers or {}).items() if name in blobs}
    read = partial(read_small, archive, question, empty, rows, window_bytes)
    return Selection(empty.data_type, dtypes, read, empty, chosen)


def read_small(
    archive: Inventory, question: Question, empty: Records, rows: int, window_bytes: int
) -> Iterator[Records]:
    """Read the records of a question in pieces, all with the fields and the types of keys of empty ones."""
    for piece in answer_in_pieces(archive.finder, question, rows, archive.read_bytes, window_bytes):
        keys = {name: piece.keys[name].astype(column.dtype) for name, column in empty.keys.items()}
        yield replace(conform(piece, empty), keys=keys)


def conform(piece: Records, empty: Records) -> Records:
    """Return records with the fields of empty ones; those of older forms of a type may differ."""
    if piece.array.dtype == empty.array.dtype:
        return replace(piece, data_type=empty.data_type)
    array: npt.NDArray[Any] = empty.data_type.conform(piece.array)
    stamps = piece.array if piece.stamps is None else piece.stamps
    return replace(piece, data_type=empty.data_type, array=array, stamps=stamps)


def find_key_dtypes(archive: Inventory, data_type: str, names: list[str]) -> dict[str, np.dtype[Any]]:
    """Find the type of each key: int64 if all values of the archive are integers, else text as long as the longest."""
    known = archive.keys(data_type)
    dtypes = {}
    for name in names:
        values = [key[name] for key in known if name in key]
        numbers = all(isinstance(value, int) for value in values)
        dtypes[name] = np.dtype(np.int64 if numbers else f"U{max(map(len, map(str, values)))}")
    return dtypes
