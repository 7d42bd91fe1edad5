"""The identity of a process, by which a reader can say later whether that process is still alive."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ProcessId"]

PROC = Path("/proc")
STATE, BEGAN = 0, 19
"""Fields of ``/proc/PID/stat`` behind the name of the program: the state, and the start in clock ticks since boot."""
DEAD = frozenset("ZX")


@dataclass(frozen=True)
class ProcessId:
    """A process, on a machine, since a boot of that machine.

    A process number alone is not enough: it is used again, also after a boot, and in each container.

    Parameters
    ----------
    pid : int
        Its number.
    host : str
        Name of the machine.
    boot : str
        Id of the boot of that machine; empty where the system has none.
    namespace : str
        Where the number is unique: each container has a namespace of its own; empty where the system has none.
    began : int
        When it began, clock ticks since boot; 0 where that is not known.
    """

    pid: int
    host: str
    boot: str = ""
    namespace: str = ""
    began: int = 0

    @classmethod
    def of_this_process(cls) -> ProcessId:
        """Return the identity of this process."""
        return identify_process(os.getpid())

    def is_alive(self) -> bool | None:
        """Return whether the process is alive; None if that cannot be seen from here, as on another machine.

        Examples
        --------
        >>> me = ProcessId.of_this_process()
        >>> me.is_alive(), ProcessId(me.pid, "elsewhere").is_alive()
        (True, None)
        """
        if self.host != socket.gethostname():
            return None
        if self.boot and self.boot != read_boot():
            return False
        if self.namespace != read_namespace():
            return None
        found = read_process(self.pid)
        if found is not None:
            state, began = found
            return state not in DEAD and began == self.began
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return None  # some process of another user, whose details are hidden
        return None if self.began else True


@cache
def identify_process(pid: int) -> ProcessId:
    """Return the identity of this process, whose number this is."""
    _, began = read_process(pid) or ("", 0)
    return ProcessId(pid, socket.gethostname(), read_boot(), read_namespace(), began)


def read_process(pid: int) -> tuple[str, int] | None:
    """Read the state of a process and when it began; None if the system does not show it."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return fields[STATE], int(fields[BEGAN])
    except (OSError, ValueError, IndexError):
        return None


@cache
def read_boot() -> str:
    """Read the id of this boot of the machine; empty where the system has none."""
    with suppress(OSError):
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return ""


@cache
def read_namespace() -> str:
    """Read the id of the namespace of process numbers; empty where the system has none."""
    with suppress(OSError):
        return str((PROC / "self/ns/pid").readlink())
    return ""
