"""YAML as plain data, with the place of each value, so that an error names file, line and column."""

from __future__ import annotations

import re
from collections.abc import Collection
from types import TracebackType
from typing import Any, NoReturn

import yaml
from yaml.reader import Reader

from dayfile.errors import LayoutError
from dayfile.messages import number_problem, plural

__all__ = ["EMPTY", "Document", "Path"]

Path = tuple[str | int, ...]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 16
WRITE_OUT = "write the value out"
EMPTY = "the value is missing; write one, or leave the word out"
HINTS = {
    "mapping values are not allowed": "; put a text that has ': ' in it in quotes",
    "tab character": "; indent with blanks, not with tabs",
    "cannot start any token": "; put a text that begins so in quotes",
    "expected ',' or": "; a bracket or brace is not closed",
}
"""What helps, by a part of what the parser says."""
TIMES_OF_DAY: tuple[Path, ...] = (("day_begins",),)
"""Words whose value is a time such as 12:00, which YAML 1.1 takes for the number 720."""
A_TIME_OF_DAY = re.compile(r"[0-9]+(:[0-9]+)+")
YAML_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}


class Collecting:
    """Adds a LayoutError that is raised within its block to a list, so that all are reported at once."""

    def __init__(self, mistakes: list[LayoutError]) -> None:
        self.mistakes = mistakes

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, LayoutError):
            if not any(is_alike(error, each) for each in self.mistakes):
                self.mistakes.append(error)
            return True
        return False


def is_alike(one: LayoutError, other: LayoutError) -> bool:
    """Return whether two mistakes are about the same word at the same place: two checks may find it."""
    words = [re.search(r"'[^']*'", each.message) for each in (one, other)]
    return one.where == other.where and words[0] is not None and words[1] is not None and words[0][0] == words[1][0]


class Document:
    """YAML as plain data, with the place of each value, and the mistakes that were found in it.

    Attributes
    ----------
    data : object
        The plain data; None in place of what is not plain.
    mistakes : list of LayoutError
        What was found wrong within :meth:`collect`, in the order in which it was found.
    left_out : list of tuple
        Paths of values that are not plain data, each with a mistake.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.data: Any = None
        self.mistakes: list[LayoutError] = []
        self.left_out: list[Path] = []
        self.places: dict[Path, yaml.Mark] = {}
        self.seen: set[yaml.Node] = set()

    @classmethod
    def parse(cls, text: str, name: str) -> Document:
        """Parse scalars, lists and mappings; leave out tags, which could build anything else, and what is ambiguous.

        Raises
        ------
        LayoutError
            The text is not YAML. Any other mistake is collected.
        """
        document = cls(name)
        if strange := Reader.NON_PRINTABLE.search(text):
            before = text[: strange.start()]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            problem = f"this is not YAML: it must not contain the character {strange[0]!r}"
            raise LayoutError(problem, where=f"{name}:{line}:{column}")
        document._check_depth(text)
        loader = LOADER(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise LayoutError("the file is empty; a layout begins with 'instrument: <name>'", where=f"{name}:1:1")
            document.data = document._build(node, (), loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            problem = getattr(error, "problem", None) or str(error)
            lines = text.splitlines() if mark else []
            if mark and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
                problem = "found a tab character"
            hint = next((hint for part, hint in HINTS.items() if part in problem), "")
            raise LayoutError(f"this is not YAML: {problem}{hint}", where=place) from error
        finally:
            loader.dispose()
        return document

    def _check_depth(self, text: str) -> None:
        """Refuse deep nesting: libyaml recurses in C when it builds the nodes, and could end the process."""
        depth = 0
        try:
            for event in yaml.parse(text, Loader=LOADER):
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                elif isinstance(event, yaml.CollectionEndEvent):
                    depth -= 1
                if depth > DEEPEST:
                    mark = event.start_mark
                    where = f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name
                    raise LayoutError(f"nested more than {DEEPEST} levels deep, which no layout needs", where=where)
        except yaml.YAMLError:
            return  # reported with its place when the nodes are built

    def _build(self, node: yaml.Node, path: Path, loader: Any) -> Any:  # noqa: ANN401 - YAML holds anything
        self.places[path] = node.start_mark
        if node in self.seen:
            # This is an alias. A few nested aliases expand to more data than fits into memory.
            return self._leave_out(path, "anchors and aliases (& and *) are not part of the vocabulary; " + WRITE_OUT)
        self.seen.add(node)
        if node.tag not in YAML_TAGS:
            return self._leave_out(path, f"the tag {node.tag!r} is not part of the vocabulary; a layout is plain data")
        if isinstance(node, yaml.SequenceNode):
            return [self._build(child, (*path, index), loader) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(node, path, loader)
        if path in TIMES_OF_DAY and isinstance(node, yaml.ScalarNode) and A_TIME_OF_DAY.fullmatch(node.value):
            return node.value
        try:
            value = loader.construct_object(node)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            # PyYAML's constructors raise these for scalars that only look like a number or a time.
            return self._leave_out(path, f"{str(node.value)[:60]!r} is not a valid value ({error})")
        if isinstance(value, int | float) and not isinstance(value, bool):
            problem = number_problem(node.value, value)
            if problem:
                return self._leave_out(path, problem)
        return value

    def _build_mapping(self, node: yaml.MappingNode, path: Path, loader: Any) -> dict[str, Any]:  # noqa: ANN401
        """Build a mapping; of a word that is there twice, the first value counts."""
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            word = str(key.value)
            here = (*path, word)
            if word in mapping:
                with self.collect():
                    self.fail(here, f"{word!r} is here a second time; leave one of them out", mark=key.start_mark)
                continue
            mapping[word] = self._build(value, here, loader)
            self.places[(*here, "")] = key.start_mark
        return mapping

    def _leave_out(self, path: Path, problem: str) -> None:
        """Collect a mistake, and leave its value out."""
        self.left_out.append(path)
        with self.collect():
            self.fail(path, problem)

    def collect(self) -> Collecting:
        """Add a mistake within the block to the list instead of raising it, and go on behind it."""
        return Collecting(self.mistakes)

    def forget_consequences(self, names: Collection[str], first: int) -> None:
        """Forget the mistakes from one on that are about names of which something else is wrong: they may follow."""
        for mistake in self.mistakes[first:]:
            if not set(names).isdisjoint(re.findall(r"\w+", mistake.message.partition("; ")[0])):
                self.mistakes.remove(mistake)

    def raise_mistakes(self) -> None:
        """Raise the first mistake that was found, if any, with the number of the others."""
        if not self.mistakes:
            return
        first, *others = self.mistakes
        if not others:
            raise first
        more = f"({plural(len(others), 'further mistake')}; 'dayfile layout check' lists all)"
        raise LayoutError(f"{first.message} {more}", where=first.where)

    def fail(self, path: Path, problem: str, *, at_key: bool = False, mark: yaml.Mark | None = None) -> NoReturn:
        """Raise a LayoutError at the place of a path or, if the file does not have it, of the nearest one above it."""
        words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        prefix = f"{words}: " if words else ""
        where = self.locate(path, at_key=at_key) if mark is None else self._format_place(mark)
        raise LayoutError(f"{prefix}{problem}", where=where)

    def locate(self, path: Path, *, at_key: bool = False) -> str:
        """Return the place of a path, or of the nearest one above it that the file has: ``file:line:column``."""
        mark = self.places.get((*path, "")) if at_key else None
        at = path
        while mark is None:
            mark = self.places.get(at)
            at = at[:-1]
        return self._format_place(mark)

    def _format_place(self, mark: yaml.Mark) -> str:
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}"
