"""One source → records in the work files of its days, or quarantine."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dayfile.archive.bases import look_for
from dayfile.archive.catalogue import Catalogue, CatalogueRow
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.root import Root
from dayfile.engine.day_files import DayFiles, Written
from dayfile.engine.decoding import Decoded, Decoder
from dayfile.engine.limits import NewDays
from dayfile.engine.report import Report, SetAside
from dayfile.errors import SourceError
from dayfile.model.batch import Origin, Rejected, Source
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings

__all__ = ["Pipeline"]

BEGUN_ANEW = (
    "%s: %d records were known of this day file, which is not on disk any more, so it begins anew; rebuild it if its "
    "sources are kept (dayfile rebuild), else move it away, put a copy of the old one in its place, make the catalogue "
    "anew (dayfile reindex), and give the new sources again"
)

logger = logging.getLogger(__name__)


class Received(Origin, Protocol):
    """A source that can give its bytes."""

    @property
    def content(self) -> bytes:
        """Its bytes; StorageError if they are gone."""


class Pipeline:
    """The way of the data, up to the work files; :meth:`publish` ends it.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins
        What decodes, classifies, locates and writes.
    settings : Settings
        Of the archive and of each plugin.
    report : Report
        Where everything is counted.
    only : str, optional
        Path of the one day file to make, anew and whatever the published one holds; records of others are passed over.
    """

    def __init__(
        self, root: Root, plugins: Plugins, settings: Settings, report: Report, *, only: str | None = None
    ) -> None:
        self.root = root
        self.plugins = plugins
        self.settings = settings
        self.report = report
        self.only = only
        self.quarantine = Quarantine(root)
        self.catalogue = Catalogue.of(root)
        # A day file that is rebuilt is one, whatever else its sources hold.
        self.new_days = NewDays(root, settings.core.run_most_new_days)
        self.decoder = Decoder(plugins, settings, only, self.new_days if only is None else None)
        self.day_files = DayFiles(root, plugins, settings, anew=only is not None)

    def take(self, sources: Sequence[Source]) -> list[dict[str, np.datetime64]]:
        """Archive what can be archived of a group of sources, quarantine the rest, count both.

        Returns
        -------
        list of dict of str to datetime64[D]
            For each source the day files, with their days, that hold records of it or will once they are published.
        """
        decoded, pieces = self.decoder(sources)
        written = self.day_files.write(sources, pieces)
        self.count(written)
        for place, (source, each) in enumerate(zip(sources, decoded, strict=True)):
            if self.only is None or each.claimed:
                for path, records in self.conclude(source, place, each, written).items():
                    self.day_files.enter(path, source, records)
        return [each.days for each in decoded]

    def count(self, written: Written) -> None:
        """Count what became of records."""
        for data_type, statuses in written.statuses:
            self.report.count_statuses(data_type, statuses)

    def conclude(self, origin: Received, place: int, decoded: Decoded, written: Written) -> dict[str, int]:
        """Count what became of a source, and set aside what could not be archived.

        Parameters
        ----------
        origin : Received
            The source, which is asked for its bytes only if it has to be set aside whole.
        place : int
            Its place in its group.
        decoded : Decoded
            What plugins made of it.
        written : Written
            What became of the records of the group.

        Returns
        -------
        dict of str to int
            Day files into whose ledgers it is to be entered, and the number of its records there; none if something
            failed, so that it can be taken again.
        """
        shares = [(path, written.shares[path]) for path in sorted(decoded.days)]
        failures = [*decoded.failures, *(failure for _, share in shares for failure in share.failures.get(place, ()))]
        fresh = {path: share.records[place] for path, share in shares if place not in share.known}
        for remark in decoded.remarks:
            self.report.remark(f"{remark.instrument}: {remark.text}", len(remark.numbers))
        if self.only is not None:
            if failures:
                raise SourceError(f"cannot be taken again: {failures[0].message}", where=origin.name)
            return fresh
        if failures:
            self._set_aside_whole(origin, origin.content, failures)
            return {}
        if decoded.rejected and not shares:
            self.set_aside(origin, decoded.rejected)
            self.report.sources["quarantined"] += 1
        elif shares and not fresh:
            self.set_aside(origin, decoded.rejected, again=True)
            self.report.sources["already"] += 1
        else:
            self.set_aside(origin, decoded.rejected)
            self.report.sources["archived"] += 1
        return fresh

    def abandon(self) -> None:
        """Let go of all work files after a failure; the next run begins them anew."""
        self.day_files.abandon()

    def publish(self, paths: Container[str] | None = None) -> None:
        """Publish day files that have something new, and put them into the catalogue; all if none are named."""
        chosen = self.day_files.changed(paths)
        if chosen:
            self.announce(chosen)
        published: dict[str, list[CatalogueRow]] = {}
        try:
            for path, rows in self.day_files.publish(chosen):
                published[path] = rows  # noqa: PERF403 - those before one that fails are recorded
        finally:
            self.published(published)
        self.day_files.forget_unchanged()

    def announce(self, day_files: Mapping[str, np.datetime64]) -> None:
        """Tell the catalogue which day files come next, and warn of those that were there and are not any more."""
        # During a long watch, what they lie on may be gone meanwhile.
        for name in self.plugins.bases:
            look_for(self.root, name)
        for path, records in self.catalogue.announce(day_files).items():
            if self.only is None and not (self.root.path / path).exists():
                logger.warning(BEGUN_ANEW, path, records)

    def published(self, rows: Mapping[str, list[CatalogueRow]]) -> None:
        """Put published day files into the catalogue and the report."""
        if rows:
            self.catalogue.record(rows)
            for path in rows:
                self.report.published(path)

    def _set_aside_whole(self, source: Origin, content: bytes, failures: list[Failure]) -> None:
        # Plugins that share a reader say the same of a file that is nobody's.
        messages = list(dict.fromkeys(failure.message for failure in failures))
        reason = self._reason(source, failures[0].plugin, failures[0].error, "; ".join(messages))
        reason |= {"records": None, "offset": failures[0].offset}
        trace = "\n".join(failure.trace for failure in failures if failure.trace)
        if trace:
            reason["traceback"] = trace
        entry = self.quarantine.put(source.name, content, reason)
        self.report.sources["quarantined"] += 1
        self._tell(source, None, "; ".join(messages), entry)

    def set_aside(self, source: Origin, rejected: list[Rejected], *, again: bool = False) -> None:
        """Keep rejected records; those of a source that came again are told only if they had to be kept again."""
        for item in rejected:
            reason = self._reason(source, item.instrument, item.error, item.reason)
            reason |= {"code": item.code, "records": list(item.numbers), "offset": item.offset}
            known = self.quarantine.find(item.name, item.content)
            entry = known or self.quarantine.put(item.name, item.content, reason)
            if again and known:
                continue
            if not item.archived:
                self.report.count(self._type_name(item), "rejected", len(item.numbers))
            self._tell(source, len(item.numbers), item.reason, entry)

    def _type_name(self, item: Rejected) -> str:
        for name, data_type in self.plugins.data_types.items():
            if (data_type.instrument, data_type.code) == (item.instrument, item.code):
                return name
        return f"{item.instrument}.{item.code or 'unknown'}"

    def _reason(self, source: Origin, plugin: str, error: str, message: str) -> dict[str, Any]:
        return {
            "source": source.name,
            "source_sha256": source.sha256,
            "plugin": plugin,
            "version": self.plugins.versions.get(plugin, ""),
            "error": error,
            "message": message,
        }

    def _tell(self, source: Origin, records: int | None, message: str, entry: Path) -> None:
        self.report.quarantine.append(SetAside(source.name, records, message, str(entry.relative_to(self.root.path))))
