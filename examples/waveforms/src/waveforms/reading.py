"""Physical values of events, for those who read them."""

import numpy as np

from dayfile import Records
from waveforms.head import CELLS


def volts(events: Records, channel: int) -> np.ndarray:
    """Return the samples of a channel (1 to 4) in V, shape (n, 1024); NaN where it was not read out."""
    found = np.full((len(events), CELLS), np.nan)
    for row, samples in enumerate(events.samples("waveform")[:, channel - 1]):
        if samples is not None:
            found[row] = samples / 65536
    return found + (events["range_centre"] / 1000 - 0.5)[:, np.newaxis]


def nanoseconds(events: Records, widths: np.ndarray) -> np.ndarray:
    """Return when samples were taken, ns since the first of their event, shape (n, 1024).

    ``widths`` are those of a channel, shape (1024,): ``records["width"][0, channel - 1]``.
    """
    cells = (events["trigger_cell"][:, np.newaxis].astype(np.int64) + np.arange(CELLS - 1)) % CELLS
    steps = np.asarray(widths, np.float64)[cells]
    return np.concatenate([np.zeros((len(events), 1)), np.cumsum(steps, axis=1)], axis=1)
