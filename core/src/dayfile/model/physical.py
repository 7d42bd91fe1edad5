"""Physical values of the numbers that a field stores: what the word ``physical`` of a layout declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["AS_STORED", "ByValue", "Physical", "PhysicalColumns"]


class PhysicalColumns(Protocol):
    """The values of fields by name, such as a structured array."""

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]:
        """Return the values of a field, shape (n, *shape of the field)."""
        ...


@dataclass(frozen=True)
class ByValue:
    """A number that depends on the value of a field.

    Parameters
    ----------
    by : str
        Name of the field, of integers.
    of : tuple of (int, int, float)
        First and last value, and the number for these; other values have none.

    Examples
    --------
    >>> ByValue("range", ((0, 0, 0.01), (1, 3, 0.5))).choose(np.array([0, 2, 7]))
    array([0.01, 0.5 ,  nan])
    """

    by: str
    of: tuple[tuple[int, int, float], ...]

    def choose(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the number for each value of the field, NaN where it has none, of the same shape."""
        numbers = np.full(values.shape, np.nan)
        for first, last, number in self.of:
            numbers[(values >= first) & (values <= last)] = number
        return numbers


Number = float | str | ByValue
"""A number, the name of a field that has it, or one that depends on a field."""


@dataclass(frozen=True)
class Physical:
    """How the numbers of a field become physical values: ``scale * number + offset``, a polynomial, or a table.

    Parameters
    ----------
    unit : str
        Unit of the physical values.
    scale, offset : float, str or ByValue
        A number, or the name of a field of the same record whose stored value it is.
    polynomial : tuple of float
        Coefficients c0, c1, c2 … of c0 + c1 x + c2 x² + …, in place of scale and offset.
    table : tuple of (float, float)
        Numbers in increasing order with their physical values, linear between them, in place of scale and offset.
        Outside there is no value.

    Examples
    --------
    >>> Physical("degC", scale=0.5, offset=-40).convert({"temperature": np.array([80, 130], "u1")}, "temperature")
    array([ 0., 25.])
    >>> thermistor = Physical("degC", table=((100, 80.0), (200, 30.0), (900, -10.0)))
    >>> thermistor.convert({"adc": np.array([99, 150, 200])}, "adc")
    array([nan, 55., 30.])
    """

    unit: str = ""
    scale: Number = 1.0
    offset: Number = 0.0
    polynomial: tuple[float, ...] = ()
    table: tuple[tuple[float, float], ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the names of the other fields that are needed."""
        found = [each.by if isinstance(each, ByValue) else each for each in (self.scale, self.offset)]
        return tuple(dict.fromkeys(each for each in found if isinstance(each, str)))

    def convert(self, records: PhysicalColumns, name: str) -> npt.NDArray[np.float64]:
        """Convert the numbers of a field.

        Parameters
        ----------
        records : structured array of shape (n,), or mapping of str to array
            The field, and its :attr:`sources`.
        name : str
            The field.

        Returns
        -------
        array of float64, shape (n, *shape of the field)
            The physical values; NaN where a number, or another one that it needs, is NaN or has no value.
        """
        numbers: npt.NDArray[np.float64] = np.asarray(records[name]).astype(np.float64)
        if self.table:
            places, values = np.array(self.table).T
            found: npt.NDArray[np.float64] = np.interp(numbers, places, values, left=np.nan, right=np.nan)
            return found
        if self.polynomial:
            total = np.full(numbers.shape, self.polynomial[-1])
            for coefficient in self.polynomial[-2::-1]:
                total = total * numbers + coefficient
            total[np.isnan(numbers)] = np.nan
            return total
        scaled: npt.NDArray[np.float64] = numbers * find_number(self.scale, records, numbers.ndim)
        return scaled + find_number(self.offset, records, numbers.ndim)

    def describe(self) -> str:
        """Describe the conversion in a few words, without the unit.

        Examples
        --------
        >>> Physical("degC", scale=0.5, offset=-40).describe()
        '0.5 x - 40'
        >>> Physical("V", scale=ByValue("range", ((0, 0, 0.01), (1, 3, 0.5)))).describe()
        'scale x; scale is 0.01 where range is 0, 0.5 where range is 1-3'
        >>> Physical("degC", polynomial=(1, 0, -0.25)).describe()
        '1 - 0.25 x²'
        """
        if self.table:
            (first, _), (last, _) = self.table[0], self.table[-1]
            return f"linear between {len(self.table)} points from {first:g} to {last:g}"
        if self.polynomial:
            powers = enumerate(self.polynomial)
            terms = [f"{number:+.15g}{' x' if power else ''}{superscript(power)}" for power, number in powers if number]
            return join_terms(terms)
        scale, slope = describe_number(self.scale, "scale")
        offset, rest = describe_number(self.offset, "offset")
        terms = ["+x" if self.scale == 1 else f"{scale} x", *([] if self.offset == 0 else [offset])]
        return "; ".join([join_terms(terms), *filter(None, (slope, rest))])


AS_STORED = Physical()
"""What is declared of numbers that are physical values already."""


def find_number(number: Number, records: PhysicalColumns, dimensions: int) -> float | npt.NDArray[np.float64]:
    """Return a number, or one for each record, shaped to multiply values of n dimensions."""
    if isinstance(number, int | float):
        return number
    values = np.asarray(records[number if isinstance(number, str) else number.by])
    each = values.astype(np.float64) if isinstance(number, str) else number.choose(values)
    return each.reshape(*each.shape, *(1,) * (dimensions - each.ndim))


def describe_number(number: Number, word: str) -> tuple[str, str]:
    """Describe a number as a term with its sign, and say what its name stands for if it depends on a field."""
    if isinstance(number, str):
        return f"+{number}", ""
    if isinstance(number, int | float):
        return f"{number:+.15g}", ""
    cases = [f"{each:.15g} where {number.by} is {describe_span(first, last)}" for first, last, each in number.of]
    return f"+{word}", f"{word} is {', '.join(cases)}"


def describe_span(first: int, last: int) -> str:
    """Describe a range of values."""
    return str(first) if first == last else f"{first}-{last}"


def superscript(power: int) -> str:
    """Write a power above 1 as a superscript."""
    return "" if power < 2 else str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def join_terms(terms: list[str]) -> str:
    """Join terms that begin with their sign; a plus in front is left out."""
    first, *rest = terms or ["0"]
    return " ".join([first.removeprefix("+"), *(f"{term[0]} {term[1:]}" for term in rest)])
