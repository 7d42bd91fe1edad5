"""One source → records in the work files of its days, or quarantine."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dayfile.archive.catalogue import Catalogue
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.root import Root
from dayfile.archive.workfile import WorkFile
from dayfile.engine.report import Report, SetAside
from dayfile.errors import PluginError, SourceError, StorageError
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings
from dayfile.stores.nodes import recogniser

__all__ = ["Pipeline"]

# HDF5 keeps about a megabyte for an open file; work files beyond these are closed until they are written again.
OPEN_FILES = 24


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
        self.catalogue = Catalogue(root.catalogue)
        self.work_files: dict[str, WorkFile] = {}
        self.told = recogniser(plugins.data_types.values())
        self.made = 0
        self.located: dict[tuple[str, np.datetime64], str] = {}

    def take(self, source: Source) -> dict[str, np.datetime64]:
        """Archive what can be archived of a source, quarantine the rest, count both.

        Returns
        -------
        dict of str to datetime64[D]
            The day files, with their days, that hold records of the source or will once they are published.
        """
        if source.size == 0:
            self._set_aside_whole(source, [Failure("dayfile", "the file is empty", SourceError.__name__)])
            return {}
        batches, rejected, failures = self._decode(source)
        if batches is None:
            if self.only is not None:
                return {}
            batches, failures = [], [self._unclaimed()]
        touched, fresh = self._write(source, batches, failures)
        if self.only is not None:
            if failures:
                raise SourceError(f"cannot be taken again: {failures[0].message}", where=source.path)
            return touched
        if failures:
            self._set_aside_whole(source, failures)
        elif rejected and not batches:
            self._set_aside(source, rejected)
            self.report.sources["quarantined"] += 1
        elif touched and not fresh:
            self._set_aside(source, rejected, again=True)
            self.report.sources["already"] += 1
        else:
            self._set_aside(source, rejected)
            self.report.sources["archived"] += 1
        return touched

    def _decode(self, source: Source) -> tuple[list[tuple[str, Batch]] | None, list[Rejected], list[Failure]]:
        """What all plugins make of a source: batches and whose they are (None if it is nobody's), and the rest."""
        batches: list[tuple[str, Batch]] = []
        rejected: list[Rejected] = []
        failures: list[Failure] = []
        claimed = False
        for plugin, answer in self.plugins.decode(source, self.settings.plugins):
            claimed = True
            if isinstance(answer, Failure):
                failures.append(answer)
                continue
            batches.extend((plugin, item) for item in answer if isinstance(item, Batch) and len(item))
            rejected.extend(item for item in answer if isinstance(item, Rejected))
            for item in answer:
                if isinstance(item, Remark):
                    self.report.remark(f"{item.instrument}: {item.text}", len(item.numbers))
        return batches if claimed else None, rejected, failures

    def _unclaimed(self) -> Failure:
        asked = ", ".join(self.plugins.names) or "none"
        message = f"no plugin of this run recognises it (asked: {asked}); run with the plugin it belongs to"
        return Failure("dayfile", message, SourceError.__name__)

    def _write(
        self, source: Source, batches: list[tuple[str, Batch]], failures: list[Failure]
    ) -> tuple[dict[str, np.datetime64], set[str]]:
        """Write batches into their work files: the files they belong to, and those that did not have them."""
        records: dict[str, int] = {}
        for plugin, batch in batches:
            try:
                self._write_batch(source, batch, records)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
                failures.append(Failure.of(plugin, error))
        fresh = {path for path in records if not self.work_files[path].holds(source)}
        for path, count in records.items():
            if path in fresh and not failures:
                self.work_files[path].enter(source, count)
            # The order of the dict is the order of use: the files used longest ago come first.
            self.work_files[path] = self.work_files.pop(path)
        for work_file in list(self.work_files.values())[:-OPEN_FILES]:
            work_file.close()
        return {path: self.work_files[path].day for path in records}, fresh

    def _write_batch(self, source: Source, batch: Batch, records: dict[str, int]) -> None:
        data_type = self.plugins.classify(batch)
        blob_fields = [field.name for field in data_type.fields if field.blob]
        days = data_type.clock.days(batch.records[data_type.time])
        for day in np.unique(days):
            path = self._locate(data_type, day)
            if self.only not in (None, path):
                continue
            part = batch.select(days == day, blob_fields)
            work_file = self._work_file(path, day)
            if path not in records:
                records[path] = 0
                work_file.begin()
            records[path] += len(part)
            if work_file.holds(source):
                continue
            self.report.count_statuses(data_type.name, self.plugins.write(work_file, data_type, part))

    def _locate(self, data_type: DataType, day: np.datetime64) -> str:
        key = (data_type.name, day)
        if key not in self.located:
            self.located[key] = str(PurePosixPath(self.plugins.locate_file(data_type, day)))
        return self.located[key]

    def _work_file(self, path: str, day: np.datetime64) -> WorkFile:
        if path not in self.work_files:
            published = self.root.day_file(path)
            self.made += 1
            self.work_files[path] = WorkFile(
                published,
                self.root.workshop / f"{self.made}-{published.name}",
                day,
                keep_duplicates=self.settings.core.duplicates == "keep",
                from_published=self.only is None,
                told=self.told,
            )
        work_file = self.work_files[path]
        if {str(work_file.day), work_file.ledger.day or str(day)} != {str(day)}:
            there = work_file.ledger.day or work_file.day
            raise PluginError(f"locate_file puts {day} into {path}, which is the day file of {there}")
        return work_file

    def abandon(self) -> None:
        """Let go of all work files after a failure; the next run begins them anew."""
        for work_file in self.work_files.values():
            work_file.abandon()
        self.work_files.clear()

    def due(self) -> list[str]:
        """Day files that it is time to publish while more may come."""
        core = self.settings.core
        return [path for path, file in self.work_files.items() if file.due(core.publish_after, core.publish_growth)]

    def publish(self, paths: Container[str] | None = None) -> None:
        """Publish day files that have something new, and put them into the catalogue; all if none are named."""
        changed = {path: file.day for path, file in self.work_files.items() if file.changed}
        chosen = [path for path in changed if paths is None or path in paths]
        if chosen:
            self.catalogue.announce({path: changed[path] for path in chosen})
        for path in chosen:
            summaries = self.work_files[path].publish()
            self.catalogue.record(path, changed[path], summaries)
            self.report.published(path)
        # Those without changes were asked what they hold, or could not take what came.
        for path in self.work_files.keys() - changed.keys():
            self.work_files[path].abandon()
            self.work_files[path].path.unlink(missing_ok=True)
        self.work_files = {path: self.work_files[path] for path in changed if path not in chosen}

    def _set_aside_whole(self, source: Source, failures: list[Failure]) -> None:
        # Plugins that share a reader say the same of a file that is nobody's.
        messages = list(dict.fromkeys(failure.message for failure in failures))
        reason = self._reason(source, failures[0].plugin, failures[0].error, "; ".join(messages))
        reason |= {"records": None, "offset": failures[0].offset}
        trace = "\n".join(failure.trace for failure in failures if failure.trace)
        if trace:
            reason["traceback"] = trace
        entry = self.quarantine.put(source.name, source.content, reason)
        self.report.sources["quarantined"] += 1
        self._tell(source, None, "; ".join(messages), entry)

    def _set_aside(self, source: Source, rejected: list[Rejected], *, again: bool = False) -> None:
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

    def _reason(self, source: Source, plugin: str, error: str, message: str) -> dict[str, Any]:
        return {
            "source": source.name,
            "source_sha256": source.sha256,
            "plugin": plugin,
            "version": self.plugins.versions.get(plugin, ""),
            "error": error,
            "message": message,
        }

    def _tell(self, source: Source, records: int | None, message: str, entry: Path) -> None:
        self.report.quarantine.append(SetAside(source.name, records, message, str(entry.relative_to(self.root.path))))
