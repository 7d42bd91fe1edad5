"""Keys on the command line: ``--station 501`` for the key of that name, whatever the names of an archive's keys are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import typer.core

from dayfile.cli.coverage import parse_keys_given

if TYPE_CHECKING:
    from dayfile.api import Archive

__all__ = ["KeyCommand", "parse_key_lists"]


class KeyCommand(typer.core.TyperCommand):
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


def parse_key_lists(archive: Archive, data_type: str, given: list[str] | None) -> dict[str, Any]:
    """Parse keys as they are given for reading: several values of one key are written with commas between."""
    keys = parse_keys_given(archive, data_type, given or [])
    return {name: text.split(",") if "," in text else text for name, text in keys.items()}
