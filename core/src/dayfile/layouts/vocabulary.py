"""The vocabulary of a run: the words of all layouts, and those that formats add."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field, create_model

from dayfile.layouts.document import Document
from dayfile.layouts.schema import LayoutWords
from dayfile.layouts.words import Words

if TYPE_CHECKING:
    from dayfile.layouts.reader import Layout

__all__ = ["Vocabulary", "extend_vocabulary"]


class Vocabulary(Protocol):
    """What the compiler needs from a format: its words, and a check of them against the rest of a layout."""

    @property
    def name(self) -> str:
        """Its name under ``sources``."""

    @property
    def section(self) -> str:
        """The section of a layout that has its words; empty if it has no words."""

    @property
    def words(self) -> type[Words] | None:
        """The words of its section."""

    def check(self, layout: Layout, document: Document) -> None:
        """Compare its words with the rest of a layout; raise a LayoutError where they differ."""


def extend_vocabulary(formats: Sequence[Vocabulary]) -> type[LayoutWords]:
    """Extend the vocabulary by the words of formats: their names under ``sources``, and a section of each."""
    if not formats:
        return LayoutWords
    name: Any = Literal[tuple(each.name for each in formats)]
    description = LayoutWords.model_fields["sources"].description
    more: dict[str, Any] = {"sources": (tuple[name, ...], Field((), description=description))}
    more |= {each.section: (each.words | None, None) for each in formats if each.words is not None}
    return create_model("LayoutWords", __base__=LayoutWords, __doc__=LayoutWords.__doc__, **more)
