"""Pictures of what an archive has: the methods of archives for that."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from dayfile.archive.answering import answer_in_pieces
from dayfile.archive.drawing import count_drawn_rows, describe_nothing, draw_pieces, name_with_keys
from dayfile.archive.gaps import Duration
from dayfile.archive.inventory import Inventory
from dayfile.archive.keys import choose_totals
from dayfile.archive.reading import ask_range
from dayfile.errors import UsageError
from dayfile.model.forms import narrow
from dayfile.model.plot_default import split_element
from dayfile.plots.base import Pieces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.figure import Figure

    from dayfile.archive.description import Key
    from dayfile.archive.question import KeyValues
    from dayfile.model.instants import Time
    from dayfile.plots.base import Plot

__all__ = ["Pictured"]

DRAWN_WINDOW_BYTES = 8 * 2**20
"""Bytes of records, about, that are read at once to draw them."""


class Pictured(Inventory):
    """An archive that draws its records, and what it has."""

    def plot(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        kind: str | Plot | None = None,
        fields: str | Iterable[str] | None = None,
        where: str | None = None,
        physical: bool = False,
        log: bool | None = None,
        **keys: KeyValues,
    ) -> Figure:
        """Draw the records that begin in a range, as ``dayfile plot`` does; the range may be larger than the memory.

        Parameters
        ----------
        data_type, start, stop, where, physical, **keys
            As for :meth:`read`.
        kind, fields, log
            As for :meth:`dayfile.Records.plot`.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it; ``savefig`` writes it to a file.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`read`; or there are no records, or they cannot be drawn like this.
        PluginError, MissingExtraError
            As for :meth:`dayfile.Records.plot`.

        Examples
        --------
        ``open_archive("archive").plot("muon.rates", "2024", "2025", fields=["counts"]).savefig("counts.png")``
        """
        wanted = [fields] if isinstance(fields, str) else list(fields or ())
        # A plot may need fields that nobody named, such as the layout's; so all are read where none are chosen.
        names = [split_element(each)[0] for each in wanted] or None
        question = ask_range(
            self.finder, data_type, start, stop, keys, fields=names, where=where, inside=True, physical=physical
        )
        form = question.data_type if names is None else narrow(question.data_type, names)
        rows = count_drawn_rows(form)
        read = partial(answer_in_pieces, self.finder, question, rows, self.read_bytes, DRAWN_WINDOW_BYTES)
        first = next(read(), None)
        if first is None:
            chosen = question.keys or question.where is not None
            nearest = () if chosen else self.finder.find_nearest(question)
            raise UsageError(describe_nothing(question.data_type, nearest))
        return draw_pieces(Pieces(first.data_type, read), kind, fields=wanted, log=log)

    def plot_coverage(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        by: Literal["day", "month"] = "day",
        **keys: KeyValues,
    ) -> Figure:
        """Draw a calendar of the days, or months, on which there are records of a type, and in how many hours.

        Parameters
        ----------
        data_type, start, stop, **keys
            As for :meth:`coverage`.
        by : {'day', 'month'}
            What a cell is: a row is a month, or a year.

        Returns
        -------
        matplotlib.figure.Figure
            As for :meth:`plot`.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`coverage`; or there are more rows than fit into a picture.
        MissingExtraError
            matplotlib is not installed.

        Examples
        --------
        ``open_archive("archive").plot_coverage("muon.hits", "2024", "2025", station=501).savefig("2024.png")``
        """
        from dayfile.plots.availability import draw_calendar

        table = self.coverage(data_type, start, stop, by=by, per_key=False, **keys)
        return draw_calendar(table, f"{name_with_keys(data_type, keys)}: {by}s with records", by=by)

    def plot_gaps(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        longer_than: Duration | None = None,
        **keys: KeyValues,
    ) -> Figure:
        """Draw a bar for each key of a type, which is empty where there are no records.

        Parameters
        ----------
        data_type, start, stop, longer_than, **keys
            As for :meth:`gaps`.

        Returns
        -------
        matplotlib.figure.Figure
            As for :meth:`plot`.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`gaps`; or there are more keys than fit into a picture.
        MissingExtraError
            matplotlib is not installed.

        Examples
        --------
        ``open_archive("archive").plot_gaps("muon.hits", "2024-05", "2024-06", longer_than="2 h")``
        """
        from dayfile.plots.availability import draw_gaps

        chosen = choose_totals(data_type, self.totals(data_type), keys)
        begin, end = self._find_bounds(data_type, chosen, start, stop)
        found = {
            label_key(data_type, total.key): self.gaps(data_type, begin, end, longer_than=longer_than, **total.key)
            for total in chosen
        }
        return draw_gaps(found, begin, end, name_with_keys(data_type, keys))


def label_key(data_type: str, key: Key) -> str:
    """Label a key by its values, or by the data type if it has no keys."""
    return " ".join(map(str, key.values())) or data_type
