"""Words for the members of a C struct: bit fields that share bytes are parts of one word of a layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from dayfile.authoring.c_structs import CMember, CStruct, round_up
from dayfile.errors import UsageError

__all__ = ["group_members", "is_natural"]

WIDEST_WORD = 8
"""Bytes of the widest word of a layout."""


@dataclass
class SharedWord:
    """The bytes from ``begin`` to ``end`` of a struct, and the bit fields in them."""

    begin: int
    end: int
    members: list[CMember]


def group_members(struct: CStruct) -> Iterator[tuple[int, int, list[CMember]]]:
    """Group bits of one word: yield offset, bytes and members of each group, and other members one by one.

    Raises
    ------
    UsageError
        The bits of a packed struct share more bytes than a word of a layout has.
    """
    runs = [list(run) for _, run in groupby(struct.members, key=lambda each: bool(each.bits))]
    end = 0
    for run, following in pairwise([*runs, []]):
        if not run[0].bits:
            yield from ((each.offset, each.type.whole, [each]) for each in run)
            end = run[-1].offset + run[-1].type.whole
            continue
        limit = following[0].offset if following else struct.size
        for word in find_words(run, end, limit):
            yield word.begin, word.end - word.begin, word.members


def find_words(members: list[CMember], begin: int, limit: int) -> list[SharedWord]:
    """Find the words of bit fields one after another: as wide as their types, but not into what is beside them."""
    words: list[SharedWord] = []
    for each in members:
        end = min(each.offset + each.room, limit)
        if words and each.offset < words[-1].end:
            words[-1].end = max(words[-1].end, end)
            words[-1].members.append(each)
        else:
            words.append(SharedWord(max(each.offset, begin), end, [each]))
        if words[-1].end - words[-1].begin > WIDEST_WORD:
            raise UsageError(
                f"the bits of {each.name or 'a member'} share more than {WIDEST_WORD} bytes with others; "
                "layouts have no word for it"
            )
    return words


def is_natural(struct: CStruct) -> bool:
    """Return whether fields, aligned naturally, are where the struct has them."""
    return find_natural(struct) is not None


def find_natural(struct: CStruct) -> int | None:
    """Find the alignment of a struct whose members are aligned naturally; None if they are not."""
    end, widest = 0, 1
    for offset, size, members in group_members(struct):
        kind = members[0].type
        alignment = find_natural(kind.struct) if kind.struct else size if members[0].bits else kind.size
        if alignment is None or alignment not in (1, 2, 4, 8) or round_up(end, alignment) != offset:
            return None
        end, widest = offset + size, max(widest, alignment)
    return widest if round_up(end, widest) == struct.size else None
