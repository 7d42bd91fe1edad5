"""What a request may ask: the parameters of each address, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dayfile.web.codes import RequestError
from dayfile.web.moments import Moment, parse_moment
from dayfile.web.parameters import Parameter

__all__ = ["FORMS", "CatalogQuery", "DataQuery", "Form", "InfoQuery", "choose_parameters", "read_words"]

Form = Literal["csv", "binary", "json"]
FORMS: tuple[Form, ...] = ("csv", "binary", "json")
OLDER = {"id": "dataset", "time.min": "start", "time.max": "stop"}
"""Words of HAPI 2, which clients still use, and those of HAPI 3."""


def read_words(pairs: Iterable[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    """Return the words of a request, those of HAPI 2 by their newer names.

    Raises
    ------
    RequestError
        A word is unknown there, or is given twice.
    """
    words: dict[str, str] = {}
    for name, value in pairs:
        word = OLDER.get(name, name)
        if word not in known:
            raise RequestError(1401, f"known are {', '.join(known)}" if known else "none is known here")
        if word in words:
            raise RequestError(1400, f"{word} is given twice")
        words[word] = value
    return words


def require_dataset(words: Mapping[str, str]) -> str:
    """Return the dataset that is asked for."""
    if not words.get("dataset"):
        raise RequestError(1400, "dataset is missing")
    return words["dataset"]


def list_asked_names(words: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the parameters that are asked for; None for all."""
    given = words.get("parameters", "")
    return tuple(given.split(",")) if given else None


@dataclass(frozen=True)
class CatalogQuery:
    """A request for the list of datasets."""

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> CatalogQuery:
        """Read it; RequestError if something is wrong with it."""
        words = read_words(pairs, ("depth", "resolve_references"))
        if words.get("depth", "dataset") != "dataset":
            raise RequestError(1413, "only dataset is supported")
        check_references(words)
        return cls()


def check_references(words: Mapping[str, str]) -> None:
    """Refuse anything but true and false; there are no references, so both mean the same."""
    if words.get("resolve_references", "true") not in ("true", "false"):
        raise RequestError(1412, "true or false")


@dataclass(frozen=True)
class InfoQuery:
    """A request for the description of a dataset.

    Parameters
    ----------
    dataset : str
        Its id.
    names : tuple of str or None
        The parameters that are asked for; None for all.
    """

    dataset: str
    names: tuple[str, ...] | None

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> InfoQuery:
        """Read it; RequestError if something is wrong with it."""
        words = read_words(pairs, ("dataset", "parameters", "resolve_references"))
        check_references(words)
        return cls(require_dataset(words), list_asked_names(words))


@dataclass(frozen=True)
class DataQuery:
    """A request for records.

    Parameters
    ----------
    dataset : str
        The id of the dataset.
    start, stop : Moment
        The range, start <= time < stop.
    names : tuple of str or None
        The parameters that are asked for; None for all.
    form : {'csv', 'binary', 'json'}
        How they are written.
    header : bool
        Whether what ``info`` answers comes before the records.
    """

    dataset: str
    start: Moment
    stop: Moment
    names: tuple[str, ...] | None
    form: Form
    header: bool

    @property
    def described(self) -> bool:
        """Return whether the answer says what the dataset is."""
        return self.header or self.form == "json"

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> DataQuery:
        """Read it; RequestError if something is wrong with it."""
        words = read_words(pairs, ("dataset", "start", "stop", "parameters", "include", "format"))
        dataset = require_dataset(words)
        start, stop = read_time(words, "start", 1402), read_time(words, "stop", 1403)
        if start >= stop:
            raise RequestError(1404)
        form = next((each for each in FORMS if each == words.get("format", "csv")), None)
        if form is None:
            raise RequestError(1409, f"supported are {', '.join(FORMS)}")
        if words.get("include", "header") != "header":
            raise RequestError(1410, "only header is supported")
        return cls(dataset, start, stop, list_asked_names(words), form, "include" in words)


def read_time(words: Mapping[str, str], word: str, code: int) -> Moment:
    """Return the time that a word gives."""
    try:
        return parse_moment(words[word])
    except KeyError as error:
        raise RequestError(code, f"{word} is missing") from error
    except ValueError as error:
        raise RequestError(code, "write it as yyyy-mm-ddThh:mm:ss.sssZ or yyyy-dddThh:mm:ss.sssZ") from error


def choose_parameters(there: Sequence[Parameter], names: tuple[str, ...] | None) -> list[Parameter]:
    """Return the parameters that are asked for, the time always first.

    Raises
    ------
    RequestError
        A parameter does not exist, is named twice, or is not in the order of the dataset.
    """
    if names is None:
        return list(there)
    places = {parameter.name: place for place, parameter in enumerate(there)}
    if not places.keys() >= set(names):
        raise RequestError(1407)
    asked = [places[name] for name in names]
    if asked != sorted(set(asked)):
        raise RequestError(1411)
    return [there[place] for place in dict.fromkeys([0, *asked])]
