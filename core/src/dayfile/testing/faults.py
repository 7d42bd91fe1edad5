"""Fault injection: make a step on disk fail, or kill the process there.

The archive makes all changes on disk in steps of six kinds: ``write``, ``fsync``, ``rename``, ``copy``, ``open`` and
``unlink``. A fault names the n-th step of a kind (or of ``any``) and what happens there::

    python -m dayfile.testing.faulty rename:3:kill archive-run SOURCES --archive DIR
    python -m dayfile.testing.faulty fsync:1:fail archive-run SOURCES --archive DIR
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from dayfile.archive import disk
from dayfile.errors import UsageError
from dayfile.renamed import keep_old_names

__all__ = ["STEP_KINDS", "Fault", "inject"]

__getattr__ = keep_old_names(__name__, {"KINDS": "STEP_KINDS", "injected": "inject"})
Action = Literal["fail", "kill"]
STEP_KINDS = ("write", "fsync", "rename", "copy", "open", "unlink")


@dataclass
class Fault:
    """A fault: which step fails, and how.

    Parameters
    ----------
    kind : str
        Kind of step, or ``any``.
    number : int
        Number of the step among those of this kind, from 1.
    action : {'fail', 'kill'}
        ``fail``: the step raises an OSError like a full disk (ENOSPC). ``kill``: the process gets SIGKILL.

    Attributes
    ----------
    steps : list of (str, Path)
        Kind and path of each step so far.

    Examples
    --------
    >>> Fault.parse("rename:3:kill")
    Fault(kind='rename', number=3, action='kill')
    """

    kind: str
    number: int
    action: Action
    steps: list[tuple[str, Path]] = field(default_factory=list, repr=False)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Parse ``kind:number:action``; UsageError if that fails."""
        kind, _, rest = text.partition(":")
        number, _, action = rest.partition(":")
        if kind not in (*STEP_KINDS, "any") or not number.isdigit() or action not in get_args(Action):
            raise UsageError(f"{text!r} is not a fault; write kind:number:action, such as rename:3:kill")
        return cls(kind, int(number), cast("Action", action))

    @property
    def happened(self) -> bool:
        """Whether its step was reached."""
        return self._count() >= self.number

    def _count(self) -> int:
        """Count the steps so far of the fault's kind."""
        return sum(self.kind in (kind, "any") for kind, _ in self.steps)

    def __call__(self, kind: str, path: Path) -> None:
        """Count a step; if it is the step of the fault, make it fail or kill the process."""
        self.steps.append((kind, path))
        if self.kind not in (kind, "any") or self._count() != self.number:
            return
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@contextmanager
def inject(fault: Fault) -> Iterator[Fault]:
    """Inject a fault into this process and its workers, within the block.

    It does not happen in forks with a session of their own, which try sources: if somebody kills a process, such a fork
    is not killed alone.
    """
    session = os.getsid(0)

    def take_note(kind: str, path: Path) -> None:
        """Pass a step to the fault."""
        if os.getsid(0) == session:
            fault(kind, path)

    with disk.watch_steps(take_note):
        yield fault
