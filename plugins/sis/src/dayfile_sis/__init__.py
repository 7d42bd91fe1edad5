"""SIS for dayfile: structs of the ACE SIS Level 1 processing into day files by time slot."""

from __future__ import annotations

from dayfile import Instrument

__all__ = ["instrument"]

instrument = Instrument.from_package(__name__, "sis.yaml")
