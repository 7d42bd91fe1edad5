"""Pictures of what an archive has: the methods of archives for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dayfile.archive.drawing import name_with_keys
from dayfile.archive.gaps import Duration
from dayfile.archive.inventory import Inventory
from dayfile.archive.keys import choose_totals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dayfile.archive.description import Key
    from dayfile.model.instants import Time

__all__ = ["Pictured"]


class Pictured(Inventory):
    """An archive that draws what it has."""

    def plot_coverage(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        by: Literal["day", "month"] = "day",
        **keys: str | int,
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
            Notebooks show it; ``savefig`` writes it to a file.

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
        **keys: str | int,
    ) -> Figure:
        """Draw a bar for each key of a type, which is empty where there are no records.

        Parameters
        ----------
        data_type, start, stop, longer_than, **keys
            As for :meth:`gaps`.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it; ``savefig`` writes it to a file.

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
