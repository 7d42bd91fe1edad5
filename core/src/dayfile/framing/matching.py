"""Which sources are those of an instrument: by name, by bytes that they begin with or contain, and by size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dayfile.model.batch import Source
from dayfile.stages.base import Order

__all__ = ["Magic", "Match", "NamePattern", "Pattern", "SizeCondition", "recognise"]

NAME_PARTS = re.compile(
    r"(?P<any>\*)|\{(?P<name>[A-Za-z_]\w*)(?::(?P<digits>[1-9]\d?))?\}|(?P<text>[^*{}]+)|(?P<wrong>.)", re.ASCII
)


@dataclass(frozen=True)
class Match:
    """What the match of a source says.

    Parameters
    ----------
    captures : dict of str to int or str
        Parts of its name by the names in the pattern; int where the pattern asks for digits.
    order : {"big", "little"}, optional
        The byte order that its magic bytes say.
    by_magic : bool
        Whether magic bytes were asked for: then it is sure.
    """

    captures: Mapping[str, int | str] = field(default_factory=dict)
    order: Order | None = None
    by_magic: bool = False


@dataclass(frozen=True)
class NamePattern:
    """A pattern of names, such as ``house_{day}.hk`` or ``{year:4}-*.wlk``.

    Parameters
    ----------
    text : str
        As it is written: ``*`` is any text, ``{name}`` captures text, ``{name:4}`` captures four digits.

    Examples
    --------
    >>> NamePattern.parse("{station}_{year:4}*.dat").capture("501_2024-05.dat.gz")
    {'station': '501', 'year': 2024}
    """

    text: str
    expression: re.Pattern[str] = field(repr=False)
    numbers: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """Parse a pattern; ValueError says what is wrong with it."""
        expression, names, numbers = "", [], set()
        for part in NAME_PARTS.finditer(text):
            name, digits = part["name"], part["digits"]
            if part["wrong"]:
                raise ValueError(f"{text!r} has a brace without a name: write {{name}}, or {{name:4}} for 4 digits")
            if part["text"]:
                expression += re.escape(part["text"])
            elif part["any"]:
                expression += ".*?"
            else:
                names.append(name)
                numbers |= {name} if digits else set()
                expression += f"(?P<{name}>[0-9]{{{digits}}})" if digits else f"(?P<{name}>.+?)"
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{text!r} captures {twice[0]!r} twice")
        if "/" in text or not text:
            raise ValueError(f"{text!r} is not a pattern of the name of a file: it has no directories")
        return cls(text, re.compile(expression, re.DOTALL), frozenset(numbers))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its captures."""
        return tuple(self.expression.groupindex)

    def capture(self, name: str) -> dict[str, int | str] | None:
        """Return what it captures of a name, None if the name is another."""
        found = self.expression.fullmatch(name.removesuffix(".gz"))
        if found is None:
            return None
        return {key: int(text) if key in self.numbers else text for key, text in found.groupdict().items()}


@dataclass(frozen=True)
class Magic:
    """Bytes that a source begins with or contains.

    Parameters
    ----------
    content : bytes
        The bytes.
    at : int
        Their offset.
    within : int, optional
        How many bytes of the source are searched for them, from that offset on; if left out, they are just there.

    Examples
    --------
    >>> from pathlib import Path
    >>> Magic(b"b").find(Source(Path("a"), "a", b"abc")), Magic(b"b", within=3).find(Source(Path("a"), "a", b"abc"))
    (None, 1)
    """

    content: bytes
    at: int = 0
    within: int | None = None

    def find(self, source: Source) -> int | None:
        """Return where they are in a source, None if they are not."""
        place = source.part(self.at, max(self.within or 0, len(self.content))).find(self.content)
        if place < 0 or (self.within is None and place):
            return None
        return self.at + place


@dataclass(frozen=True)
class SizeCondition:
    """What the size of a source must be.

    Parameters
    ----------
    least, most : int, optional
        Bounds, both included.
    multiple, rest : int
        A number of bytes that divides the size, and what is left over.

    Examples
    --------
    >>> condition = SizeCondition(multiple=48, rest=32)
    >>> condition.holds(80), condition.holds(81)
    (True, False)
    """

    least: int = 0
    most: int | None = None
    multiple: int = 1
    rest: int = 0

    def holds(self, size: int) -> bool:
        """Say whether a size is right."""
        return self.least <= size and (self.most is None or size <= self.most) and size % self.multiple == self.rest


@dataclass(frozen=True)
class Pattern:
    """What a source of an instrument looks like; all that is given must hold.

    Parameters
    ----------
    names : sequence of NamePattern
        Patterns of names, any of them.
    magic : mapping of byte order to Magic
        Magic bytes, any of them; by None if they say nothing of byte order.
    contains : Magic, optional
        Further bytes.
    size : SizeCondition, optional
        What the size must be.
    """

    names: Sequence[NamePattern] = ()
    magic: Mapping[Order | None, Magic] = field(default_factory=dict)
    contains: Magic | None = None
    size: SizeCondition | None = None

    def propose_names(self, text: str) -> list[str]:
        """Propose names that fit, with a text for ``*``; none for patterns with captures, whose values nobody says."""
        if not self.names:
            return [text]
        return [pattern.text.replace("*", text) for pattern in self.names if not pattern.names]

    def match(self, source: Source) -> Match | None:
        """Return what is known of a source that looks like this, None if it does not."""
        captures: Mapping[str, int | str] | None = {}
        if self.names:
            found = (pattern.capture(source.name) for pattern in self.names)
            captures = next((each for each in found if each is not None), None)
        if captures is None or (self.size and not self.size.holds(source.size)):
            return None
        if self.contains and self.contains.find(source) is None:
            return None
        places = {order: magic.find(source) for order, magic in self.magic.items()}
        there = {order: place for order, place in places.items() if place is not None}
        if self.magic and not there:
            return None
        order = min(there, key=lambda each: there[each]) if there else None
        return Match(captures, order, by_magic=bool(self.magic or self.contains))


def recognise(source: Source, patterns: Sequence[Pattern]) -> Match | None:
    """Return the match of a source with the first pattern that it looks like; None if it looks like none of them.

    Examples
    --------
    >>> from pathlib import Path
    >>> patterns = [Pattern(magic={"big": Magic(b"MUTL"), "little": Magic(b"LTUM")})]
    >>> recognise(Source(Path("a.bin"), "a.bin", b"LTUM..."), patterns).order
    'little'
    """
    return next((match for pattern in patterns if (match := pattern.match(source)) is not None), None)
