"""One source → records in the work files of its days, or quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from dayfile.archive.catalogue import Catalogue
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.root import Root
from dayfile.archive.workfile import WorkFile
from dayfile.engine.report import Report, SetAside
from dayfile.errors import PluginError, SourceError, StorageError
from dayfile.model.batch import Batch, Rejected, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import Failure, Plugins

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
    settings : dict of str to BaseModel
        Settings of each plugin.
    report : Report
        Where everything is counted.
    """

    def __init__(self, root: Root, plugins: Plugins, settings: dict[str, BaseModel], report: Report) -> None:
        self.root = root
        self.plugins = plugins
        self.settings = settings
        self.report = report
        self.quarantine = Quarantine(root.quarantine)
        self.work_files: dict[str, WorkFile] = {}
        self.located: dict[tuple[str, np.datetime64], str] = {}

    def take(self, source: Source) -> None:
        """Archive what can be archived of a source, quarantine the rest, count both."""
        if source.size == 0:
            self._set_aside_whole(source, [Failure("dayfile", "the file is empty", SourceError.__name__)])
            return
        batches: list[Batch] = []
        rejected: list[Rejected] = []
        failures: list[Failure] = []
        claimed = False
        for _, answer in self.plugins.decode(source, self.settings):
            claimed = True
            if isinstance(answer, Failure):
                failures.append(answer)
                continue
            batches.extend(item for item in answer if isinstance(item, Batch) and len(item))
            rejected.extend(item for item in answer if isinstance(item, Rejected))
        if not claimed:
            failures.append(self._unclaimed())
        touched, fresh = self._write(source, batches, failures)
        if failures:
            self._set_aside_whole(source, failures)
        elif rejected and not batches:
            self._set_aside(source, rejected)
            self.report.sources["quarantined"] += 1
        elif touched and not fresh:
            self.report.sources["already"] += 1
        else:
            self._set_aside(source, rejected)
            self.report.sources["archived"] += 1

    def _unclaimed(self) -> Failure:
        asked = ", ".join(self.plugins.names) or "none"
        message = f"no plugin of this run recognises it (asked: {asked}); run with the plugin it belongs to"
        return Failure("dayfile", message, SourceError.__name__)

    def _write(self, source: Source, batches: list[Batch], failures: list[Failure]) -> tuple[int, int]:
        """Write batches into their work files; how many work files they belong to, and how many did not have them."""
        records: dict[str, int] = {}
        for batch in batches:
            try:
                self._write_batch(source, batch, records)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
                failures.append(Failure.of(batch.instrument, error))
        fresh = {path: count for path, count in records.items() if not self.work_files[path].holds(source)}
        if not failures:
            for path, count in fresh.items():
                self.work_files[path].enter(source, count)
        for path in records:
            # The order of the dict is the order of use: the files used longest ago come first.
            self.work_files[path] = self.work_files.pop(path)
        for work_file in list(self.work_files.values())[:-OPEN_FILES]:
            work_file.close()
        return len(records), len(fresh)

    def _write_batch(self, source: Source, batch: Batch, records: dict[str, int]) -> None:
        data_type = self.plugins.classify(batch)
        if data_type is None:
            raise PluginError(f"plugin {batch.instrument}: no data type has the code {batch.code!r}")
        blob_fields = [field.name for field in data_type.fields if field.blob]
        days = data_type.clock.days(batch.records[data_type.time])
        for day in np.unique(days):
            part = batch.select(days == day, blob_fields)
            path = self._locate(data_type, day)
            work_file = self._work_file(path, day)
            if path not in records:
                records[path] = 0
                work_file.begin()
            records[path] += len(part)
            if work_file.holds(source):
                continue
            statuses = self.plugins.manager.hook.write(work_file=work_file, data_type=data_type, batch=part)
            self.report.count_statuses(data_type.name, checked(statuses, part, data_type))

    def _locate(self, data_type: DataType, day: np.datetime64) -> str:
        key = (data_type.name, day)
        if key not in self.located:
            self.located[key] = self.plugins.manager.hook.locate_file(data_type=data_type, day=day)
        return self.located[key]

    def _work_file(self, path: str, day: np.datetime64) -> WorkFile:
        if path not in self.work_files:
            published = self.root.day_file(path, "locate_file")
            work = self.root.workshop / f"{len(self.work_files)}-{published.name}"
            self.work_files[path] = WorkFile(published, work, day)
        return self.work_files[path]

    def publish(self) -> None:
        """Publish every work file that has something new, and put it into the catalogue."""
        catalogue = Catalogue(self.root.catalogue)
        for path, work_file in self.work_files.items():
            if work_file.changed:
                summaries = work_file.publish()
                catalogue.record(path, work_file.day, summaries)
                self.report.day_files.append(path)
        self.report.day_files.sort()
        self.work_files.clear()

    def _set_aside_whole(self, source: Source, failures: list[Failure]) -> None:
        # Plugins that share a reader say the same of a file that is nobody's.
        messages = list(dict.fromkeys(failure.message for failure in failures))
        reason = self._reason(source, failures[0].plugin, failures[0].error, "; ".join(messages))
        trace = "\n".join(failure.trace for failure in failures if failure.trace)
        if trace:
            reason["traceback"] = trace
        entry = self.quarantine.put(source.name, source.content, reason)
        self.report.sources["quarantined"] += 1
        self._tell(source, None, "; ".join(messages), entry)

    def _set_aside(self, source: Source, rejected: list[Rejected]) -> None:
        for item in rejected:
            reason = self._reason(source, item.instrument, item.error, item.reason)
            reason |= {"code": item.code, "records": list(item.numbers), "offset": item.offset}
            entry = self.quarantine.put(item.name, item.content, reason)
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


def checked(statuses: object, batch: Batch, data_type: DataType) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The answer of the write hook, if it is one; PluginError otherwise."""
    if not isinstance(statuses, np.ndarray) or statuses.shape != (len(batch),) or not np.isin(statuses, range(4)).all():
        message = f"write of {data_type.name} must answer a status 0 to 3 for each of {len(batch)} records"
        raise PluginError(message)
    return statuses.astype(np.uint8)
