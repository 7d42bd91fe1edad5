"""The protocol of a plot, which draws records of a data type in its own way.

Plugins offer plots through the hook ``plots``; :meth:`dayfile.Records.plot` and ``dayfile plot --kind NAME`` draw one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dayfile.handover.columns import RecordTable
    from dayfile.model.datatype import DataType

__all__ = ["Plot"]


@runtime_checkable
class Plot(Protocol):
    """Draws records in one way.

    Attributes
    ----------
    name : str
        Name of the kind of plot, for ``--kind``.

    Examples
    --------
    >>> class Energies(Plot):
    ...     name = "energies"
    ...     def draw(self, figure, records, fields, *, log):
    ...         axes = figure.add_subplot(xlabel="energy [GeV]", ylabel="hits")
    ...         axes.hist(records["energy"], log=log)
    >>> Energies().serves(None)
    True
    """

    name: str

    def serves(self, data_type: DataType) -> bool:  # noqa: ARG002 - for those that override it
        """Return whether it draws records of a data type; by default of all."""
        return True

    def draw(self, figure: Figure, records: RecordTable, fields: Sequence[str], *, log: bool) -> Any:  # noqa: ANN401
        """Draw records.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            An empty figure with constrained layout. Its title, the data type and what was read, is written afterwards,
            if the plot has written none.
        records : Records
            What to draw, at least one record.
        fields : sequence of str
            Names of fields or elements, ``"hp"`` or ``"hp[0]"``, that the user or the layout chose; empty if neither
            did.
        log : bool
            Whether the axis of values, or of counts, is logarithmic.

        Raises
        ------
        UsageError
            These records or fields cannot be drawn like this.
        """
        raise NotImplementedError
