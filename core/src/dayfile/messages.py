"""Words of messages to people, whatever they are about."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

__all__ = [
    "AGAIN_WITH",
    "again_with",
    "format_age",
    "format_size",
    "list_some",
    "number_problem",
    "path_problem",
    "plural",
    "plural_of",
    "printable",
    "suggest",
    "suggest_near",
]


def plural(number: int, noun: str) -> str:
    """A number and a noun in the singular or plural that goes with it; rules of English for regular nouns.

    Examples
    --------
    >>> plural(1, "day file"), plural(1200, "record"), plural(0, "entry"), plural(2, "batch")
    ('1 day file', '1,200 records', '0 entries', '2 batches')
    """
    return f"{number:,} {noun if number == 1 else plural_of(noun)}"


def plural_of(noun: str) -> str:
    """The plural of a regular noun."""
    if noun[-1] == "y" and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def list_some(words: Iterable[str], most: int = 20) -> str:
    """List words, and how many more there are.

    Examples
    --------
    >>> list_some(["501", "502", "503"], most=2), list_some([])
    ('501, 502 and 1 more', 'none')
    """
    known = list(words)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return (", ".join(known[:most]) or "none") + more


def format_size(size: float) -> str:
    """Format a number of bytes in the unit that keeps it short.

    Examples
    --------
    >>> format_size(17), format_size(2000), format_size(88_000), format_size(2_000_000_000_000)
    ('17 B', '2.0 kB', '88 kB', '2.0 TB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    while round(size) >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 9.95 else f"{size:.1f} {units[0]}"


def format_age(seconds: float) -> str:
    """Format seconds in the largest suitable unit.

    Examples
    --------
    >>> format_age(17), format_age(3600), format_age(200_000)
    ('17 s', '1 h', '2 days')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if length <= seconds < 24 * 3600:
            return f"{seconds // length:.0f} {unit}"
    return plural(int(seconds // 86400), "day") if seconds > 60 else f"{max(seconds, 0):.0f} s"


AGAIN_WITH = re.compile(r"(dayfile quarantine requeue --all), then (archive-run(?: --set \S+)+)")
"""The commands of :func:`again_with` in a message."""


def again_with(*pairs: str) -> str:
    """Name the commands that archive what is in quarantine because of settings.

    Parameters
    ----------
    *pairs : str
        Settings with the values that let it pass.

    Examples
    --------
    >>> again_with("muon.threshold=20")
    'dayfile quarantine requeue --all, then archive-run --set muon.threshold=20'
    """
    return f"dayfile quarantine requeue --all, then archive-run {' '.join(f'--set {pair}' for pair in pairs)}"


def begin_small(text: str) -> str:
    """Begin a text with a small letter, unless its first word is one such as YAML, UTC or HDF5.

    Examples
    --------
    >>> begin_small("Input should be a text"), begin_small("YAML reads a number"), begin_small("A day")
    ('input should be a text', 'YAML reads a number', 'a day')
    """
    first = text.partition(" ")[0]
    return text if first[1:] != first[1:].lower() or any(map(str.isdigit, first)) else f"{text[:1].lower()}{text[1:]}"


def suggest_extra(extra: str) -> str:
    """Say by which command pip installs an extra.

    Examples
    --------
    >>> suggest_extra("web")
    'install it with: pip install "dayfile[web]"'
    """
    return f'install it with: pip install "dayfile[{extra}]"'


def path_problem(path: str) -> str:
    r"""Return why HDF5 cannot open a path, and what to do; empty if it can.

    Examples
    --------
    >>> path_problem("größe"), path_problem("gr\udcf6")
    ('', 'its path is not UTF-8, which HDF5 needs; rename the file or directory')
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        if encoding == "utf-8":
            return "its path is not UTF-8, which HDF5 needs; rename the file or directory"
        return f"its path has letters that this locale ({encoding}) does not know; set LC_ALL=C.UTF-8"
    return ""


OTHER_NUMBER = re.compile(r"[-+]?(?P<octal>0[0-7_]+)|[-+]?0b[01_]+|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|.*_.*")


def number_problem(text: str, value: float) -> str:
    """What is wrong with a number as it is written in YAML, where other readers see another one; empty if nothing is.

    PyYAML reads numbers as YAML 1.1 does: a zero in front makes them octal, colons sexagesimal, and underscores are
    left out. In YAML 1.2 these are decimal numbers or texts. Who wrote them mostly meant what YAML 1.2 reads, but not
    always: so they are refused, not read in either way. Hexadecimal (0x1F5) is the same in both.

    Parameters
    ----------
    text : str
        The number as it is written, without quotes.
    value : float
        What PyYAML makes of it.

    Examples
    --------
    >>> number_problem("0501", 321)
    "'0501' is 321 in YAML 1.1 and 501 in YAML 1.2; write one of these, or put it in quotes if it is a text"
    >>> number_problem("8:30", 510)
    "'8:30' is 510 in YAML 1.1 and a text in YAML 1.2; write 510, or put it in quotes if it is a text"
    >>> number_problem("501", 501)
    ''
    """
    match = OTHER_NUMBER.fullmatch(text)
    if match is None or ("_" not in text and match["octal"] and int(text) == value):
        return ""
    if match["octal"] and "_" not in text:
        other, advice = f"{int(text)}", "one of these"
    else:
        other, advice = "a text", f"{value}"
    return (
        f"{text!r} is {value} in YAML 1.1 and {other} in YAML 1.2; write {advice}, or put it in quotes if it is a text"
    )


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
    known = list(words)
    return suggest_near(word, known) or (f"; one of {list_some(known)}" if known else "")


def suggest_near(word: str, words: Iterable[str]) -> str:
    """What to put behind a message about a word that is not known: the word that was meant, if one is near.

    Examples
    --------
    >>> suggest_near("unit16", ["uint8", "uint16"]), suggest_near("x", ["uint8", "uint16"])
    ("; did you mean 'uint16'?", '')
    """
    from difflib import get_close_matches  # only where something is wrong

    near = get_close_matches(word, list(words), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
