"""Traces of detectors, as blobs and as ADC counts.

A blob is a zlib stream of ASCII decimal integers with commas between them: raw ADC counts 0 to 4095, one every 2.5 ns,
baseline not subtracted. Older station software ends with a comma. Some streams inflate only with their first and last
byte cut off.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dayfile.errors import SourceError
from dayfile.renamed import keep_old_names

if TYPE_CHECKING:
    from dayfile import Records

__all__ = ["NANOSECONDS_A_SAMPLE", "decode_trace", "read_traces"]

__getattr__ = keep_old_names(__name__, {"adc_counts": "decode_trace", "traces": "read_traces"})
NANOSECONDS_A_SAMPLE = 2.5
# The longest trace of a station is 10 us, 4000 samples; a stream that inflates to more than this is not a trace.
LONGEST = 2**20
MOST_INFLATED = 128 * 2**20
"""Bytes that the traces of an upload may inflate to together; 1000 events with the four longest take 80 MB."""
COUNTS = re.compile(rb"-?\d{1,9}(?:,-?\d{1,9})*,?")


def decode_trace(blob: bytes) -> npt.NDArray[np.int32]:
    """Return the ADC counts of a trace, shape (n_samples,), one every 2.5 ns.

    Parameters
    ----------
    blob : bytes
        As stored.

    Raises
    ------
    ValueError
        It does not inflate, or is not a list of integers.

    Examples
    --------
    >>> decode_trace(zlib.compress(b"203,204,1250,"))
    array([ 203,  204, 1250], dtype=int32)
    """
    text = inflate(blob)
    if not COUNTS.fullmatch(text):
        raise ValueError("the trace is not a list of integers")
    return np.array(text.rstrip(b",").split(b","), np.int32)


class TooLongError(ValueError):
    """A stream inflates to more than a trace can have; it was inflated no further."""


class TraceCheck:
    """Check the traces of an upload, each once, up to a total size: a kilobyte can inflate to a megabyte.

    Parameters
    ----------
    most_inflated : int
        Total bytes that the traces may inflate to.
    """

    def __init__(self, most_inflated: int = MOST_INFLATED) -> None:
        self.most_inflated = self.left = most_inflated
        self.found: dict[bytes, bool] = {}

    def __call__(self, blob: bytes) -> bool:
        """Return whether a trace inflates and parses.

        Raises
        ------
        SourceError
            Together with earlier ones, it inflates to too much.
        """
        if blob not in self.found:
            text = b""
            try:
                text = inflate(blob)
                self.left -= len(text)
            except TooLongError:
                self.left -= LONGEST
            except ValueError:
                pass
            if self.left < 0:
                most = self.most_inflated // 2**20
                message = f"the traces inflate to more than {most} MB, more than those of any station"
                raise SourceError(f"{message}; hisparc.check_traces=off archives them as they came")
            self.found[blob] = COUNTS.fullmatch(text) is not None
        return self.found[blob]


def inflate(blob: bytes) -> bytes:
    """Inflate a trace to text, whole or without its first and last byte; ValueError if that fails."""
    for stream in (blob, blob[1:-1]):
        inflate = zlib.decompressobj()
        try:
            text = inflate.decompress(stream, LONGEST)
        except zlib.error:
            continue
        if inflate.eof:
            return text
        if len(text) == LONGEST:
            raise TooLongError(f"the trace inflates to more than {LONGEST} bytes")
    raise ValueError("the trace does not inflate")


def read_traces(records: Records, row: int) -> list[npt.NDArray[np.int32] | None]:
    """Read the traces of one event.

    Parameters
    ----------
    records : Records
        Of ``hisparc.events``.
    row : int
        Index of the event.

    Returns
    -------
    list of array or None, length 4
        ADC counts, shape (n_samples,), of each detector; None for a detector that is missing or sent no trace.

    Raises
    ------
    ValueError
        A trace does not inflate, or is not a list of integers.

    Examples
    --------
    ``traces(archive.read("hisparc.events", "2017-02-26", station=501), 0)[0]`` is what the first detector saw.
    """
    return [None if blob is None else decode_trace(blob) for blob in records.blobs("traces", row)]
