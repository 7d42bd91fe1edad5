"""When a watch publishes its day files, and what that may cost."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from dayfile.archive.workfile import WorkFile
from dayfile.settings import CoreSettings

__all__ = ["Schedule"]

LARGEST_SHARE = 0.1
"""Share of the time that publishing may take, together for all day files that are busy."""
MOST_MEASURED = 5
"""Publications of a day file whose cost is remembered."""
MOST_DAY_FILES = 1000
"""Day files whose cost is remembered; a watch goes on for years."""

logger = logging.getLogger(__name__)


@dataclass
class Publications:
    """The last publications of one day file.

    Parameters
    ----------
    last : float
        When the last one ended, by the monotonic clock.
    rates : deque of float
        What each of them cost, in seconds a byte.
    slow : bool
        Whether it was logged that the day file is published less often.
    """

    last: float
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_MEASURED))
    slow: bool = False


class Schedule:
    """When each day file is due that a watch is writing: quiet, grown by a share, or old.

    To publish a day file is to copy it, index it, and read and sync the copy, so it costs in proportion to its size.
    What the last publications cost is measured, and a day file is published by quiet or age only as often as keeps
    the cost of all busy ones below a tenth of the time.

    Parameters
    ----------
    core : CoreSettings
        ``publish.after``, ``publish.growth`` and ``publish.at_most``.
    """

    def __init__(self, core: CoreSettings) -> None:
        self.core = core
        self.publications: dict[str, Publications] = {}

    def note(self, path: str, size: int, seconds: float, now: float) -> None:
        """Note a publication.

        Parameters
        ----------
        path : str
            The day file.
        size : int
            Its size in bytes.
        seconds : float
            What it cost.
        now : float
            When it ended, by the monotonic clock.
        """
        known = self.publications.pop(path, None) or Publications(now)
        known.last = now
        known.rates.append(seconds / max(size, 1))
        self.publications[path] = known
        while len(self.publications) > MOST_DAY_FILES:
            del self.publications[next(iter(self.publications))]
        least = self.estimate_cost(path, size) / LARGEST_SHARE
        if least > self.core.publish_at_most and not known.slow:
            known.slow = True
            message = "%s: publishing it takes %.1f s, so what is new in it is up to %.0f s old; publish.at_most is %g"
            logger.warning(message, path, seconds, least, self.core.publish_at_most)

    def estimate_cost(self, path: str, size: int) -> float:
        """Estimate the seconds that it costs to publish a day file of a size; 0 before its first publication."""
        known = self.publications.get(path)
        return 0.0 if known is None else median(known.rates) * size

    def compute_waits(self, work_files: Mapping[str, WorkFile], now: float) -> dict[str, float]:
        """Compute the seconds until each work file with changes is due if nothing more arrives, at least 0."""
        changed = {path: file for path, file in work_files.items() if file.changed}
        busy = sum(now - file.written < self.core.publish_after for file in changed.values())
        return {path: self._compute_wait(path, file, max(busy, 1), now) for path, file in changed.items()}

    def _compute_wait(self, path: str, file: WorkFile, busy: int, now: float) -> float:
        """Compute the seconds until a work file is due, with n busy ones."""
        if file.grown >= self.core.publish_growth * max(file.base_size, 1):
            return 0.0
        due = min(file.written + self.core.publish_after, file.since + self.core.publish_at_most)
        known = self.publications.get(path)
        if known is not None:
            cost = self.estimate_cost(path, file.base_size + file.grown)
            due = max(due, known.last + busy * cost / LARGEST_SHARE)
        return max(due - now, 0.0)
