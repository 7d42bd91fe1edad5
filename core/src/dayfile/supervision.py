"""What a process that goes on for long reports to systemd, or to what else started it, as sd_notify(3) does."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from dayfile.messages import printable

__all__ = ["Supervisor"]


class Supervisor:
    """What started and supervises this process (systemd), by the socket that it names; without one nothing is sent.

    Parameters
    ----------
    environment : mapping of str to str, optional
        ``NOTIFY_SOCKET``: where to send to; ``WATCHDOG_USEC`` and ``WATCHDOG_PID``: in what time a sign of life is
        expected, and of which process. That of this process if not given.

    Attributes
    ----------
    interval : float or None
        Seconds between two signs of life, half of what is expected at least; None if none are expected.

    Examples
    --------
    >>> Supervisor({"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "60000000"}).interval
    30.0
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        address = given.get("NOTIFY_SOCKET", "")
        self.address = f"\0{address[1:]}" if address.startswith("@") else address
        expected = given.get("WATCHDOG_USEC", "")
        ours = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.interval = int(expected) / 2e6 if self.address and ours and expected.isdecimal() else None

    def report_ready(self, status: str) -> None:
        """Report that the process has started and does its work."""
        self._send("READY=1", f"STATUS={printable(status)}")

    def report_alive(self, status: str) -> None:
        """Report that the process goes on, and what it does; call it at least every ``interval`` seconds."""
        self._send("WATCHDOG=1", f"STATUS={printable(status)}")

    def report_stopping(self, status: str) -> None:
        """Report that the process ends by itself."""
        self._send("STOPPING=1", f"STATUS={printable(status)}")

    def limit(self, seconds: float) -> float:
        """Limit a time to sleep, so that a sign of life follows in time."""
        return seconds if self.interval is None else min(seconds, self.interval)

    def _send(self, *lines: str) -> None:
        """Send lines in one message; one that cannot be reached stops no work."""
        if self.address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto("\n".join(lines).encode(), self.address)
