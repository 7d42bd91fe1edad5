"""How the sources of a layout become records: what its words are compiled to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dayfile.decoding.requirements import Requirement
from dayfile.framing.matching import Pattern
from dayfile.framing.reader import Head
from dayfile.framing.synced import find_sync_order
from dayfile.lines.carried_lines import CarriedLine
from dayfile.lines.lines import LineForm
from dayfile.lines.numbers import TextColumn
from dayfile.model.datatype import DataType
from dayfile.stages.base import Bytes, Columns, Framer, Frames, Order, Wrong
from dayfile.stages.parts import StructPart
from dayfile.stages.structs import StructValues
from dayfile.timing.times import Making, Moments

__all__ = ["Carried", "FrameReading", "Framing", "LinePlan", "Plan", "RecordForm", "RecordKind", "name_typed"]


def name_typed(name: str) -> str:
    """Name the values of a field, where the same values are needed as they are written, too."""
    return f"{name} of its type"


@dataclass(frozen=True, eq=False)
class RecordForm:
    """One way in which records of a type come; one is like no other, so that it is found without a look at its parts.

    Parameters
    ----------
    requirements : tuple of Requirement
        Which frames have it: all must hold.
    parts : tuple of StructPart
        What is behind the fields of the frame; empty where values are found by name.
    """

    requirements: tuple[Requirement, ...]
    parts: tuple[StructPart, ...] = ()


@dataclass(frozen=True)
class RecordKind:
    """How records of a data type are made.

    Parameters
    ----------
    data_type : DataType
        What they become.
    forms : tuple of RecordForm
        The ways in which they come; none for records that are rows of others.
    names : mapping of str to str
        Names of the values of fields that have another name.
    making : Making, optional
        How times are made, where they are not in stored fields.
    call : callable, optional
        A function that makes further values of those that were read.
    columns : tuple of TextColumn
        What the parts of lines are read as.
    line : LineForm, optional
        Which parts its lines have, if others than those of all.
    texts : tuple of str
        Names of values in lines of which times and keys are made, or that hold for other lines: as they are written.
    """

    data_type: DataType
    forms: tuple[RecordForm, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    making: Making | None = None
    call: Callable[..., Any] | None = None
    columns: tuple[TextColumn, ...] = ()
    line: LineForm | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Carried:
    """A value of earlier records that holds for later ones.

    Parameters
    ----------
    name : str
        Its name.
    types : tuple of str
        The types whose records tell it.
    first : bool
        Whether the first of the file holds for all its records; else the latest holds.
    """

    name: str
    types: tuple[str, ...]
    first: bool = False


class FrameReading(Protocol):
    """Reads what is in frames."""

    @property
    def wrong(self) -> Wrong | None:
        """Return which frames are no records, whatever their type; None if that is not known yet."""
        ...

    @property
    def separator(self) -> bytes:
        """Return what is between frames in a file."""
        ...

    def make_head(self, place: int) -> bytes:
        """Make what has to be in front of a frame of the block, so that it can be decoded alone."""
        ...

    def read_heads(self, frames: Frames, known: Mapping[str, Any]) -> Columns:
        """Read what all frames have, by which their types are found."""
        ...

    def read_bodies(
        self,
        form: RecordForm,
        frames: Frames,
        values: Mapping[str, Any],
        kind: RecordKind,
        places: npt.NDArray[np.int64],
    ) -> tuple[StructValues, Wrong]:
        """Read the records of one form, whose frames are those at these places of all that heads were read of."""
        ...


@dataclass(frozen=True)
class LinePlan:
    """How lines of text are records.

    Parameters
    ----------
    form : LineForm
        What a line is.
    carried : tuple of CarriedLine
        Lines whose values hold for those that follow.
    """

    form: LineForm
    carried: tuple[CarriedLine, ...] = ()


@dataclass(frozen=True)
class Framing:
    """What finds the frames of a source, for sources of either byte order.

    Parameters
    ----------
    framers : mapping of byte order to Framer
        What finds the frames.
    heads : mapping of byte order to Head
        What is in front of them; empty if nothing is.
    syncs : mapping of byte order to bytes
        Sync patterns that say the byte order of a source; empty if they do not.
    """

    framers: Mapping[Order, Framer]
    heads: Mapping[Order, Head]
    syncs: Mapping[Order, bytes]

    def find_order(self, block: Bytes) -> Order | None:
        """Say which byte order a source has by its first sync; None if none says it."""
        return find_sync_order(block, self.syncs) if self.syncs else None


@dataclass(frozen=True)
class Plan:
    """How the sources of a layout become records.

    Parameters
    ----------
    instrument : str
        Whose they are.
    patterns : tuple of Pattern
        What sources look like.
    kinds : tuple of RecordKind
        The types of records.
    framing : Framing
        How frames are found.
    lines : LinePlan, optional
        How lines of text are records.
    byte_order : {'big', 'little'}
        That of sources which do not tell it.
    natural : bool
        Whether fields are aligned as C compilers do it.
    carried : tuple of Carried
        Values that records tell for others.
    ignored : tuple of tuple of Requirement
        Frames that are left out quietly, if no type describes them.
    ignores_others : bool
        Whether all frames are that no type describes.
    ignores_between : bool
        Whether bytes between frames are, too.
    head_kind : RecordKind, optional
        The type whose records the heads of files are.
    counts_packets : bool
        Whether frames are packets with a sequence count, whose gaps are named in remarks.
    """

    instrument: str
    patterns: tuple[Pattern, ...]
    kinds: tuple[RecordKind, ...]
    framing: Framing
    lines: LinePlan | None = None
    byte_order: Order = "big"
    natural: bool = False
    carried: tuple[Carried, ...] = ()
    ignored: tuple[tuple[Requirement, ...], ...] = ()
    ignores_others: bool = False
    ignores_between: bool = False
    head_kind: RecordKind | None = None
    counts_packets: bool = False

    @property
    def needs_zone(self) -> bool:
        """Return whether the settings must say in which time zone a clock is."""
        return any(isinstance(kind.making, Moments) and kind.making.needs_zone for kind in self.kinds)

    @property
    def only_code(self) -> str | None:
        """The code of the type of which all frames are, good or not; None if there are others, or conditions."""
        kinds = [kind for kind in self.kinds if kind.forms]
        if len(kinds) != 1 or any(form.requirements for form in kinds[0].forms):
            return None
        return kinds[0].data_type.code

    def in_zone(self, name: str) -> Plan:
        """Return the plan with a time zone for the clocks that need one."""
        kinds = [
            replace(kind, making=kind.making.in_zone(name)) if isinstance(kind.making, Moments) else kind
            for kind in self.kinds
        ]
        return replace(self, kinds=tuple(kinds))
