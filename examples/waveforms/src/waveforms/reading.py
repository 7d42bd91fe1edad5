"""Physical values of events, for those who read them."""

import numpy as np

from dayfile import Records
from waveforms.head import CELLS


def read_samples(blob: bytes) -> np.ndarray:
    """Read the samples of a blob, uint16, shape (1024,); ValueError if it is damaged."""
    samples = np.frombuffer(blob, "<u2")
    if len(samples) != CELLS:
        raise ValueError(f"{len(samples)} samples, not {CELLS}")
    return samples


def volts(events: Records, channel: int) -> np.ndarray:
    """Return the samples of a channel (1 to 4) in V, shape (n, 1024); NaN where it was not read out."""
    found = np.full((len(events), CELLS), np.nan)
    for row, blob in enumerate(events.all_blobs("waveform")[:, channel - 1]):
        if blob is not None:
            found[row] = read_samples(blob) / 65536
    return found + (events["range_centre"] / 1000 - 0.5)[:, np.newaxis]


def nanoseconds(events: Records, widths: np.ndarray) -> np.ndarray:
    """Return when samples were taken, ns since the first of their event, shape (n, 1024).

    ``widths`` are those of a channel, shape (1024,): ``records["width"][0, channel - 1]``.
    """
    cells = (events["trigger_cell"][:, np.newaxis].astype(np.int64) + np.arange(CELLS - 1)) % CELLS
    steps = np.asarray(widths, np.float64)[cells]
    return np.concatenate([np.zeros((len(events), 1)), np.cumsum(steps, axis=1)], axis=1)
