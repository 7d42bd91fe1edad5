"""What is asked of an archive: which records of a type, and what of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import suggest, suggest_near
from dayfile.model.conditions import Condition, parse_condition
from dayfile.model.datatype import DataType
from dayfile.model.forms import describe_physical, find_physical, find_sources, float_field, narrow

__all__ = [
    "Choice",
    "KeyValue",
    "KeyValues",
    "Missing",
    "Question",
    "WantsKeys",
    "ask",
    "list_key_names",
    "list_several",
    "parse_keys",
]

KeyValue = str | int
KeyValues = KeyValue | Iterable[KeyValue]
"""One value of a key, or several."""
ARGUMENTS = ("start", "stop", "fields", "where", "inside", "missing", "physical")
"""What else a question says, beside keys."""
Missing = Literal["keep", "nan"]
Choice = Callable[[npt.NDArray[Any], DataType], npt.NDArray[np.bool_]]
"""Return which records belong to the time that is asked for, shape (n,)."""
WantsKeys = Callable[[Mapping[str, KeyValue]], bool]
"""Return whether records with these keys are asked for."""


def list_key_names(data_type: DataType) -> list[str]:
    """Return the names of the keys in the template of a type's node."""
    return re.findall(r"\{(\w+)\}", data_type.placement.node.path)


def parse_keys(data_type: DataType, path: str) -> dict[str, KeyValue] | None:
    """Parse the keys of the records in a table from its path; None if tables of the type are not at such paths."""
    from dayfile.stores.nodes import match_keys, parse_key

    texts = match_keys(data_type.placement.node.path, path)
    return None if texts is None else {name: parse_key(text) for name, text in texts.items()}


@dataclass(frozen=True)
class Question:
    """Which records of a type are asked for, and what of each.

    Parameters
    ----------
    data_type : DataType
        The type, as its newest day file declares it.
    first, last : int
        From when to when, in nanoseconds of its clock.
    choice : callable
        Which records belong to that time.
    keys : mapping of str to tuple of str
        The values of keys that are asked for, as texts.
    fields : tuple of str, optional
        The fields that are asked for; all if not given.
    where : Condition, optional
        What has to hold for a record.
    missing : {'keep', 'nan'}
        Whether values that are missing become NaN.
    physical : bool
        Whether values become physical ones, also those that ``where`` compares.
    """

    data_type: DataType
    first: int
    last: int
    choice: Choice
    keys: Mapping[str, tuple[str, ...]]
    fields: tuple[str, ...] | None = None
    where: Condition | None = None
    missing: Missing = "keep"
    physical: bool = False

    @property
    def stored_names(self) -> tuple[str, ...] | None:
        """Return the fields that records need when they are joined: those asked for, and those of times."""
        if self.fields is None:
            return None
        return tuple(dict.fromkeys([*self._with_sources(self.fields), *self.data_type.timing.field_names]))

    @property
    def read_names(self) -> tuple[str, ...] | None:
        """Return the fields to read from day files: those to store, and those of the condition."""
        if self.stored_names is None:
            return None
        known = self.data_type.dtype.names or ()
        needed = [name for name in (self.where.names if self.where else ()) if name in known]
        return tuple(dict.fromkeys([*self.stored_names, *self._with_sources(sorted(needed))]))

    def _with_sources(self, names: Iterable[str]) -> list[str]:
        """Return names of fields, with those that their physical values need if these are asked for."""
        return [*names, *(find_sources(self.data_type, names) if self.physical else ())]

    def wants(self, keys: Mapping[str, KeyValue]) -> bool:
        """Return whether records with these keys are asked for."""
        return all(str(keys.get(name)) in values for name, values in self.keys.items())

    def wants_path(self, path: str) -> bool:
        """Return whether the table at a path may have records that are asked for: False if its keys are others."""
        there = parse_keys(self.data_type, path)
        return there is None or self.wants(there)

    def satisfies(self, rows: npt.NDArray[Any], keys: Mapping[str, KeyValue]) -> npt.NDArray[np.bool_]:
        """Find the records of a table for which the condition holds, shape (n,)."""
        assert self.where is not None  # noqa: S101 - for mypy

        def look_up(name: str, *, stored: bool = False) -> Any:  # noqa: ANN401 - the values of a field, or of a key
            if name in keys:
                return keys[name]
            field = self.data_type.field(name)
            if self.physical and not stored and (field.physical or field.named):
                return self._find_physical(rows, name)
            there = name in (rows.dtype.names or ())
            values = rows[name] if there else np.full((len(rows), *field.array_shape), field.default, field.base)
            if self.missing == "keep" or not field.missing:
                return values
            return np.where(field.is_missing(values), np.nan, values.astype(float_field(field).base))

        return self.where.holds(look_up, len(rows))

    def _find_physical(self, rows: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
        """Find the physical values of a field, or its names as conditions compare them."""
        needed = narrow(self.data_type, [name, *find_sources(self.data_type, [name])])
        values = find_physical(needed.conform(rows), needed, name)
        return np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values


def list_key_values(data_type: DataType, keys: Mapping[str, KeyValues]) -> dict[str, tuple[str, ...]]:
    """Return the values of keys as texts; UsageError for a key that the type does not have."""
    names = list_key_names(data_type)
    for name in keys.keys() - set(names):
        near = suggest_near(name, [*names, *ARGUMENTS])
        if name == "keys" and names:
            near = f"; write {names[-1]}=… itself"
        raise UsageError(f"{data_type.name} has no key {name!r}; its keys are: {', '.join(names) or 'none'}{near}")
    found = {}
    for name, given in keys.items():
        values = list_several(given)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
                raise UsageError(f"{name}={value!r}: a key is a text or a whole number, or a list of them")
        found[name] = tuple(map(str, values))
    return found


def list_several(given: object) -> list[object]:
    """List one thing that was given, or several."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        return [given]
    return list(given)


def list_field_names(data_type: DataType, fields: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names of fields that are asked for, without those of keys, which are always there.

    Raises
    ------
    UsageError
        The type has no such field.
    """
    if fields is None:
        return None
    wanted = list_several(fields)
    keys, names = list_key_names(data_type), data_type.dtype.names or ()
    for name in wanted:
        if name not in names and name not in keys:
            raise UsageError(f"{data_type.name} has no field {name!r}{suggest(str(name), names)}")
    return tuple(str(name) for name in dict.fromkeys(wanted) if name not in keys)


def ask(
    data_type: DataType,
    first: int,
    last: int,
    choice: Choice,
    keys: Mapping[str, KeyValues],
    *,
    fields: str | Iterable[str] | None = None,
    where: str | None = None,
    missing: Missing = "keep",
    physical: bool = False,
) -> Question:
    """Make a question of what was asked for.

    Raises
    ------
    UsageError
        The type does not have a key or field that is named, or the condition is not one.
    """
    if missing not in ("keep", "nan"):
        raise UsageError(f"missing={missing!r}: write 'keep' for values as they are stored, or 'nan'")
    compared = describe_physical(data_type) if physical else data_type
    condition = None if where is None else parse_condition(where, compared, list_key_names(data_type))
    names = list_field_names(data_type, fields)
    return Question(
        data_type, first, last, choice, list_key_values(data_type, keys), names, condition, missing, physical
    )
