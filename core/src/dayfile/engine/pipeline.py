"""One source → records in the work files of its days, or quarantine."""

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
from dayfile.archive.catalogue_rows import Publication
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.root import Root
from dayfile.engine.day_files import DayFiles
from dayfile.engine.decoding import Decoded, Decoder
from dayfile.engine.large import LargeDecoding
from dayfile.engine.limits import NewDays
from dayfile.engine.reading import LargeSource
from dayfile.engine.remarks import Remarks
from dayfile.engine.report import Report, SetAside
from dayfile.engine.shares import Setback, Written
from dayfile.engine.writing import Writing
from dayfile.errors import SourceError
from dayfile.messages import again_with, plural
from dayfile.model.batch import Origin, Rejected, Remark, Source
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings

__all__ = ["Conclusion", "Pipeline", "Received", "source_of"]

STARTED_NEW = (
    "%s: the catalogue lists %s but the file is missing; starting a new one. Run 'dayfile rebuild' if its sources were "
    "kept; otherwise restore it from a backup, run 'dayfile reindex --force' and submit the new sources again"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conclusion:
    """What became of a source.

    Parameters
    ----------
    counted : str
        The word under which the report counts it; ``left`` is not counted yet, as whoever has the source decides.
    days : dict of str to datetime64[D]
        The day files, with their days, that hold records of it or will once they are published.
    fresh : dict of str to int
        Day files into whose ledgers it is to be entered, and the number of its records there; none if something
        failed, so that it can be taken again.
    """

    counted: str
    days: dict[str, np.datetime64]
    fresh: dict[str, int]


class Received(Origin, Protocol):
    """A source that can give its bytes."""

    @property
    def content(self) -> bytes:
        """Its bytes; StorageError if they are gone."""


def source_of(origin: Received) -> Source:
    """A source with its bytes, however it was received."""
    return origin if isinstance(origin, Source) else Source(Path(origin.name), origin.name, origin.content)


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
        self.remarks = Remarks(self.quarantine, plugins, report)
        self.catalogue = Catalogue.of(root)
        # A day file that is rebuilt is one, whatever else its sources hold.
        self.new_days = NewDays(root, settings.core.run_most_new_days)
        self.decoder = Decoder(plugins, settings, only, self.new_days if only is None else None)
        self.day_files = DayFiles(root, plugins, settings, anew=only is not None)

    def take(self, sources: Sequence[Source]) -> tuple[list[Conclusion], dict[str, Setback]]:
        """Archive what can be archived of a group of sources, quarantine the rest, count both.

        Returns
        -------
        (list of Conclusion, dict of str to Setback)
            What became of each source, and day files that had to be given up, with what earlier groups wrote to them.

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
        """Decode a group of sources and write their records into day files; a large source, by itself, in blocks.

        Raises
        ------
        HeldError
            A large source could not be read again; nothing was written.
        """
        answers = None
        if len(sources) == 1 and isinstance(source := sources[0], LargeSource):
            large = LargeDecoding(self.decoder, source)
            if large.in_blocks:
                large.check()
                written = Writing(day_files, [source]).write_blocks(large.counts, large.pieces())
                failures = [failure for share in written.shares.values() for failure in share.failures.get(0, ())]
                if failures:  # and nothing of it is in any day file
                    large.decoded.failures += failures
                    large.decoded.days = {}
                return [large.decoded], written
            answers = large.answers
        decoded, pieces = self.decoder(sources, answers)
        return decoded, Writing(day_files, sources).write(pieces)

    def count(self, written: Written) -> None:
        """Count what became of records."""
        for data_type, statuses in written.statuses:
            self.report.count_statuses(data_type, statuses)

    def conclude(self, origin: Received, place: int, decoded: Decoded, written: Written) -> Conclusion:
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
            self.set_aside_whole(origin, failures)
            return Conclusion("quarantined", decoded.days, {})
        counted = "archived"
        if decoded.rejected and not shares:
            counted = "quarantined"
        elif shares and not fresh:
            counted = "already"
        self.set_aside(origin, decoded.rejected, again=counted == "already")
        self.report.sources[counted] += 1
        return Conclusion(counted, decoded.days, fresh)

    def _remark(self, origin: Origin, remarks: Sequence[Remark], *, keep: bool) -> None:
        """Count remarks; what they keep is kept once, when their records are archived."""
        for remark in remarks:
            if not remark.values:
                self.report.remark(f"{remark.instrument}: {remark.text}", len(remark.numbers))
            elif keep:
                self.remarks.add(origin, remark)

    def abandon(self) -> None:
        """Let go of all work files after a failure; the next run begins them anew."""
        self.day_files.abandon()

    def publish(self, paths: Container[str] | None = None) -> dict[str, Setback]:
        """Publish day files that have something new, and put them into the catalogue; all if none are named.

        Returns
        -------
        dict of str to Setback
            Those that had to be given up instead.
        """
        self.remarks.flush()
        chosen = self.day_files.changed(paths)
        if chosen:
            self.announce(chosen)
        published: dict[str, Publication | Setback] = {}
        try:
            for path, each in self.day_files.publish(chosen):
                published[path] = each  # noqa: PERF403 - those before one that fails are recorded
        finally:
            self.published(published)
        self.day_files.forget_unchanged()
        return {path: each for path, each in published.items() if isinstance(each, Setback)}

    def announce(self, day_files: Mapping[str, np.datetime64]) -> None:
        """Put down in the catalogue which day files come next, and warn of those that are gone."""
        # During a long watch, what they are on may be gone meanwhile.
        self.root.check_there()
        for name in self.plugins.bases:
            check_mounted(self.root, name)
        gone = [path for path in day_files if self.only is None and not disk.exists(self.root.path / path)]
        for path, records in self.catalogue.announce(day_files, gone).items():
            logger.warning(STARTED_NEW, path, plural(records, "record"))

    def published(self, day_files: Mapping[str, Publication | Setback]) -> None:
        """Put published day files into the catalogue and the report; forget the announcement of the others."""
        done = {path: each for path, each in day_files.items() if isinstance(each, Publication)}
        if done:
            self.catalogue.record(done)
            for path in done:
                self.report.published(path)
        if len(done) < len(day_files):
            self.catalogue.withdraw(day_files.keys() - done.keys())

    def set_aside_whole(self, source: Received, failures: list[Failure]) -> None:
        """Quarantine a source whole, with all that is wrong with it, and count it."""
        # Plugins that share a reader say the same of a file that is nobody's.
        messages = list(dict.fromkeys(failure.message for failure in failures))
        reason = self._reason(source, failures[0].plugin, failures[0].error, "; ".join(messages))
        reason |= {"records": None, "offset": failures[0].offset}
        traces: dict[str, str] = {}
        for failure in failures:
            traces.setdefault(failure.message, failure.trace)
        trace = "\n".join(filter(None, traces.values()))
        if trace:
            reason["traceback"] = trace
        entry = self.quarantine.put(source.name, source_of(source), reason)
        self.report.sources["quarantined"] += 1
        self._tell(source, None, "; ".join(messages), entry)

    def set_aside_unread(self, path: Path, message: str, error: str) -> None:
        """Move a source into quarantine that is not read; OSError if it could not be moved."""
        advice = again_with(f"sources.largest={path.lstat().st_size}")
        message = f"{message}; if it is a source: {advice}"
        reason = {"source": path.name, "source_sha256": None, "plugin": "dayfile", "version": "", "error": error}
        entry = self.quarantine.move_in(path, reason | {"message": message, "records": None, "offset": None})
        self.report.sources["quarantined"] += 1
        self.report.quarantine.append(SetAside(path.name, None, message, str(entry.relative_to(self.root.path))))

    def set_aside(self, source: Origin, rejected: Iterable[Rejected], *, again: bool = False) -> None:
        """Keep rejected records; those of a source that came again are told only if they had to be kept again."""
        for item in rejected:
            reason = self._reason(source, item.instrument, item.error, item.reason)
            reason |= {"code": item.code, "records": list(item.numbers), "offset": item.offset}
            known = self.quarantine.find(item.name, item.content)
            entry = known or self.quarantine.put(item.name, item.content, reason)
            if again and known:
                continue
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
