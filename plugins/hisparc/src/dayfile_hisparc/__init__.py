"""HiSPARC for dayfile: uploads of cosmic-ray stations into the day files of the HiSPARC datastore."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, Field, field_validator

from dayfile import Batch, Instrument, Rejected, Remark, Source, hookimpl
from dayfile.errors import StorageError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from dayfile.archive.root import Root

SECONDS_A_DAY = 86400

__all__ = ["Hisparc", "HisparcSettings", "instrument"]


class HisparcSettings(BaseModel):
    """What can be set, as ``hisparc.<name>``."""

    cutoff_year: int = Field(2020, description="events dated before this year are rejected: there was no GPS time")
    days_ahead: float = Field(
        1.0, ge=0, description="events dated so many days ahead of this machine's clock are rejected"
    )
    check_traces: Literal["off", "warn", "quarantine"] = Field(
        "off", description="whether each trace is inflated and parsed; what is done with events whose trace cannot be"
    )
    station_list: Path | None = Field(None, description="CSV file of the stations that may upload")
    station_list_source: str = Field(
        "",
        description="URL from which the XML-RPC method reload_datastore fetches the list; empty: no such method",
    )
    reload_from: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="addresses that may call reload_datastore, comma-separated"
    )
    station: int | None = Field(None, ge=0, description="station of bare uploads, which do not tell it")
    cluster: str | None = Field(None, min_length=1, description="cluster of bare uploads, which do not tell it")

    @field_validator("reload_from", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        """A list, from text with commas."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class Hisparc(Instrument):
    """The instrument: tables by layout, sources by the decoder of this package."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """Cutoff year; station and cluster of bare uploads."""
        return HisparcSettings

    @hookimpl
    def decode(  # type: ignore[override]  # a hook takes the arguments it needs
        self, source: Source, settings: HisparcSettings
    ) -> Iterable[Batch | Rejected | Remark] | None:
        """Batches of an upload or a queue file: pickled events, of Python 2 or 3."""
        from dayfile_hisparc.events import Dates, decode_events
        from dayfile_hisparc.pickles import Upload, read_upload
        from dayfile_hisparc.structure import OPENING_SIZE, looks_like_pickle

        if not looks_like_pickle(source.part(0, OPENING_SIZE)):
            return None
        upload = read_upload(source.content, where=source.name)
        station = settings.station if upload.station is None else upload.station
        cluster = settings.cluster if upload.cluster is None else upload.cluster
        types = self.layout.by_code()
        if not upload.events:
            return [Batch("hisparc", "CIC", np.zeros(0, types["CIC"].dtype), np.zeros(0, np.int64))]
        dates = Dates(settings.cutoff_year, time.time() + settings.days_ahead * SECONDS_A_DAY)
        named = Upload(station, cluster, upload.events)
        return decode_events(named, types, dates, source.name, settings.check_traces)

    @hookimpl
    def read_config(self, path: Path) -> dict[str, object] | None:
        """The INI file of the datastore."""
        from dayfile_hisparc.datastore_config import read_datastore_config

        return read_datastore_config(path)

    @hookimpl
    def routes(self, root: Root, settings: HisparcSettings) -> Iterable[BaseRoute]:
        """Uploads at any path; the renewal of the station list at ``/RPC2``."""
        from dayfile_hisparc.stations import open_list

        stations = open_list(settings.station_list)  # before what needs an extra is imported
        from dayfile_hisparc.server import routes

        return routes(root, stations, settings.station_list_source, settings.reload_from)

    @hookimpl
    def send(self, url: str, day: np.datetime64, seed: int, clients: int, seconds: float) -> Iterable[str]:
        """Stations with the two kinds of client that there are, which upload what they have."""
        from dayfile_hisparc.clients import send, station_list

        outcome = send(url, day, seed, clients, seconds)
        yield from outcome.lines()
        if not outcome.stored and any(tally.uploads for tally in outcome.tallies):
            lines = ", ".join(station_list(clients).split()[:2])
            message = f"nothing was stored; the server's station list must have a line for each client, such as {lines}"
            raise StorageError(message, where=url)

    @hookimpl
    def simulate(self, day: np.datetime64, seed: int, directory: Path) -> Iterable[Path]:
        """Queue files of three stations with events, traces, singles, weather and configurations."""
        from dayfile_hisparc.simulation import write_queue_files

        return write_queue_files(day, seed, directory)


instrument = Hisparc.from_package(__name__, "hisparc.yaml")
