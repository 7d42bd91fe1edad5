"""What a server does besides answering: in its first process, and in each worker."""

from __future__ import annotations

import math
import os

from dayfile.archive.root import Root
from dayfile.serving.bounds import Bounds
from dayfile.settings import CoreSettings
from dayfile.state.receiver import UploadRecorder, forget_old_receivers

__all__ = ["Receiving", "Service"]

STOP_SECONDS = 20.0


class Service:
    """What a server does besides answering: nothing, as one does that only lets others read.

    Parameters
    ----------
    settings : CoreSettings
        The limits on connections.
    stop_seconds : float
        How long an answer that is under way may take when the server stops.
    """

    def __init__(self, settings: CoreSettings, stop_seconds: float = STOP_SECONDS) -> None:
        self.settings = settings
        self.stop_seconds = stop_seconds

    def begin(self, address: str) -> None:
        """Begin in the first process, which listens at an address."""

    def begin_worker(self, number: int) -> None:
        """Begin in a worker."""

    def beat(self) -> None:
        """Give a sign of life, in whatever process this is; called about once a second."""

    def end(self) -> None:
        """End, in whatever process this is."""

    def forget(self, number: int) -> None:
        """Forget a worker that has died, in the first process."""


class Receiving(Service):
    """Receives uploads: records what came, and shares the room for bodies among the workers.

    When it stops, those that are under way have their own time, ``serve.body_seconds``.

    Parameters
    ----------
    root : Root
        The archive.
    uploads : UploadRecorder
        Records uploads.
    bounds : Bounds
        The room for bodies.
    """

    def __init__(self, root: Root, uploads: UploadRecorder, bounds: Bounds) -> None:
        super().__init__(bounds.settings, stop_seconds=math.inf)
        self.root = root
        self.uploads = uploads
        self.bounds = bounds

    def begin(self, address: str) -> None:
        """Begin to record the receiver as a whole."""
        forget_old_receivers(self.root)
        self.uploads.begin(address=address, measuring=True)

    def begin_worker(self, number: int) -> None:
        """Begin to record a worker."""
        self.bounds.worker = number
        self.uploads.begin(f"{os.getppid()}-{number}")

    def beat(self) -> None:
        """Record a sign of life."""
        self.uploads.beat()

    def end(self) -> None:
        """Record the end."""
        self.uploads.end()

    def forget(self, number: int) -> None:
        """Free what a dead worker had reserved."""
        self.bounds.forget(number)
