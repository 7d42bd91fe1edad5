"""Find every mistake of a layout, in the order of the file."""

from __future__ import annotations

from collections.abc import Sequence

from dayfile.errors import LayoutError
from dayfile.layouts.document import Document
from dayfile.layouts.reader import Layout, compile_layout
from dayfile.layouts.vocabulary import Vocabulary

__all__ = ["find_mistakes"]


def find_mistakes(
    text: str, name: str, formats: Sequence[Vocabulary] = (), package: str | None = ""
) -> tuple[Layout | None, tuple[LayoutError, ...]]:
    r"""Find every mistake of a layout.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        File name for messages.
    formats : sequence of Vocabulary
        The formats that add words to the vocabulary.
    package : str or None
        The package whose functions it may name; None if they are not looked for.

    Returns
    -------
    (Layout or None, tuple of LayoutError)
        The layout, None if it has mistakes; and these, in the order of the file. What only follows from another mistake
        is not among them.

    Examples
    --------
    >>> _, mistakes = find_mistakes("instrument: mu on\ntitel: Muon telescope\nclock: {epoch: 2000-01-01}", "bad.yaml")
    >>> [mistake.where for mistake in mistakes]
    ['bad.yaml:1:1', 'bad.yaml:1:1', 'bad.yaml:1:13', 'bad.yaml:2:1']
    """
    try:
        document = Document.parse(text, name)
    except LayoutError as error:  # not YAML
        return None, (error,)
    layout = compile_layout(document, formats, package)
    mistakes = {f"{mistake}": mistake for mistake in document.mistakes}
    return (None if mistakes else layout), tuple(sorted(mistakes.values(), key=find_line))


def find_line(mistake: LayoutError) -> tuple[int, ...]:
    """Return line and column of a mistake."""
    return tuple(int(number) for number in str(mistake.where).split(":")[-2:] if number.isdigit())
