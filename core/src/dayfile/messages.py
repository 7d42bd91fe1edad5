"""Words of messages to people, whatever they are about."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["plural", "printable", "suggest"]


def plural(number: int, noun: str) -> str:
    """A number and a noun, which has an s where it is not one.

    Examples
    --------
    >>> plural(1, "day file"), plural(1200, "record")
    ('1 day file', '1,200 records')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """A text in one line that any terminal can show: names of files may hold anything."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def suggest(word: str, words: Iterable[str]) -> str:
    """What to put behind a message about a word that is not known: the word that was meant, or all that are known.

    Examples
    --------
    >>> suggest("unit16", ["uint8", "uint16"]), suggest("x", ["uint8", "uint16"]), suggest("x", [])
    ("; did you mean 'uint16'?", '; one of uint8, uint16', '')
    """
    from difflib import get_close_matches  # only where something is wrong

    known = list(words)
    near = get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; one of {', '.join(known)}" if known else ""
