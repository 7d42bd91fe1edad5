"""What happened to a record that was to be written."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["STORED_STATUSES", "Status"]


class Status(IntEnum):
    """What happened to a record.

    The numbers are part of the interface: programs that put records get them.

    Attributes
    ----------
    WRITTEN
        It was written.
    CONFLICT
        Its place held another record.
    IN_CONFLICT
        Its place was in conflict already.
    IDENTICAL
        The same record is there already.
    REJECTED
        It cannot be archived and is in quarantine.

    Examples
    --------
    >>> Status.IDENTICAL == 3, Status(1).name
    (True, 'CONFLICT')
    """

    WRITTEN = 0
    CONFLICT = 1
    IN_CONFLICT = 2
    IDENTICAL = 3
    REJECTED = 4


STORED_STATUSES = tuple(status for status in Status if status is not Status.REJECTED)
"""Statuses of records that are in the day file."""
