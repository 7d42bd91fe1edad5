"""Keys of a data type: the values of the placeholders in the path of its node, such as a station."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dayfile.archive.description import Total
from dayfile.archive.question import KeyValues, list_several
from dayfile.errors import UsageError
from dayfile.messages import list_some, plural_of

__all__ = ["choose_totals", "order_totals"]


def order_totals(totals: Iterable[Total]) -> list[Total]:
    """Order totals by their keys: numbers by their value, before texts."""
    return sorted(totals, key=lambda total: [(isinstance(value, str), value) for value in total.key.values()])


def choose_totals(data_type: str, totals: Sequence[Total], wanted: Mapping[str, KeyValues]) -> list[Total]:
    """Choose the totals of the keys that were asked for; all if none were.

    Raises
    ------
    UsageError
        The data type has no key of such a name, or no records with such a value.
    """
    chosen = list(totals)
    for name, given in wanted.items():
        names = list(dict.fromkeys(name for total in totals for name in total.key))
        if name not in names:
            listed = f"its keys are {', '.join(names)}" if names else "it has no keys"
            raise UsageError(f"{data_type} has no key {name!r}; {listed}")
        values = [str(value) for value in list_several(given)]
        before, chosen = chosen, [total for total in chosen if str(total.key[name]) in values]
        there = dict.fromkeys(str(total.key[name]) for total in order_totals(before))
        for value in values:
            if value not in there:
                raise UsageError(f"no {name} {value}; {plural_of(name)}: {list_some(there)}")
    return chosen
