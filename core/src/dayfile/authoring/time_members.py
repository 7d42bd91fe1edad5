"""Members of structs that can be the time of a record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dayfile.authoring.c_structs import CMember, CStruct
from dayfile.authoring.remarks import Epoch, find_counted, find_epoch, read_meaning
from dayfile.errors import UsageError
from dayfile.messages import suggest_near

__all__ = ["TimeMember", "choose_time", "list_times"]

TIME_WORDING = re.compile(
    r"(?:^|_)(?:unix|utc|gps|posix)?_?(?:time|times?tamp|stamp|secs?|seconds?|epoch|t)(?:_?(?:s|sec|ms|us|ns))?$"
)
FRACTIONS = {"ns": r"nano|(?:^|_)ns", "us": r"micro|(?:^|_)us", "ms": r"milli|(?:^|_)ms"}
TICK_UNITS = {"d": "d", "s": "s", "ms": "ms", "us": "us", "ns": "ns", "µs": "us"}
COUNTING = frozenset({"uint32", "int32", "uint64", "int64", "float64"})


@dataclass(frozen=True)
class TimeMember:
    """A member that can be the time of a record.

    Parameters
    ----------
    name : str
        The name of its field.
    member : CMember
        The member.
    offset : int
        Bytes in front of it in the record.
    epoch : Epoch
        From when on it counts.
    fraction : str
        The field with the fraction of the second; empty without one.
    fraction_unit : str
        Its unit.
    likely : bool
        Whether its name or its comment say that it is a time.
    counts : str
        What it counts, if a sample shows it.
    week : str
        The field with the GPS week in which it counts; empty without one.
    """

    name: str
    member: CMember
    offset: int
    epoch: Epoch
    fraction: str = ""
    fraction_unit: str = ""
    likely: bool = True
    counts: str = ""
    week: str = ""

    @property
    def named_unit(self) -> str:
        """What its comment says that it counts; empty if it does not."""
        comment = self.member.comment
        return find_counted(comment) or TICK_UNITS.get(read_meaning(comment).unit, "")

    @property
    def unit(self) -> str:
        """What it counts."""
        return self.counts or self.named_unit or "s"


def list_times(struct: CStruct, prefix: str = "", offset: int = 0, said: tuple[str, ...] = ()) -> Iterator[TimeMember]:
    """List the members of a struct that can be the time of a record: single numbers that are wide enough."""
    above = (struct.comment, *said)
    for member in struct.members:
        name, kind = f"{prefix}{member.name}", member.type
        if kind.shape or member.bits:
            continue
        if kind.struct:
            yield from list_times(kind.struct, f"{name}_", offset + member.offset, (member.comment, *above))
        elif kind.kind in COUNTING and not kind.enum:
            likely = bool(TIME_WORDING.search(member.name.lower())) or "since" in member.comment
            fraction, unit = find_fraction(struct, member)
            epoch = find_epoch([member.comment, *above])
            yield TimeMember(
                name, member, offset + member.offset, epoch, f"{prefix}{fraction}" if fraction else "", unit, likely
            )


def find_fraction(struct: CStruct, time: CMember) -> tuple[str, str]:
    """Find the member behind a time that has the fraction of its seconds, and the unit."""
    for each in [each for each in struct.members if each.offset > time.offset][:1]:
        whole = each.type.kind in COUNTING - {"float64"} and not each.type.shape
        for unit, pattern in FRACTIONS.items():
            if whole and re.search(pattern, each.name.lower()):
                return each.name, unit
    return "", ""


def choose_time(struct: CStruct, wanted: str | None = None) -> TimeMember:
    """Choose the time of records: the field that is wanted, or the first whose name or comment says so, or the first.

    Raises
    ------
    UsageError
        No member can be a time, or not the one that is wanted.
    """
    found = list(list_times(struct))
    if wanted is not None:
        chosen = next((each for each in found if each.name == wanted), None)
        if chosen is None:
            names = [each.name for each in found]
            raise UsageError(
                f"{wanted} cannot be the time{suggest_near(wanted, names) or '; ' + ', '.join(names) + ' can'}"
            )
        return chosen
    if not found:
        problem = f"struct {struct.name} has no number of 4 or 8 bytes that can be a time"
        raise UsageError(f"{problem}; write its layout by hand, with a time from the name or the head of a file")
    return next((each for each in found if each.likely), found[0])
