"""The protocol of a format, which recognises and decodes sources, and can add words to layouts.

A format turns bytes into records as a layout declares. It has no state of its own: each call passes the layout. Plugins
offer formats through the hook ``formats``, and ``builtin`` offers those of the core. A layout names the formats of its
instrument under ``sources``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from dayfile.export.base import Exporter
from dayfile.layouts.document import Document
from dayfile.layouts.reader import Layout
from dayfile.layouts.words import Words
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType

__all__ = ["Format", "Words"]


@runtime_checkable
class Format(Protocol):
    """A format of sources. A subclass sets its name, and overrides the methods that it supports.

    Attributes
    ----------
    name : str
        Its name under ``sources`` in a layout.
    section : str
        The section of a layout that has its words; empty if it has no words.
    words : type of Words or None
        Its words: a pydantic model; the first paragraph of its docstring says what the section is for. Errors are
        reported with file, line and column, as for any word of a layout.

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
        """Compare its words with the rest of a layout.

        Called when a layout is compiled, whether or not it has the section.

        Parameters
        ----------
        layout : Layout
            The layout; ``layout.find_section(model)`` returns the words of the section, None without it.
        document : Document
            The file. ``document.fail(path, problem)`` raises a LayoutError at the place of a word.
        """
        return

    def recognise(self, source: Source, layout: Layout) -> bool:
        """Return whether a source has this format, by its name or its first bytes; if so, no other format is asked.

        Do not read a large source whole for this: ``source.part(0, 8)`` returns its first 8 bytes.
        """
        raise NotImplementedError

    def decode(self, source: Source, layout: Layout) -> Iterable[Batch | Rejected | Remark] | None:
        """Decode a source that was recognised.

        Parameters
        ----------
        source : Source
            The source; ``source.blocks(step=size)`` gives its bytes in blocks of whole structs.
        layout : Layout
            The layout, which declares the data types.

        Returns
        -------
        iterable of Batch, Rejected and Remark, or None
            As for the hook ``decode``. Return :class:`dayfile.model.batch.Blocks` to be asked for one batch after the
            other, so that a large source needs no more memory than a block. None if nothing in it is of this layout.

        Raises
        ------
        SourceError
            The source has this format but cannot be read. It goes to quarantine whole.
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
        """Return the exporters that write days of the layout's data types in this format; none by default."""
        return ()
