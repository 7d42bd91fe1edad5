"""Keys on the command line: ``--station 501`` for the key of that name, whatever the names of an archive's keys are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dayfile.cli.usage import Command

if TYPE_CHECKING:
    from dayfile.api import Archive

__all__ = ["KeyCommand", "KeyOption", "parse_keys_given"]

KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="NAME=VALUE",
        help="Only this key, such as station=501 or station=501,502; for short --station 501.",
    ),
]


class KeyCommand(Command):
    """A command with ``--key NAME=VALUE``, which can be written ``--NAME VALUE`` too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - of click, which typer brings
        """Parse arguments; an option that the command does not have, and that resembles none of its own, is a key."""
        known = {
            option for parameter in self.get_params(ctx) for option in (*parameter.opts, *parameter.secondary_opts)
        }
        words = list(rewrite_keys(args, known))
        if ctx.resilient_parsing and words and words[-1] in known:
            words.pop()  # its value is being completed; with it the arguments before would be lost
        return super().parse_args(ctx, words)


def rewrite_keys(words: Iterable[str], options: Iterable[str]) -> Iterator[str]:
    """Write keys as ``--key NAME=VALUE``.

    Parameters
    ----------
    words : iterable of str
        The arguments.
    options : iterable of str
        The options of the command; what is like one of them is left for the message that suggests it.

    Examples
    --------
    >>> list(rewrite_keys(["muon.hits", "--telescope", "5", "--form", "T"], ["--from"]))
    ['muon.hits', '--key', 'telescope=5', '--form', 'T']
    """
    known, remaining = list(options), iter(words)
    for word in remaining:
        name, equals, value = word.partition("=")
        if word == "--":
            yield word
            yield from remaining
        elif not word.startswith("--") or name in known or get_close_matches(name, known, n=1, cutoff=0.7):
            yield word
        else:
            given = value if equals else next(remaining, None)
            yield from (word,) if given is None else ("--key", f"{name[2:].replace('-', '_')}={given}")


def parse_keys_given(archive: Archive, data_type: str, given: Iterable[str] | None) -> dict[str, Any]:
    """Parse keys as they are given on the command line; a value alone is one of the main key.

    Returns
    -------
    dict of str to str or list of str
        The value of each key, or several: they are written with commas between, or in several options.

    Raises
    ------
    UsageError
        A value alone, and the type has no main key.
    """
    keys: dict[str, list[str]] = {}
    for text in given or ():
        name, equals, values = text.partition("=")
        if not equals:
            name, values = find_main_key(archive, data_type, text), text
        keys.setdefault(name, []).extend(value.strip() for value in values.split(","))
    return {name: values[0] if len(values) == 1 else values for name, values in keys.items()}


def find_main_key(archive: Archive, data_type: str, value: str) -> str:
    """Return the name of the main key of a type; UsageError if it has none, which a value could be of."""
    from dayfile.errors import UsageError

    description = archive.describe(data_type)
    names = list(description.keys[0]) if description.keys else []
    main = description.main_key or (names[0] if len(names) == 1 else "")
    if not main:
        there = f"write NAME={value}, with one of {', '.join(names)}" if names else "it has no keys"
        raise UsageError(f"{data_type} has no main key that {value} could be; {there}")
    return main
