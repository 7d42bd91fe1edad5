"""Waveforms of DRS4 evaluation boards: a format that is decoded in Python."""

from collections.abc import Mapping

from dayfile import Blocks, DataType, Instrument, Source
from waveforms.decoding import read_items
from waveforms.head import MAGIC, read_head
from waveforms.reading import nanoseconds, volts

__all__ = ["instrument", "nanoseconds", "volts"]


class Waveforms(Instrument):
    """The plugin: what the layout cannot say of the format is in ``decode``."""

    def decode(self, source: Source, data_types: Mapping[str, DataType]) -> Blocks | None:
        """Decode a file of the oscilloscope program; None for any other."""
        if source.part(0, len(MAGIC)) != MAGIC:
            return None
        head = read_head(source)
        return Blocks(lambda: read_items(source, head, data_types))


instrument = Waveforms.from_package(__name__, "waveforms.yaml")
