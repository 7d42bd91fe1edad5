"""What a right reading of a sample gives, and what a layout makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dayfile import Batch, Instrument, Rejected, Source
from dayfile.formats.compressed import unfold
from dayfile.model.datatype import DataType

LATEST = np.datetime64("2030-01-01")
"""Records later than this are set aside, when they are compared with ``valid``."""
LAYOUTS = Path(__file__).parent / "layouts"


@dataclass
class Decoded:
    """What a layout makes of a source."""

    records: dict[str, list[tuple[DataType, np.ndarray, Mapping[str, object], np.ndarray, Any]]] = field(
        default_factory=dict
    )
    rejected: list[Rejected] = field(default_factory=list)

    def count(self) -> dict[str, int]:
        return {code: sum(len(part[1]) for part in parts) for code, parts in self.records.items()}

    def merged(self, code: str) -> list[tuple[DataType, np.void, Mapping[str, object]]]:
        """Return the records of a type in the order of the source."""
        found = [
            (int(number), data_type, record, keys)
            for data_type, records, keys, numbers, _ in self.records[code]
            for record, number in zip(records, numbers, strict=True)
        ]
        kept = [each for each in found if each[1].clock.to_utc(each[1].find_begins(each[2].reshape(1)))[0] < LATEST]
        return [each[1:] for each in sorted(kept, key=lambda each: each[0])]

    def times(self, code: str) -> np.ndarray:
        """Return the times in the order of the source, datetime64[ns]."""
        numbers = np.concatenate([part[3] for part in self.records[code]])
        times = [part[0].clock.to_utc(part[0].find_begins(part[1])) for part in self.records[code]]
        return np.concatenate(times)[np.argsort(numbers, kind="stable")]


def decode(layout: str | Path, path: Path) -> Decoded:
    """Decode a file by a layout."""
    text = (LAYOUTS / layout).read_text() if isinstance(layout, str) else layout.read_text()
    instrument = Instrument(text, str(layout))
    types = {data_type.code: data_type for data_type in instrument.data_types()}
    source = unfold(Source.read(path), 2**30)
    items = instrument.decode(source)
    assert items is not None, "the source was not recognised"
    decoded = Decoded()
    for item in items:
        if isinstance(item, Batch):
            part = (types[item.code], item.records, item.keys, item.numbers, item.blobs)
            decoded.records.setdefault(item.code, []).append(part)
        elif isinstance(item, Rejected):
            decoded.rejected.append(item)
    return decoded


def read_expected(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected.json").read_text())


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested objects to names with ``_``."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from flatten(each, f"{prefix}{name}_" if isinstance(each, dict) else f"{prefix}{name}")
    else:
        yield prefix, value
