"""The status of an archive as metrics for Prometheus: for ``/metrics``, and in a file for runs by cron."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dayfile.errors import MissingExtraError, StorageError
from dayfile.messages import suggest_extra
from dayfile.state.attention import CONCERNS
from dayfile.state.silence import read_key
from dayfile.state.status import ArchiveStatus, EngineStatus, ReceiverStatus

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

__all__ = ["METRICS", "check_metrics", "format_metrics", "write_metrics"]

NEEDS_METRICS = f"metrics need an extra; {suggest_extra('metrics')}"

METRICS = {
    "up": ("gauge", "1 if the program works, 0 if it ended; by program: engine, receiver"),
    "start_timestamp_seconds": ("gauge", "when the program was started; by program"),
    "heartbeat_timestamp_seconds": ("gauge", "the last sign of life of the program; by program"),
    "last_error_timestamp_seconds": ("gauge", "the last error of the program; by program"),
    "failed": ("gauge", "1 if an error ended the last engine, or it was killed"),
    "sources": ("gauge", "sources that the engine took since it was started, as things stand; by result"),
    "unpublished_sources": ("gauge", "sources that were taken and that readers do not see yet"),
    "unpublished_timestamp_seconds": ("gauge", "arrival of the oldest source that readers do not see yet"),
    "publications": ("counter", "how often the engine put a day file in place since it was started"),
    "published_records": ("counter", "records that were new in what the engine published"),
    "published_bytes": ("counter", "bytes of the day files that the engine put in place"),
    "published_timestamp_seconds": ("gauge", "when the last day file was put in place"),
    "disk_free_bytes": ("gauge", "bytes that may still be written on the file system of the archive"),
    "disk_size_bytes": ("gauge", "bytes of the file system of the archive"),
    "queue_sources": ("gauge", "sources that wait; by place: incoming, accepted"),
    "queue_oldest_timestamp_seconds": ("gauge", "when the oldest source that waits came; by place"),
    "quarantine_entries": ("gauge", "entries in quarantine"),
    "quarantine_entries_today": ("gauge", "entries that went to quarantine this UTC day; by plugin"),
    "uploads": ("counter", "uploads of this UTC day, from 0 at its beginning; by result: stored, or why not"),
    "uploads_bytes": ("counter", "bytes of the uploads that were stored this UTC day"),
    "upload_timestamp_seconds": ("gauge", "when the last upload was stored"),
    "newest_record_timestamp_seconds": ("gauge", "time of the newest published record; by data type and key"),
    "last_arrival_timestamp_seconds": ("gauge", "when a source with records last arrived; by data type and key"),
    "attention": ("gauge", "1 if something needs attention, else 0; by concern"),
}
"""Name without ``dayfile_``, type and meaning of each metric. Counters end in ``_total``."""

MetricSample = tuple[str, dict[str, str], float | None]
"""Name of a metric, labels, and the value; None where it is not known."""


def check_metrics() -> None:
    """Raise a MissingExtraError if the library is not installed."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(NEEDS_METRICS) from error


def format_metrics(status: ArchiveStatus) -> bytes:
    """Format a status in the text format of Prometheus.

    Raises
    ------
    MissingExtraError
        The library prometheus-client is not installed.
    """
    check_metrics()
    from prometheus_client import generate_latest

    return generate_latest(make_registry(status))


def write_metrics(status: ArchiveStatus, path: Path) -> None:
    """Write a status into a file for the textfile collector of Prometheus' node exporter, in one step.

    Raises
    ------
    MissingExtraError
        The library prometheus-client is not installed.
    StorageError
        The file cannot be written.
    """
    check_metrics()
    from prometheus_client import write_to_textfile

    try:
        write_to_textfile(str(path), make_registry(status))
    except OSError as error:
        message = f"could not write the metrics: {error.strerror or error}; the run itself is complete"
        raise StorageError(message, where=path) from error


def make_registry(status: ArchiveStatus) -> CollectorRegistry:
    """Make a registry with the metrics of a status."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(status))
    return registry


class StatusCollector:
    """Collects the metrics of a status; a collector in the sense of prometheus-client."""

    def __init__(self, status: ArchiveStatus) -> None:
        self.status = status

    def describe(self) -> list[Metric]:
        """Describe nothing beforehand."""
        return []

    def collect(self) -> Iterator[Any]:
        """Collect all metrics, those without samples left out."""
        from prometheus_client.core import Metric

        found = {name: Metric(f"dayfile_{name}", meaning, kind) for name, (kind, meaning) in METRICS.items()}
        for name, labels, value in list_status_samples(self.status):
            if value is not None:
                suffix = "_total" if METRICS[name][0] == "counter" else ""
                found[name].add_sample(f"dayfile_{name}{suffix}", labels, value)
        yield from (metric for metric in found.values() if metric.samples)


def list_status_samples(status: ArchiveStatus) -> Iterator[MetricSample]:
    """List the samples of all metrics."""
    measured = status.measured
    if status.engine is not None:
        yield from list_engine(status.engine)
    if status.receiver is not None:
        yield from list_receiver(status.receiver)
    yield "disk_free_bytes", {}, measured.free
    yield "disk_size_bytes", {}, measured.size
    for name, queue in (("incoming", measured.incoming), ("accepted", measured.accepted)):
        if queue is not None:
            yield "queue_sources", {"place": name}, queue.files
            yield "queue_oldest_timestamp_seconds", {"place": name}, queue.oldest
    if measured.quarantine is not None:
        yield "quarantine_entries", {}, measured.quarantine.entries
        today = dict.fromkeys(["dayfile"], 0)
        for cause, number in measured.quarantine.today.items():
            plugin = cause.partition(":")[0]
            today[plugin] = today.get(plugin, 0) + number
        for plugin, number in today.items():
            yield "quarantine_entries_today", {"plugin": plugin}, number
    for (data_type, text), newest in status.keys.items():
        key = {name: str(value) for name, value in read_key(text).items()}
        labels = {**key, "data_type": data_type}
        yield "newest_record_timestamp_seconds", labels, None if newest.record is None else newest.record / 1e9
        yield "last_arrival_timestamp_seconds", labels, None if newest.arrival is None else newest.arrival / 1e9
    concerns = {concern.name for concern in status.concerns}
    for name in CONCERNS:
        yield "attention", {"concern": name}, float(name in concerns)


def list_engine(engine: EngineStatus) -> Iterator[MetricSample]:
    """List the samples about the engine."""
    state, labels = engine.state, {"program": "engine"}
    yield "up", labels, float(engine.alive)
    yield "start_timestamp_seconds", labels, state.since
    yield "heartbeat_timestamp_seconds", labels, state.beat
    yield "last_error_timestamp_seconds", labels, None if state.last_error is None else state.last_error.at
    yield "failed", {}, float(bool(state.failed) or not (engine.alive or state.ended))
    for result, number in state.sources.items():
        yield "sources", {"result": result}, number
    yield "unpublished_sources", {}, state.waiting
    yield "unpublished_timestamp_seconds", {}, state.unpublished_since
    yield "publications", {}, state.published.publications
    yield "published_records", {}, state.published.records
    yield "published_bytes", {}, state.published.bytes
    yield "published_timestamp_seconds", {}, state.published.last


def list_receiver(receiver: ReceiverStatus) -> Iterator[MetricSample]:
    """List the samples about the receiver."""
    labels = {"program": "receiver"}
    yield "up", labels, float(receiver.alive)
    yield "start_timestamp_seconds", labels, receiver.since
    yield "heartbeat_timestamp_seconds", labels, receiver.beat
    yield "last_error_timestamp_seconds", labels, None if receiver.last_error is None else receiver.last_error.at
    yield "uploads", {"result": "stored"}, receiver.stored
    for reason, number in receiver.refused.items():
        yield "uploads", {"result": reason}, number
    yield "uploads_bytes", {}, receiver.bytes
    yield "upload_timestamp_seconds", {}, receiver.last_stored
