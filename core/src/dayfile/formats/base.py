"""The protocol of a format: which sources are of it, what they hold, and its own words in a layout.

A format turns bytes into records by what a layout declares. It has no state of its own: whoever asks it gives the
layout. Formats are offered by plugins through the hook ``formats``, the core's own by ``builtin``; a layout names under
``sources`` those that its instrument's sources have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from dayfile.export.base import Exporter
from dayfile.layouts.document import Document
from dayfile.layouts.reader import Layout
from dayfile.layouts.schema import Words
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType

__all__ = ["Format", "Words"]


@runtime_checkable
class Format(Protocol):
    """A format of sources. A subclass says what it is called, and overrides what it can do.

    Attributes
    ----------
    name : str
        The word under ``sources`` of a layout.
    section : str
        The word of a layout under which its own words are; empty if it has none.
    words : type of Words or None
        Its own words: a pydantic model, whose first paragraph says what the section is for. A word that is wrong is
        reported with file, line and column, as any word of a layout.

    Examples
    --------
    >>> class Lines(Format):
    ...     name = "lines"
    ...     def recognise(self, source, layout):
    ...         return source.name.endswith(".txt")
    >>> Lines().section, Lines().encode(None, None, None)
    ('', None)
    """

    name: str
    section: str = ""
    words: type[Words] | None = None

    def check(self, layout: Layout, document: Document) -> None:  # noqa: ARG002 - for those that override it
        """Compare what the words say with the rest of a layout.

        Called for every layout when it is compiled, whether or not it has the section.

        Parameters
        ----------
        layout : Layout
            The layout; ``layout.find_section(model)`` has the words of the section, None where it is absent.
        document : Document
            The file. ``document.fail(path, problem)`` raises a LayoutError at the place of a word.
        """
        return

    def recognise(self, source: Source, layout: Layout) -> bool:
        """Whether a source is of this format, by its name or its first bytes; no other format is asked if it is.

        A source that may be large is not read whole for it: ``source.part(0, 8)`` are its first 8 bytes.
        """
        raise NotImplementedError

    def decode(self, source: Source, layout: Layout) -> Iterable[Batch | Rejected | Remark] | None:
        """Decode a source that was recognised.

        Parameters
        ----------
        source : Source
            The source; ``source.blocks(step=size)`` gives its bytes in blocks of whole structs.
        layout : Layout
            Its data types say what the records are.

        Returns
        -------
        iterable of Batch, Rejected and Remark, or None
            As of the hook ``decode``. Give a :class:`dayfile.model.batch.Blocks` to be asked for one batch after the
            other, so that a large source takes no more memory than a block. None if nothing in it is of this layout.

        Raises
        ------
        SourceError
            The source is of this format and cannot be read. It goes to quarantine whole.
        """
        raise NotImplementedError

    def encode(
        self,
        data_type: DataType,  # noqa: ARG002 - for those that override it
        records: npt.NDArray[Any],  # noqa: ARG002
        layout: Layout,  # noqa: ARG002
    ) -> tuple[str, bytes] | None:
        """Encode records as a source that :meth:`decode` turns back into them: name and content; None if it cannot."""
        return None

    def exporters(self, layout: Layout) -> Iterable[Exporter]:  # noqa: ARG002 - for those that override it
        """Give what writes days of the layout's data types in this format; nothing by default."""
        return ()
