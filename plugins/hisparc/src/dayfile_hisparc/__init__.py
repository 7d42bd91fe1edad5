"""HiSPARC for dayfile: uploads of cosmic-ray stations into the day files of the HiSPARC datastore."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, Field, field_validator

from dayfile import Batch, Instrument, Rejected, Remark, Source, hookimpl
from dayfile.errors import StorageError, UsageError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from dayfile.archive.root import Root
    from dayfile.export.base import BlobReader, Exporter, RangeExporter
    from dayfile.plots.base import Plot
    from dayfile.state.receiver import UploadRecorder

SECONDS_A_DAY = 86400

__all__ = ["Hisparc", "HisparcSettings", "instrument"]


class HisparcSettings(BaseModel):
    """Settings, as ``hisparc.<name>``."""

    cutoff_year: int = Field(2020, description="events dated before this year are rejected, as they had no GPS time")
    days_ahead: float = Field(
        1.0, ge=0, description="events dated more days ahead of this machine's clock are rejected"
    )
    check_traces: Literal["off", "warn", "quarantine"] = Field(
        "off", description="whether to inflate and parse each trace, and what to do with events whose trace is bad"
    )
    station_list: Path | None = Field(None, description="CSV file of the stations that may upload")
    station_list_source: str = Field(
        "",
        description="URL from which the XML-RPC method reload_datastore fetches the list; empty: no such method",
    )
    reload_from: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="addresses that may call reload_datastore, comma-separated"
    )
    station: int | None = Field(None, ge=0, description="station of bare uploads, which do not name it")
    cluster: str | None = Field(None, min_length=1, description="cluster of bare uploads, which do not name it")

    @field_validator("reload_from", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        """Split a text at its commas."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class Hisparc(Instrument):
    """The instrument: tables by layout, sources by the decoder of this package."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """Return the settings of the plugin."""
        return HisparcSettings

    @hookimpl
    def decode(  # type: ignore[override]  # a hook takes the arguments it needs
        self, source: Source, settings: HisparcSettings
    ) -> Iterable[Batch | Rejected | Remark] | None:
        """Decode an upload or a queue file: pickled events, of Python 2 or 3."""
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
    def complete_keys(self, keys: Mapping[str, str | int]) -> Mapping[str, str | int] | None:
        """Make the two keys of a cluster from its name: lower-case in paths, as it is in titles."""
        cluster, station = keys.get("cluster"), keys.get("station", 0)
        if not isinstance(station, int) or station < 0:
            raise UsageError(f"station is the number of a station, not {station!r}")
        if cluster is not None and not isinstance(cluster, str):
            raise UsageError(f"cluster is the name of a cluster, not {cluster!r}")
        return {"cluster_name": cluster, **keys, "cluster": cluster.lower()} if isinstance(cluster, str) else None

    @hookimpl
    def exporters(self) -> Iterable[Exporter | RangeExporter | BlobReader]:
        """Return what reads traces as ADC counts."""
        from dayfile.export.base import BlobReader
        from dayfile_hisparc.traces import decode_trace

        doc = "trace of each detector, one sample every 2.5 ns, baseline not subtracted"
        traces = BlobReader("hisparc.events", "traces", "int32", decode_trace, "ADC count", doc)
        return [*super().exporters(), traces]

    @hookimpl
    def read_config(self, path: Path) -> dict[str, object] | None:
        """Read the INI file of the datastore."""
        from dayfile_hisparc.datastore_config import read_datastore_config

        return read_datastore_config(path)

    @hookimpl
    def routes(self, root: Root, settings: HisparcSettings, uploads: UploadRecorder) -> Iterable[BaseRoute]:
        """Make routes for uploads at any path, and for renewing the station list at ``/RPC2``."""
        from dayfile_hisparc.stations import open_list

        stations = open_list(settings.station_list)  # before the import that needs an extra
        from dayfile_hisparc.server import make_routes

        return make_routes(root, stations, settings.station_list_source, settings.reload_from, uploads)

    @hookimpl
    def plots(self) -> Iterable[Plot]:
        """Offer the plot of an event's traces."""
        from dayfile_hisparc.plots import EventTraces

        return [EventTraces()]

    @hookimpl
    def send(self, url: str, day: np.datetime64, seed: int, clients: int, seconds: float) -> Iterable[str]:
        """Simulate stations with the two kinds of client, which upload a day's events."""
        from dayfile_hisparc.clients import make_station_list, send

        outcome = send(url, day, seed, clients, seconds)
        yield from outcome.format_lines()
        if not outcome.stored and any(tally.uploads for tally in outcome.tallies):
            lines = ", ".join(make_station_list(clients).split()[:2])
            hint = f"the server's station list must have a line for each client, such as {lines}"
            refused = [answer for tally in outcome.tallies for answer in tally.others if answer.startswith("HTTP ")]
            if refused:
                hint = f"{refused[0]}: is this the receiver?"
            raise StorageError(f"nothing was stored; {hint}", where=url)

    @hookimpl
    def simulate(self, day: np.datetime64, seed: int, directory: Path) -> Iterable[Path]:
        """Write queue files of three stations with events, traces, singles, weather and configurations."""
        from dayfile_hisparc.simulation import write_queue_files

        return write_queue_files(day, seed, directory)


instrument = Hisparc.from_package(__name__, "hisparc.yaml")
