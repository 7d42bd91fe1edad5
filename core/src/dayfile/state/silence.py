"""Which keys are silent: have no new records for longer than somebody allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dayfile.archive.gaps import parse_length
from dayfile.errors import UsageError
from dayfile.messages import suggest
from dayfile.state.keys import KeyName, Newest

__all__ = [
    "MAX_AGE",
    "RETIRED_AGE",
    "Ages",
    "Silence",
    "SilentKey",
    "check_ages",
    "find_silent",
    "parse_ages",
    "read_key",
]

MAX_AGE = 86400.0
RETIRED_AGE = 30 * 86400.0


@dataclass(frozen=True)
class Ages:
    """How old the newest record of a key may be, in seconds.

    Parameters
    ----------
    most : float
        Of all types of an instrument together. A key without a record of any type for longer is silent.
    types : mapping of str to float
        Of single data types, which are then judged each by itself.
    retired : float
        Age from which a key is only counted, as nobody expects anything of it any more.
    """

    most: float = MAX_AGE
    types: Mapping[str, float] = field(default_factory=dict)
    retired: float = RETIRED_AGE


@dataclass(frozen=True)
class SilentKey:
    """A key without new records.

    Parameters
    ----------
    name : str
        The instrument, or the data type if that is judged by itself.
    key : dict
        Values of the key, by their names.
    since : float
        Time of its newest record, or of its last arrival if that is earlier; seconds since 1970.
    """

    name: str
    key: dict[str, str | int]
    since: float


@dataclass(frozen=True)
class Silence:
    """What is silent in an archive.

    Parameters
    ----------
    followed : int
        Number of keys that are known.
    silent : list of SilentKey
        Those that are silent, the longest silence last.
    retired : int
        Number of keys that have been silent for so long that they are only counted.
    """

    followed: int = 0
    silent: list[SilentKey] = field(default_factory=list)
    retired: int = 0


def parse_ages(given: Iterable[str], retired: str = "") -> Ages:
    """Parse how old the newest record of a key may be.

    Parameters
    ----------
    given : iterable of str
        Each ``LENGTH``, for all types together, or ``TYPE=LENGTH``.
    retired : str
        Length from which a key is only counted; empty for that of :class:`Ages`.

    Raises
    ------
    UsageError
        One of them is not a length of time.

    Examples
    --------
    >>> parse_ages(["2 h", "muon.weather=1 d"])
    Ages(most=7200.0, types={'muon.weather': 86400.0}, retired=2592000.0)
    """
    most, types = MAX_AGE, {}
    for text in given:
        name, equals, length = text.rpartition("=")
        if equals:
            types[name] = parse_seconds(length)
        else:
            most = parse_seconds(text)
    return Ages(most, types, parse_seconds(retired) if retired else RETIRED_AGE)


def parse_seconds(text: str) -> float:
    """Parse a length of time to seconds."""
    return float(parse_length(text) / np.timedelta64(1, "s"))


def check_ages(ages: Ages, keys: Iterable[KeyName]) -> None:
    """Check that each type with an age of its own has a key that is known, as it would never be silent otherwise.

    Raises
    ------
    UsageError
        One of them has none.

    Examples
    --------
    >>> check_ages(Ages(types={"muon.wether": 3600.0}), [("muon.weather", '{"hall": 1}')])
    Traceback (most recent call last):
    dayfile.errors.UsageError: --max-age: no type 'muon.wether' with a known key; did you mean 'muon.weather'?
    """
    known = sorted({data_type for data_type, _ in keys})
    for name in ages.types:
        if name not in known:
            others = suggest(name, known) or "; none is known yet"
            raise UsageError(f"no type {name!r} with a known key{others}", where="--max-age")


def find_silent(keys: Mapping[KeyName, Newest], now: float, ages: Ages) -> Silence:
    """Find the keys without new records.

    A record may be dated in the future, by a wrong clock: so a key is as old as its newest record or, if that is
    earlier, its last arrival.

    Examples
    --------
    >>> keys = {("muon.hits", '{"hall": 1}'): Newest(0, None), ("muon.rates", '{"hall": 1}'): Newest(90 * 10**9, None)}
    >>> find_silent(keys, 100.0, Ages(50.0)).silent
    []
    >>> find_silent(keys, 100.0, Ages(50.0, {"muon.hits": 50.0})).silent
    [SilentKey(name='muon.hits', key={'hall': 1}, since=0.0)]
    """
    newest: dict[KeyName, float] = {}
    for (data_type, key), each in keys.items():
        known = [time / 1e9 for time in (each.record, each.arrival) if time is not None]
        if known:
            name = data_type if data_type in ages.types else data_type.split(".")[0]
            newest[name, key] = max(min(known), newest.get((name, key), min(known)))
    silent, retired = [], 0
    for (name, key), since in newest.items():
        age = now - since
        if age > max(ages.retired, ages.types.get(name, ages.most)):
            retired += 1
        elif age > ages.types.get(name, ages.most):
            silent.append(SilentKey(name, read_key(key), since))
    return Silence(len(newest), sorted(silent, key=lambda each: -each.since), retired)


def read_key(text: str) -> dict[str, str | int]:
    """Read a key from JSON; one that is damaged is shown as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"key": text}
