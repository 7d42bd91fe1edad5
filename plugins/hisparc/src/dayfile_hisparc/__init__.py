"""HiSPARC for dayfile: uploads of cosmic-ray stations into the day files of the HiSPARC datastore."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from dayfile import Batch, Instrument, Rejected, Source, hookimpl

SECONDS_A_DAY = 86400

__all__ = ["Hisparc", "HisparcSettings", "instrument"]


class HisparcSettings(BaseModel):
    """What can be set, as ``hisparc.<name>``."""

    cutoff_year: int = Field(2020, description="events dated before this year are rejected: there was no GPS time")
    days_ahead: float = Field(
        1.0, ge=0, description="events dated so many days ahead of this machine's clock are rejected"
    )
    station: int | None = Field(None, ge=0, description="station of bare uploads, which do not tell it")
    cluster: str | None = Field(None, min_length=1, description="cluster of bare uploads, which do not tell it")


class Hisparc(Instrument):
    """The instrument: tables by layout, sources by the decoder of this package."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """Cutoff year; station and cluster of bare uploads."""
        return HisparcSettings

    @hookimpl
    def decode(  # type: ignore[override]  # a hook takes the arguments it needs
        self, source: Source, settings: HisparcSettings
    ) -> Iterable[Batch | Rejected] | None:
        """Batches of an upload or a queue file: pickled events, of Python 2 or 3."""
        from dayfile_hisparc.events import Dates, decode_events
        from dayfile_hisparc.pickles import Upload, looks_like_pickle, read_upload

        if not looks_like_pickle(source.content):
            return None
        upload = read_upload(source.content, where=source.name)
        station = settings.station if upload.station is None else upload.station
        cluster = settings.cluster if upload.cluster is None else upload.cluster
        types = self.layout.by_code()
        if not upload.events:
            return [Batch("hisparc", "CIC", np.zeros(0, types["CIC"].dtype), np.zeros(0, np.int64))]
        latest = int(time.time() + settings.days_ahead * SECONDS_A_DAY)
        dates = Dates(settings.cutoff_year, latest)
        return decode_events(Upload(station, cluster, upload.events), types, dates, source.name)

    @hookimpl
    def simulate(self, day: np.datetime64, seed: int, directory: Path) -> Iterable[Path]:
        """Queue files of three stations with events, traces, singles, weather and configurations."""
        from dayfile_hisparc.simulation import write_queue_files

        return write_queue_files(day, seed, directory)


instrument = Hisparc.from_package(__name__, "hisparc.yaml")
