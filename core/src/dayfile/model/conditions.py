"""Conditions on records, written as text: ``pulseheight[0] > 500 and not quality.BAD_CLOCK``.

The grammar is closed: comparisons (also chained), ``and``, ``or``, ``not``, ``in``, numbers, texts and lists of them,
names of fields and keys, elements of array fields (``counts[2]``) and flags of a field (``quality.BAD_CLOCK``).
Python's parser reads the text, each part of it is checked against the data type, and nothing of it is ever executed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural, suggest
from dayfile.model.datatype import DataType
from dayfile.model.field import Flag
from dayfile.model.times import TIME_WORDS

__all__ = ["Condition", "Lookup", "parse_condition"]


class Lookup(Protocol):
    """What looks up the values that a condition is about."""

    def __call__(self, name: str, /, *, stored: bool = False) -> Any:  # noqa: ANN401 - an array, or a single value
        """Return the values of a field, shape (n, *shape of the field), or the single value of a key.

        With ``stored``, they are not converted to physical values: flags are those of stored values.
        """


COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
GRAMMAR = (
    "a condition has comparisons (== != < <= > >=), and, or, not, in, elements such as counts[2], and flags such as "
    "quality.BAD"
)
SIGNS = {ast.BitAnd: "and", ast.BitOr: "or", ast.Invert: "not"}
"""What is meant by signs that other programs have for the words: their precedence is another."""
LONGEST = 2000
"""Letters of a condition; Python's parser needs stack for nested ones."""


class Term(Protocol):
    """A part of a condition."""

    def evaluate(self, lookup: Lookup) -> Any:  # noqa: ANN401 - an array, shape (n,), or a single value for all
        """Return its value for each record."""


@dataclass(frozen=True)
class Constant:
    """A number, text or truth value."""

    value: float | str

    def evaluate(self, lookup: Lookup) -> Any:  # noqa: ANN401, ARG002 - as Term
        """Return the value itself; texts as bytes, as fields hold them."""
        return self.value.encode() if isinstance(self.value, str) else self.value


@dataclass(frozen=True)
class Column:
    """A key, a field with a single value, or an element of an array field."""

    name: str
    index: tuple[int, ...] = ()

    def evaluate(self, lookup: Lookup) -> Any:  # noqa: ANN401 - as Term
        """Return its values."""
        values = lookup(self.name)
        return values.encode() if isinstance(values, str) else self.pick(values)

    def pick(self, values: Any) -> Any:  # noqa: ANN401 - an array
        """Pick its element from the values of the field."""
        return values[(slice(None), *self.index)] if self.index else values


@dataclass(frozen=True)
class Flagged:
    """Whether a flag of a field is set, which is one bit, or one of several values."""

    column: Column
    flags: tuple[Flag, ...]

    def evaluate(self, lookup: Lookup) -> Any:  # noqa: ANN401 - as Term
        """Return whether one of the flags is set."""
        values = self.column.pick(lookup(self.column.name, stored=True))
        return np.any([flag.is_set(values) for flag in self.flags], axis=0)


@dataclass(frozen=True)
class Comparison:
    """Two values compared.

    A key may be a number or a text, and equals either, as ``station=501`` and ``station="501"`` ask for the same one.
    """

    left: Term
    compare: Callable[[Any, Any], Any]
    right: Term
    text: str

    def evaluate(self, lookup: Lookup) -> Any:  # noqa: ANN401 - as Term
        """Compare the values."""
        left, right = self.left.evaluate(lookup), self.right.evaluate(lookup)
        if is_text(left) != is_text(right):
            if self.compare not in (operator.eq, operator.ne):
                raise UsageError(f"where: {self.text} compares a text with a number")
            left, right = np.asarray(left).astype("S"), np.asarray(right).astype("S")
        return self.compare(left, right)


@dataclass(frozen=True)
class Logic:
    """All or any of several conditions, or the opposite of one."""

    combine: Callable[..., Any]
    parts: tuple[Term, ...]

    def evaluate(self, lookup: Lookup) -> Any:  # noqa: ANN401 - as Term
        """Combine the conditions."""
        values = [np.asarray(part.evaluate(lookup), bool) for part in self.parts]
        result = values[0]
        for value in values[1:]:
            result = self.combine(result, value)
        return self.combine(result) if self.combine is np.logical_not else result


@dataclass(frozen=True)
class Condition:
    """A condition that was parsed.

    Parameters
    ----------
    text : str
        As it was written.
    names : frozenset of str
        The fields and keys that it is about.
    """

    text: str
    names: frozenset[str]
    root: Term

    def holds(self, lookup: Lookup, rows: int) -> npt.NDArray[np.bool_]:
        """Find the records for which it holds.

        Parameters
        ----------
        lookup : callable
            Returns the values of a field or key by its name.
        rows : int
            Number of records.

        Returns
        -------
        array of bool, shape (n,)
        """
        return np.broadcast_to(np.asarray(self.root.evaluate(lookup), bool), rows)


def is_text(values: Any) -> bool:  # noqa: ANN401 - an array or a single value
    """Return whether values are texts."""
    return bool(np.asarray(values).dtype.kind == "S")


def fit_number(value: Any) -> Any:  # noqa: ANN401 - a number, and one that arrays can be compared with
    """Return a number in a form that arrays of any integers can be compared with; the largest become floats."""
    if isinstance(value, float) or -(2**63) <= value < 2**63:
        return value
    return np.uint64(value) if 0 <= value < 2**64 else float(str(value))  # of text, as that may become infinite


def parse_condition(text: str, data_type: DataType, keys: Collection[str] = ()) -> Condition:
    """Parse a condition and check it against a data type.

    Parameters
    ----------
    text : str
        The condition.
    data_type : DataType
        What the records are.
    keys : collection of str
        Names of their keys.

    Raises
    ------
    UsageError
        It is not a condition, or names what the data type does not have; the message says what is right.

    Examples
    --------
    >>> from dayfile import Clock, Field, Node, Placement
    >>> clock = Clock(np.datetime64("1970-01-01T00:00:00"))
    >>> fields = (Field("second", "uint32"), Field("counts", "uint16", (3,)))
    >>> rates = DataType("muon", "rates", "", "", fields, clock, "second", Placement("append", "", Node("/rates")))
    >>> condition = parse_condition("counts[2] in (5, 7) and not 0 < second <= 10", rates)
    >>> records = np.array([(5, (0, 0, 5)), (15, (0, 0, 7)), (25, (0, 0, 6))], rates.dtype)
    >>> condition.holds(lambda name, stored=False: records[name], 3)
    array([False,  True, False])
    >>> parse_condition("count[2] > 5", rates)
    Traceback (most recent call last):
        ...
    dayfile.errors.UsageError: where: muon.rates has no field, key or flag 'count'; did you mean 'counts'?
    """
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"where: {text!r} is not a condition; write one such as 'counts[2] > 500'")
    if len(text) > LONGEST:
        raise UsageError(f"where: a condition has at most {LONGEST} letters, not {len(text)}")
    parser = Parser(text, data_type, keys)
    try:
        root = parser.parse_truth(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        detail = getattr(error, "msg", None) or getattr(error, "reason", None) or "it is nested too deeply"
        raise UsageError(f"where: {text!r} cannot be parsed ({detail}); {GRAMMAR}") from error
    return Condition(text, frozenset(parser.names), root)


class Parser:
    """Makes checked nodes of Python's syntax tree."""

    def __init__(self, text: str, data_type: DataType, keys: Collection[str]) -> None:
        self.text = text
        self.data_type = data_type
        self.keys = keys
        self.fields = {field.name: field for field in data_type.fields}
        self.names: set[str] = set()

    def fail(self, problem: str) -> NoReturn:
        """Raise a UsageError about the condition."""
        raise UsageError(f"where: {problem}")

    def parse_truth(self, node: ast.expr) -> Term:
        """Parse what is true or false."""
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return Logic(np.logical_and, tuple(map(self.parse_truth, values)))
            case ast.BoolOp(values=values):
                return Logic(np.logical_or, tuple(map(self.parse_truth, values)))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Logic(np.logical_not, (self.parse_truth(operand),))
            case ast.Compare():
                return self.parse_comparison(node)
            case ast.Constant(value=bool() as truth):
                return Constant(truth)
        value = self.parse_value(node)
        if isinstance(value, Column) and not self.is_truth(value):
            self.fail(f"{ast.unparse(node)} is a value, not a condition: compare it, as in {ast.unparse(node)} > 0")
        if isinstance(value, Constant):
            self.fail(f"{ast.unparse(node)} is not a condition; {GRAMMAR}")
        return value

    def is_truth(self, column: Column) -> bool:
        """Return whether a column is true or false."""
        return column.name in self.fields and self.fields[column.name].type == "bool"

    def parse_comparison(self, node: ast.Compare) -> Term:
        """Parse comparisons, one or several in a chain."""
        parts: list[Term] = []
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                parts.append(self.parse_membership(left, right, negated=isinstance(op, ast.NotIn)))
            elif type(op) in COMPARISONS:
                pair = self.parse_value(left), self.parse_value(right)
                self.check_pair(*pair, ast.unparse(node))
                parts.append(Comparison(pair[0], COMPARISONS[type(op)], pair[1], ast.unparse(node)))
            else:
                self.fail(f"{ast.unparse(node)}: 'is' is not in the grammar; write ==")
            left = right
        return parts[0] if len(parts) == 1 else Logic(np.logical_and, tuple(parts))

    def parse_membership(self, left: ast.expr, right: ast.expr, *, negated: bool) -> Term:
        """Parse ``in`` and ``not in``, which need a list of constants."""
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            self.fail(f"'in' needs a list of values, such as [501, 502], not {ast.unparse(right)}")
        value, parts = self.parse_value(left), []
        for element in right.elts:
            constant = self.parse_value(element)
            if not isinstance(constant, Constant):
                self.fail(f"'in' needs a list of numbers or texts, and {ast.unparse(element)} is neither")
            text = f"{ast.unparse(left)} in …"
            self.check_pair(value, constant, text)
            parts.append(Comparison(value, operator.eq, constant, text))
        found: Term = Logic(np.logical_or, tuple(parts)) if parts else Constant(value=False)
        return Logic(np.logical_not, (found,)) if negated else found

    def check_pair(self, left: Term, right: Term, text: str) -> None:
        """Refuse the comparison of a text with a number, unless one is a key: keys can be either."""
        kinds = {self.find_kind(left), self.find_kind(right)}
        if kinds == {"text", "number"}:
            self.fail(f"{text} compares a text with a number")

    def find_kind(self, node: Term) -> str:
        """Return whether a value is a number, a text, or a key, which can be either."""
        if isinstance(node, Constant):
            return "text" if isinstance(node.value, str) else "number"
        if isinstance(node, Column):
            if node.name not in self.fields:
                return "key"
            return "text" if self.fields[node.name].type == "char" else "number"
        return "number"

    def parse_value(self, node: ast.expr) -> Term:
        """Parse what is compared: a constant, a key, a field, an element or a flag."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                if isinstance(value, str):
                    value.encode()  # half of a surrogate pair is no text: ValueError
                return Constant(fit_number(value) if isinstance(value, int) else value)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)):
                return Constant(fit_number(-value if isinstance(sign, ast.USub) else value))
            case ast.Name(id=name) if name in self.fields or name in self.keys:
                self.names.add(name)
                return self.check_element(Column(name))
            case ast.Name(id=name):
                return self.parse_lone_flag(name)
            case ast.Subscript(value=ast.Name(id=name), slice=index) if name in self.fields:
                self.names.add(name)
                return self.check_element(Column(name, self.parse_index(index)))
            case ast.Subscript(value=ast.Name(id=name)) if name not in self.keys:
                self.refuse_name(name)
            case ast.Attribute(value=column, attr=flag) if not isinstance(column, ast.Attribute):
                return self.parse_flag(column, flag)
            case ast.BinOp(op=sign) | ast.UnaryOp(op=sign) if type(sign) in SIGNS:
                self.fail(f"{ast.unparse(node)}: write '{SIGNS[type(sign)]}' between or before comparisons")
        return self.fail(f"{ast.unparse(node)} is not in the grammar: {GRAMMAR}")

    def parse_index(self, node: ast.expr) -> tuple[int, ...]:
        """Parse the index of an element, which has a number for each dimension."""
        numbers = node.elts if isinstance(node, ast.Tuple) else [node]
        found = [each.value for each in numbers if isinstance(each, ast.Constant) and type(each.value) is int]
        if len(found) != len(numbers):
            self.fail(f"[{ast.unparse(node)}] is not an element: write one number, counted from 0")
        return tuple(found)

    def check_element(self, column: Column) -> Column:
        """Check that a column is a single value for each record."""
        shape = self.fields[column.name].array_shape if column.name in self.fields else ()
        if len(column.index) == len(shape) and all(at < length for at, length in zip(column.index, shape, strict=True)):
            return column
        if not shape:
            self.fail(f"{column.name} is a single value, without elements")
        last = ",".join(str(length - 1) for length in shape)
        first = ",".join("0" for _ in shape)
        return self.fail(f"{column.name} has elements: write one of {column.name}[{first}] to {column.name}[{last}]")

    def parse_flag(self, node: ast.expr, name: str) -> Term:
        """Parse a flag of a field: ``quality.BAD_CLOCK``."""
        column = self.parse_value(node)
        if not isinstance(column, Column) or column.name not in self.fields:
            self.fail(f"{ast.unparse(node)} has no flags")
        there = [flag for flag in self.list_flags() if flag.applies_to(self.fields[column.name])]
        flags = tuple(flag for flag in there if flag.name == name)
        if not flags:
            known = dict.fromkeys(flag.name for flag in there)
            self.fail(f"{column.name} has no flag {name!r}{suggest(name, known)}")
        return Flagged(column, flags)

    def parse_lone_flag(self, name: str) -> Term:
        """Parse a flag without its field, if only one field has it, and as a single value."""
        flags = [flag for flag in self.list_flags() if flag.name == name]
        fields = [field for field in self.data_type.fields if any(flag.applies_to(field) for flag in flags)]
        if not fields:
            self.refuse_name(name)
        if len(fields) > 1 or fields[0].array_shape:
            self.fail(f"{name} is a flag of {plural(len(fields), 'field')}: write {fields[0].name}.{name}")
        self.names.add(fields[0].name)
        return Flagged(Column(fields[0].name), tuple(flag for flag in flags if flag.applies_to(fields[0])))

    def list_flags(self) -> Iterable[Flag]:
        """List the flags that values can have."""
        return (flag for flag in self.data_type.flags if flag.kind != "index" and flag.name)

    def refuse_name(self, name: str) -> NoReturn:
        """Raise a UsageError about an unknown name."""
        if name in TIME_WORDS:
            self.fail(f"{name} is not a field: choose times by start and stop")
        known = dict.fromkeys([*self.keys, *self.fields, *(flag.name for flag in self.list_flags())])
        self.fail(f"{self.data_type.name} has no field, key or flag {name!r}{suggest(name, known)}")
