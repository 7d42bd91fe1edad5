"""C headers before they are parsed: comments, directives and attributes are taken out, line by line."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dayfile.errors import UsageError

__all__ = ["CHeader", "Comment", "preprocess"]

PIECES = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
LINE_MARKER = re.compile(r'^# \d+ "[^"\n]*"(?P<flags>[ \d]*)$', re.MULTILINE)
"""Where a compiler says of which file the next lines are; those of headers of the system have the flag 3."""
DIRECTIVE = re.compile(r"\s*#\s*(?P<word>\w*)\s*(?P<rest>.*)")
MACRO = re.compile(r"(?P<name>\w+)(?P<arguments>\([^)]*\))?\s*(?P<body>.*)")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?P<what>[^()]*(?:\([^()]*\))?[^()]*)\)\)")
KEYWORD = re.compile(r"\b(?:struct|union)\b\s*\w*\s*$")
SUFFIXED = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b")
NUMERIC = re.compile(r"[\w\s+*/%()<>&|~^-]*\d[\w\s+*/%()<>&|~^-]*")
C_NAME = re.compile(r"\b[A-Za-z_]\w*\b")
DECORATION = re.compile(r"^\s*(?:/\*+[!<]*|//+[!<]*|\*+(?!/))?\s?|\s*\**\*/\s*$")
MOST_MACROS = 20
"""How often names of macros are replaced in what they stand for."""


@dataclass(frozen=True)
class Comment:
    """A comment.

    Parameters
    ----------
    first, last : int
        Lines, from 1.
    column : int
        Where it begins in its line, from 1.
    text : str
        What it says, in one line.
    alone : bool
        Whether nothing is in front of it on its line.
    """

    first: int
    last: int
    column: int
    text: str
    alone: bool


@dataclass
class CHeader:
    """A header that was read.

    Parameters
    ----------
    path : Path
        The file.
    lines : list of str
        What is left of its lines; those that are not compiled are empty.
    comments : list of Comment
        The comments in order.
    constants : dict of str to str
        Macros that are numbers, or sums of numbers, with what they stand for.
    packs : list of int
        For each line, to how many bytes structs are aligned at most, by ``#pragma pack``; 0 for the compiler's own way.
    packed : set of int
        Lines of structs with the attribute ``packed``.
    """

    path: Path
    lines: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)
    packs: list[int] = field(default_factory=list)
    packed: set[int] = field(default_factory=set)

    @property
    def text(self) -> str:
        """The lines as a text."""
        return "\n".join(self.lines) + "\n"

    def find_comment(self, line: int, column: int) -> str:
        """Find the comment about what is declared somewhere: behind it, or alone on the lines in front of it."""
        plain = self.lines[line - 1]
        behind = [
            each
            for each in self.comments
            if each.first == line and each.column > column and plain.count(";", column - 1, each.column) <= 1
        ]
        return behind[-1].text if behind else self.find_comment_above(line)

    def find_comment_above(self, line: int) -> str:
        """Find the comment alone on the lines in front of a line."""
        return next((each.text for each in self.comments if each.last == line - 1 and each.alone), "")


def preprocess(path: Path) -> CHeader:
    """Read a C header.

    Raises
    ------
    UsageError
        It cannot be read, or has a directive that is not understood.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the header cannot be read ({error.strerror})", where=path) from error
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")
    header = CHeader(path)
    plain = take_out_comments(join_lines(text), header)
    header.lines = list(run_directives(plain.split("\n"), header))
    take_out_attributes(header)
    return header


def join_lines(text: str) -> str:
    """Join lines that end with a backslash; empty lines behind them keep the count."""

    def join(found: re.Match[str]) -> str:
        return found[0].replace("\\\n", " ") + "\n" * found[0].count("\\\n")

    return re.sub(r"(?:[^\n]*\\\n)+[^\n]*", join, text.replace("\r\n", "\n"))


def take_out_comments(text: str, header: CHeader) -> str:
    """Take the comments out of a text, and note them, without those of the system; each line stays where it is."""
    markers = list(LINE_MARKER.finditer(text))
    begins = [each.start() for each in markers]

    def is_of_the_system(place: int) -> bool:
        before = bisect(begins, place)
        return before > 0 and "3" in markers[before - 1]["flags"].split()

    def replace(found: re.Match[str]) -> str:
        piece = found[0]
        if not piece.startswith("/"):
            return piece
        first = text.count("\n", 0, found.start()) + 1
        alone = not text[text.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
        words = " ".join(DECORATION.sub("", line).strip() for line in piece.split("\n"))
        words = " ".join(DECORATION.sub("", words).split())
        column = found.start() - text.rfind("\n", 0, found.start())
        if not is_of_the_system(found.start()):
            header.comments.append(Comment(first, first + piece.count("\n"), column, words, alone))
        return re.sub(r"[^\n]", " ", piece)

    plain = PIECES.sub(replace, text)
    join_single_lines(header)
    return plain


def join_single_lines(header: CHeader) -> None:
    """Join comments of one line each that are alone on lines one after another."""
    joined: list[Comment] = []
    for each in header.comments:
        before = joined[-1] if joined else None
        if before and before.alone and each.alone and each.first == before.last + 1:
            joined[-1] = Comment(
                before.first, each.last, before.column, f"{before.text} {each.text}".strip(), alone=True
            )
        else:
            joined.append(each)
    header.comments = joined


def run_directives(lines: list[str], header: CHeader) -> Iterator[str]:
    """Run the directives, and yield what is left of each line."""
    texts: dict[str, str] = {}
    functions: set[str] = set()
    conditions: list[bool] = []
    packs = [0]
    for number, line in enumerate(lines, 1):
        found = DIRECTIVE.fullmatch(line)
        if found is None:
            header.packs.append(packs[-1])
            yield replace_macros(line, texts, functions, header, number) if all(conditions) else ""
            continue
        word, rest = found["word"], found["rest"].strip()
        if word in ("if", "ifdef", "ifndef", "elif", "else", "endif"):
            run_condition(word, rest, conditions, {*texts, *header.constants, *functions}, f"{header.path}:{number}")
        elif all(conditions):
            if word == "define":
                define(rest, texts, functions, header)
            elif word == "undef":
                texts.pop(rest, None)
                header.constants.pop(rest, None)
            elif word == "include" and not rest.startswith("<"):
                message = f"{rest} is not read; give a header that has all, such as cc -E -C makes it"
                raise UsageError(message, where=f"{header.path}:{number}")
            elif word == "pragma":
                run_pack(rest, packs, f"{header.path}:{number}")
        header.packs.append(packs[-1])
        yield ""


def run_condition(word: str, rest: str, conditions: list[bool], known: set[str], where: str) -> None:
    """Run a directive that says whether lines are compiled."""
    if word in ("ifdef", "ifndef"):
        conditions.append((rest in known) == (word == "ifdef"))
        return
    if word == "if":
        asked = re.fullmatch(r"(!?)\s*defined\s*\(?\s*(\w+)\s*\)?", rest)
        if asked:
            conditions.append((asked[2] in known) != bool(asked[1]))
        elif rest.isdigit():
            conditions.append(rest != "0")
        else:
            raise UsageError(f"#if {rest} is not understood; take it out, with what is not compiled", where=where)
        return
    if not conditions:
        raise UsageError(f"#{word} without #if", where=where)
    if word == "elif":
        raise UsageError("#elif is not understood; take it out, with what is not compiled", where=where)
    before = conditions.pop()
    if word == "else":
        conditions.append(not before)


def define(rest: str, texts: dict[str, str], functions: set[str], header: CHeader) -> None:
    """Run ``#define``."""
    found = MACRO.fullmatch(rest)
    if found is None:
        return
    name, body = found["name"], SUFFIXED.sub(r"\1", found["body"].strip())
    names = set(C_NAME.findall(body))
    if found["arguments"]:
        functions.add(name)
    elif body and names <= header.constants.keys() and (NUMERIC.fullmatch(body) or names):
        header.constants[name] = body
    else:
        texts[name] = body


def replace_macros(line: str, texts: dict[str, str], functions: set[str], header: CHeader, number: int) -> str:
    """Replace the names of macros that are not numbers."""
    for _ in range(MOST_MACROS):
        replaced = C_NAME.sub(lambda found: texts.get(found[0], found[0]), line)
        if replaced == line:
            break
        line = replaced
    for name in C_NAME.findall(line):
        if name in functions:
            raise UsageError(
                f"the macro {name} has arguments; write what it stands for", where=f"{header.path}:{number}"
            )
    return SUFFIXED.sub(r"\1", line)


def run_pack(rest: str, packs: list[int], where: str) -> None:
    """Run ``#pragma pack``; other pragmas change nothing of structs."""
    found = re.fullmatch(r"pack\s*\(([^)]*)\)", rest)
    if found is None:
        return
    words = [word.strip() for word in found[1].split(",") if word.strip()]
    numbers = [int(word) for word in words if word.isdigit()]
    if words == ["pop"]:
        if len(packs) == 1:
            raise UsageError("#pragma pack(pop) without push", where=where)
        packs.pop()
    elif words[:1] == ["push"]:
        packs.append(numbers[0] if numbers else packs[-1])
    else:
        packs[-1] = numbers[0] if numbers else 0


def take_out_attributes(header: CHeader) -> None:
    """Take out attributes, and note which structs are packed."""
    text = header.text
    for found in ATTRIBUTE.finditer(text):
        if not re.search(r"\b_*packed_*\b", found["what"]):
            message = f"the attribute {found['what']} is not understood; only packed is"
            raise UsageError(message, where=f"{header.path}:{text.count(chr(10), 0, found.start()) + 1}")
        before = text[: found.start()].rstrip()
        opened = find_opening(before) if before.endswith("}") else text.find("{", found.end())
        begin = KEYWORD.search(ATTRIBUTE.sub(lambda each: " " * len(each[0]), text[: max(opened, 0)]))
        if begin is None or begin.start() > found.start():
            message = "the attribute packed is not understood here; write it behind 'struct', or behind its '}'"
            raise UsageError(message, where=f"{header.path}:{text.count(chr(10), 0, found.start()) + 1}")
        header.packed.add(text.count("\n", 0, begin.start()) + 1)
    plain = ATTRIBUTE.sub(lambda each: "\n" * each[0].count("\n"), text)
    header.lines = plain.split("\n")[: len(header.lines)]


def find_opening(text: str) -> int:
    """Find the brace that the last one of a text closes."""
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        depth += {"}": 1, "{": -1}.get(text[place], 0)
        if not depth:
            return place
    return 0
