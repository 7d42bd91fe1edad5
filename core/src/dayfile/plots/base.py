"""The protocol of a plot, which draws records of a data type in its own way.

Plugins offer plots through the hook ``plots``; :meth:`dayfile.Archive.plot`, :meth:`dayfile.Records.plot` and
``dayfile plot --kind NAME`` draw one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dayfile.archive.records import Records
    from dayfile.model.datatype import DataType

__all__ = ["Pieces", "Plot"]


class Pieces:
    """Records to draw, in time order, in pieces that need little memory; they can be read as often as needed.

    Each ``for records in pieces`` reads all of them from the first on. ``Records.concatenate(pieces)`` are all of them
    at once, for a plot that needs them together.

    Parameters
    ----------
    data_type : DataType
        What they are, with the fields that were read.
    read : callable
        Returns the records from the first on, in pieces that are not empty.

    Attributes
    ----------
    keys : dict of str to set
        The values of each key, of the records that were read so far.
    """

    def __init__(self, data_type: DataType, read: Callable[[], Iterator[Records]]) -> None:
        self.data_type = data_type
        self.read = read
        self.keys: dict[str, set[str | int]] = {}

    def __iter__(self) -> Iterator[Records]:
        for records in self.read():
            for name, column in records.keys.items():
                self.keys.setdefault(name, set()).update(column.tolist())
            yield records


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
    ...     def draw(self, figure, pieces, fields, *, log):
    ...         axes = figure.add_subplot(xlabel="energy [GeV]", ylabel="hits")
    ...         counts = sum(np.histogram(records["energy"], 100, (0, 50))[0] for records in pieces)
    ...         axes.stairs(counts, np.linspace(0, 50, 101))
    >>> Energies().serves(None)
    True
    """

    name: str

    def serves(self, data_type: DataType) -> bool:  # noqa: ARG002 - for those that override it
        """Return whether it draws records of a data type; by default of all."""
        return True

    def draw(self, figure: Figure, pieces: Pieces, fields: Sequence[str], *, log: bool) -> Any:  # noqa: ANN401
        """Draw records.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            An empty figure with constrained layout. Its title, the data type and what was read, is written afterwards,
            if the plot has written none.
        pieces : Pieces
            What to draw, at least one record. The range may be larger than the memory: reduce each piece.
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
