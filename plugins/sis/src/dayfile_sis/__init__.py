"""SIS for dayfile: structs of the ACE SIS Level 1 processing into day files by time slot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dayfile import Instrument, hookimpl

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Sis", "instrument"]


class Sis(Instrument):
    """The instrument: tables and sources by layout."""

    @hookimpl
    def simulate(self, day: np.datetime64, seed: int, directory: Path) -> Iterable[Path]:
        """Write struct streams of the periodic types, and an HDF4 file of the rarer ones and of event cycles."""
        from dayfile.testing.telemetry import write_sources
        from dayfile_sis.simulation import sample_day

        types = {code: data_type.form_on(day) for code, data_type in self.layout.by_code().items()}
        streams, rest = sample_day(day, seed, types)
        name = f"sis_level1_{day.astype('datetime64[D]').item():%Y%j}.hdf"
        return write_sources(self, directory, streams, name, rest)


instrument = Sis.from_package(__name__, "sis.yaml")
