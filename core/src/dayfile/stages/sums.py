"""Sums of layouts, such as ``16 + 2 * width * height``: a number of bytes or elements, made of values by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Sum"]

OPERATIONS = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply}
LARGEST_SUM = 2**62
"""Numbers beyond are taken for this one: nothing has that many bytes."""


@dataclass(frozen=True)
class Sum:
    """Whole numbers and names, with ``+``, ``-``, ``*`` and parentheses.

    Parameters
    ----------
    text : str
        As it is written.

    Examples
    --------
    >>> Sum.parse("16 + 2 * width * height").evaluate({"width": 128, "height": np.array([64, 128])})
    array([16400, 32784])
    >>> Sum.parse("length + 8").names
    ('length',)
    """

    text: str

    @classmethod
    def parse(cls, text: str | int) -> Sum:
        """Parse a text; ValueError says what is wrong with it."""
        made = cls(str(text))
        for node in made._walk():
            if isinstance(node, ast.Constant) and type(node.value) is int and 0 <= node.value < LARGEST_SUM:
                continue
            if isinstance(node, ast.BinOp | ast.Name | ast.Load | ast.Add | ast.Sub | ast.Mult | ast.Expression):
                continue
            raise ValueError(f"{text!r} is not a sum: whole numbers and names, with +, -, * and parentheses")
        return made

    def _walk(self) -> Iterator[ast.AST]:
        """Walk over the parts; ValueError if it cannot be parsed."""
        try:
            return ast.walk(self._tree())
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"{self.text!r} is not a sum: whole numbers and names, with +, -, * and parentheses"
            ) from error

    def _tree(self) -> ast.Expression:
        return parse_sum(self.text)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names in it, each once."""
        return tuple(dict.fromkeys(node.id for node in ast.walk(self._tree()) if isinstance(node, ast.Name)))

    @property
    def constant(self) -> int | None:
        """Return its value if it has no names."""
        return None if self.names else int(self.evaluate({}))

    def replace(self, constants: Mapping[str, int]) -> Sum:
        """Return the sum with the values of constants in place of their names."""
        tree = self._tree()
        for node in ast.walk(tree):
            for name, child in ast.iter_fields(node):
                if isinstance(child, ast.Name) and child.id in constants:
                    setattr(node, name, ast.Constant(constants[child.id]))
        return Sum(ast.unparse(tree))

    def evaluate(self, values: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Return its value for values by name: int64, of the shape that they have together.

        KeyError names a value that is missing. What is too large for int64 gives a number that is
        too large for anything.
        """
        return self._evaluate(self._tree().body, values)

    def _evaluate(self, node: ast.expr, values: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        if isinstance(node, ast.BinOp):
            left, right = self._evaluate(node.left, values), self._evaluate(node.right, values)
            exact = OPERATIONS[type(node.op)](left.astype(np.float64), right.astype(np.float64))
            with np.errstate(over="ignore"):
                whole = OPERATIONS[type(node.op)](left, right)
            limited = np.where(exact < 0, -LARGEST_SUM, LARGEST_SUM)
            return np.asarray(np.where(np.abs(exact) < LARGEST_SUM, whole, limited), np.int64)
        if isinstance(node, ast.Name):
            value = np.asarray(values[node.id])
            if value.dtype.kind == "f":
                value = np.nan_to_num(value, nan=-1, posinf=LARGEST_SUM, neginf=-LARGEST_SUM)
            return np.asarray(np.clip(value, -LARGEST_SUM, LARGEST_SUM), np.int64)
        assert isinstance(node, ast.Constant)  # noqa: S101 - parse lets nothing else through
        return np.asarray(node.value, np.int64)


@lru_cache(1000)
def parse_sum(text: str) -> ast.Expression:
    """Parse a text as an expression of Python; of what is evaluated again and again, once."""
    return ast.parse(text.strip(), mode="eval")
