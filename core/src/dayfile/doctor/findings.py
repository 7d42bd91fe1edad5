"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Examined", "Finding"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a plugin.

    Parameters
    ----------
    problem : str
        What is wrong, and where.
    fix : str
        What to do; empty if the problem says it.
    """

    problem: str
    fix: str = ""


@dataclass(frozen=True)
class Examined:
    """A plugin that was examined.

    Parameters
    ----------
    name : str
        Its name; of an entry point in a misspelt group, the name that it would have.
    packages : tuple of str
        Names and versions of the packages that have it.
    seconds : float or None
        How long its import took; None if it was not imported.
    findings : tuple of Finding
        What is wrong.
    """

    name: str
    packages: tuple[str, ...]
    seconds: float | None
    findings: tuple[Finding, ...]
