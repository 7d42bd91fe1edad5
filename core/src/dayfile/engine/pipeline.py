"""From sources to records in the work files of their days, or to quarantine."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dayfile.archive import disk
from dayfile.archive.bases import check_mounted
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.catalogue_rows import Publication, as_number
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.root import Root
from dayfile.engine.day_files import DayFiles
from dayfile.engine.decoding import Decoded, Decoder
from dayfile.engine.large import LargeDecoding
from dayfile.engine.limits import NewDays
from dayfile.engine.reading import LargeSource
from dayfile.engine.remarks import Remarks
from dayfile.engine.report import Quarantined, Report
from dayfile.engine.shares import Setback, Written
from dayfile.engine.writing import Writing
from dayfile.errors import SourceError
from dayfile.messages import again_with, plural
from dayfile.model.batch import Origin, Rejected, Remark, Source
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings
from dayfile.state.engine import EngineRecorder

__all__ = ["Conclusion", "Pipeline", "Received", "make_source"]

STARTED_NEW = (
    "%s: the catalogue lists %s but the file is missing; starting a new one. Run 'dayfile rebuild' if its sources were "
    "kept; otherwise restore it from a backup, run 'dayfile reindex --force' and submit the new sources again"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conclusion:
    """The result of archiving a source.

    Parameters
    ----------
    counted : str
        The word under which the report counts it; ``left`` is not counted yet, because the run decides about it.
    days : dict of str to datetime64[D]
        The day files, with their days, that hold records of it or will do so once they are published.
    fresh : dict of str to int
        Number of its records by day file, for the ledgers; empty if something failed, so that it can be taken again.
    """

    counted: str
    days: dict[str, np.datetime64]
    fresh: dict[str, int]


class Received(Origin, Protocol):
    """A source with access to its bytes."""

    @property
    def content(self) -> bytes:
        """Its bytes; StorageError if they cannot be read again."""


def make_source(origin: Received) -> Source:
    """Make a Source with its bytes from any received source."""
    return origin if isinstance(origin, Source) else Source(Path(origin.name), origin.name, origin.content)


class Pipeline:
    """The steps from a source to the work files, and with :meth:`publish` to the day files.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins
        The plugins that decode, classify, locate and write.
    settings : Settings
        Settings of the archive and of each plugin.
    report : Report
        The report that counts everything.
    recorder : EngineRecorder
        Records what is done.
    only : str, optional
        Path of the only day file to write, without what the published one holds; other records are skipped.
    """

    def __init__(
        self,
        root: Root,
        plugins: Plugins,
        settings: Settings,
        report: Report,
        recorder: EngineRecorder,
        *,
        only: str | None = None,
    ) -> None:
        self.root = root
        self.plugins = plugins
        self.settings = settings
        self.report = report
        self.recorder = recorder
        self.only = only
        self.quarantine = Quarantine(root)
        self.remarks = Remarks(self.quarantine, plugins, report)
        self.catalogue = Catalogue.of(root)
        # A rebuild writes a single day file, whatever else the sources hold.
        self.new_days = NewDays(root, settings.core.run_most_new_days)
        self.decoder = Decoder(plugins, settings, only, self.new_days if only is None else None)
        self.day_files = DayFiles(root, plugins, settings, new=only is not None, observe=recorder.beat)

    def take(self, sources: Sequence[Source]) -> tuple[list[Conclusion], dict[str, Setback]]:
        """Archive what can be archived of a group of sources, quarantine the rest, and count both.

        Returns
        -------
        (list of Conclusion, dict of str to Setback)
            The conclusion for each source, and the day files that were given up, with what earlier groups wrote to
            them.

        Raises
        ------
        HeldError
            A large source could not be read again; nothing was done.
        """
        decoded, written = self.decode(sources, self.day_files)
        self.count(written)
        conclusions = []
        for place, (source, each) in enumerate(zip(sources, decoded, strict=True)):
            conclusion = Conclusion("", {}, {})
            if self.only is None or each.claimed:
                conclusion = self.conclude(source, place, each, written)
            for path, records in conclusion.fresh.items():
                if path not in written.setbacks:
                    self.day_files.enter(path, source, records)
            conclusions.append(conclusion)
        return conclusions, written.setbacks

    def decode(self, sources: Sequence[Source], day_files: DayFiles) -> tuple[list[Decoded], Written]:
        """Decode a group of sources and write their records into day files; a large source, which is alone, in blocks.

        Raises
        ------
        HeldError
            A large source could not be read again; nothing was written.
        """
        answers = None
        if len(sources) == 1 and isinstance(source := sources[0], LargeSource):
            large = LargeDecoding(self.decoder, source, self.recorder.beat)
            if large.in_blocks:
                large.check()
                written = Writing(day_files, [source]).write_blocks(large.counts, large.decode_pieces())
                failures = [failure for share in written.shares.values() for failure in share.failures.get(0, ())]
                if failures:  # no day file holds any of its records
                    large.decoded.failures += failures
                    large.decoded.days = {}
                return [large.decoded], written
            answers = large.answers
        decoded, pieces = self.decoder(sources, answers)
        return decoded, Writing(day_files, sources).write(pieces)

    def count(self, written: Written) -> None:
        """Count the statuses of written records, and record when their sources arrived."""
        for data_type, statuses in written.statuses:
            self.report.count_statuses(data_type, statuses)
        for (data_type, key), arrived in written.arrivals.items():
            self.recorder.keys.note(data_type, key, arrival=round(arrived * 1e9))

    def conclude(self, origin: Received, place: int, decoded: Decoded, written: Written) -> Conclusion:
        """Count a source, and quarantine what could not be archived.

        Parameters
        ----------
        origin : Received
            The source; its bytes are only read if it is quarantined whole.
        place : int
            Its place in its group.
        decoded : Decoded
            The result of decoding it.
        written : Written
            The result of writing the group.
        """
        shares = [(path, written.shares[path]) for path in sorted(decoded.days)]
        failures = [*decoded.failures, *(failure for _, share in shares for failure in share.failures.get(place, ()))]
        fresh = {path: share.records[place] for path, share in shares if place not in share.known and not share.held}
        if not decoded.claimed and not failures:
            return Conclusion("left", {}, {})
        if self.only is not None:
            if failures:
                raise SourceError(f"cannot be taken again: {failures[0].message}", where=origin.name)
            return Conclusion("archived", decoded.days, fresh)
        held = next((share.held for _, share in shares if share.held), "")
        if held and not failures:
            self.report.hold(origin.name, held)
            return Conclusion("held", decoded.days, fresh)
        self._remark(origin, decoded.remarks, keep=bool(fresh) and not failures)
        if failures:
            self.quarantine_source(origin, failures)
            return Conclusion("quarantined", decoded.days, {})
        counted = "archived"
        if decoded.rejected and not shares:
            counted = "quarantined"
        elif shares and not fresh:
            counted = "already"
        self.quarantine_rejected(origin, decoded.rejected, again=counted == "already")
        self.report.sources[counted] += 1
        return Conclusion(counted, decoded.days, fresh)

    def _remark(self, origin: Origin, remarks: Sequence[Remark], *, keep: bool) -> None:
        """Count remarks; store their values if ``keep``, which is when the records are archived."""
        for remark in remarks:
            if not remark.values:
                self.report.remark(f"{remark.instrument}: {remark.text}", len(remark.numbers))
            elif keep:
                self.remarks.add(origin, remark)

    def abandon(self) -> None:
        """Close all work files after a failure; the next run starts new ones."""
        self.day_files.abandon()

    def publish(self, paths: Container[str] | None = None) -> dict[str, Setback]:
        """Publish day files with changes, those of ``paths`` or all, and enter them into the catalogue.

        Returns
        -------
        dict of str to Setback
            The day files that had to be given up instead.
        """
        self.remarks.flush()
        chosen = self.day_files.list_changed(paths)
        if chosen:
            self.announce(chosen)
        published: dict[str, Publication | Setback] = {}
        try:
            for path, each in self.day_files.publish(chosen):
                published[path] = each
                self.recorder.beat()
        finally:
            self.record_published(published)
        self.day_files.forget_unchanged()
        return {path: each for path, each in published.items() if isinstance(each, Setback)}

    def announce(self, day_files: Mapping[str, np.datetime64]) -> None:
        """Note in the catalogue which day files come next, and warn of those that are missing."""
        # During a long watch, their file system may have been unmounted.
        self.root.check_there()
        for name in self.plugins.bases:
            check_mounted(self.root, name)
        missing = [path for path in day_files if self.only is None and not disk.exists(self.root.path / path)]
        for path, records in self.catalogue.announce(day_files, missing).items():
            logger.warning(STARTED_NEW, path, plural(records, "record"))

    def record_published(self, day_files: Mapping[str, Publication | Setback]) -> None:
        """Enter published day files into catalogue and report; withdraw the announcement of the others."""
        done = {path: each for path, each in day_files.items() if isinstance(each, Publication)}
        if done:
            self.catalogue.record(done)
            for path, publication in done.items():
                self.report.add_published(path)
                self._record_publication(path, publication)
            self.recorder.beat()
        if len(done) < len(day_files):
            self.catalogue.withdraw(day_files.keys() - done.keys())

    def _record_publication(self, path: str, published: Publication) -> None:
        """Record a published day file, and the newest record of each key in it."""
        size = 0 if published.digest is None else published.digest.size
        self.recorder.note_published(path, published.added, size, published.seconds)
        for row in published.rows:
            for count in row.counts or ():
                self.recorder.keys.note(row.data_type, count.key, record=as_number(count.last))

    def quarantine_source(self, source: Received, failures: list[Failure]) -> None:
        """Quarantine a whole source with all its failures, and count it."""
        # Plugins that share a reader report the same problem.
        messages = list(dict.fromkeys(failure.message for failure in failures))
        reason = self._make_reason(source, failures[0].plugin, failures[0].error, "; ".join(messages))
        reason |= {"records": None, "offset": failures[0].offset}
        traces: dict[str, str] = {}
        for failure in failures:
            traces.setdefault(failure.message, failure.trace)
        trace = "\n".join(filter(None, traces.values()))
        if trace:
            reason["traceback"] = trace
        entry = self.quarantine.put(source.name, make_source(source), reason)
        self.report.sources["quarantined"] += 1
        self._report_entry(source, None, "; ".join(messages), entry)

    def quarantine_unread(self, path: Path, message: str, error: str) -> None:
        """Move a source into quarantine without reading it; OSError if it cannot be moved."""
        advice = again_with(f"sources.largest={path.lstat().st_size}")
        message = f"{message}; if it is a source: {advice}"
        reason = {"source": path.name, "source_sha256": None, "plugin": "dayfile", "version": "", "error": error}
        entry = self.quarantine.move_in(path, reason | {"message": message, "records": None, "offset": None})
        self.report.sources["quarantined"] += 1
        self.report.quarantine.append(Quarantined(path.name, None, message, str(entry.relative_to(self.root.path))))

    def quarantine_rejected(self, source: Origin, rejected: Iterable[Rejected], *, again: bool = False) -> None:
        """Quarantine rejected records; those of a source that came ``again`` only count if they are new there."""
        for item in rejected:
            reason = self._make_reason(source, item.instrument, item.error, item.reason)
            reason |= {"code": item.code, "records": list(item.numbers), "offset": item.offset}
            known = self.quarantine.find(item.name, item.content)
            entry = known or self.quarantine.put(item.name, item.content, reason)
            if again and known:
                continue
            self.report.count(self._find_type_name(item), "rejected", len(item.numbers))
            self._report_entry(source, len(item.numbers), item.reason, entry)

    def _find_type_name(self, item: Rejected) -> str:
        """Return the data type under which a rejected record is counted."""
        for name, data_type in self.plugins.data_types.items():
            if (data_type.instrument, data_type.code) == (item.instrument, item.code):
                return name
        return f"{item.instrument}.{item.code or 'unknown'}"

    def _make_reason(self, source: Origin, plugin: str, error: str, message: str) -> dict[str, Any]:
        """Make the part of ``reason.json`` that all entries have."""
        return {
            "source": source.name,
            "source_sha256": source.sha256,
            "plugin": plugin,
            "version": self.plugins.versions.get(plugin, ""),
            "error": error,
            "message": message,
        }

    def _report_entry(self, source: Origin, records: int | None, why: str, entry: Path) -> None:
        """Add an entry of the quarantine to the report."""
        self.report.quarantine.append(Quarantined(source.name, records, why, str(entry.relative_to(self.root.path))))
