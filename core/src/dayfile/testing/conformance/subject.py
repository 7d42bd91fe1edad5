"""The subject of the rules: a plugin, its settings, and sample sources of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dayfile.api import Archive, create_archive
from dayfile.contract.failures import collect_failures
from dayfile.engine.offering import Offered, list_offers
from dayfile.engine.report import Report
from dayfile.errors import SourceError, UsageError
from dayfile.messages import plural
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings, from_program, resolve
from dayfile.testing.conformance.rows import Row, list_batch_rows, list_read_rows, summarise_items

__all__ = ["Archived", "InapplicableError", "Response", "Subject", "write_samples"]

Item = Batch | Rejected | Remark
REFUSALS = {SourceError.__name__}
"""Errors by which a plugin may refuse a source."""


class InapplicableError(Exception):
    """A rule is about something that the plugin does not have; the message says what."""


@dataclass(frozen=True)
class Response:
    """What a plugin makes of one source.

    Parameters
    ----------
    claimed : bool
        Whether the plugin claimed the source.
    items : list of Batch, Rejected and Remark
        What it returned until it failed, if it did.
    failure : Failure or None
        Why it failed.
    """

    claimed: bool
    items: list[Item] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def batches(self) -> list[Batch]:
        """Its batches with records."""
        return [item for item in self.items if isinstance(item, Batch) and len(item)]

    @property
    def rejected(self) -> list[Rejected]:
        """What it rejected."""
        return [item for item in self.items if isinstance(item, Rejected)]

    @property
    def says_more(self) -> bool:
        """Whether it says something beside the records: that some are rejected, or a remark."""
        return any(not isinstance(item, Batch) for item in self.items)

    @property
    def refused(self) -> bool:
        """Whether it refused the whole source, as it may."""
        return self.failure is not None and self.failure.error in REFUSALS

    @property
    def trouble(self) -> str:
        """What the plugin raised that it may not raise; empty if nothing."""
        return "" if self.failure is None or self.refused else self.failure.message

    def count_records(self) -> int:
        """Count the records that are archived or rejected."""
        return sum(map(len, self.batches)) + sum(len(item.numbers) for item in self.rejected)


@dataclass(frozen=True)
class Archived:
    """An archive of sample sources, and the reports of its runs."""

    archive: Archive
    reports: list[Report]

    @cached_property
    def rows(self) -> dict[str, Counter[Row]]:
        """What a reader gets, by data type."""
        found = {name: self.archive.read(name) for name in self.archive.types()}
        known = self.archive.plugins.data_types
        return {
            name: Counter(list_read_rows(records, known.get(name, records.data_type)))
            for name, records in found.items()
        }

    @property
    def day_files(self) -> list[str]:
        """Paths of its day files below its root."""
        return sorted(self.archive.root.list_day_files())

    def list_troubles(self) -> Iterator[str]:
        """Yield a line for all that the reports say went wrong."""
        for report in self.reports:
            yield from (failure.message for failure in report.failures)
            yield from (entry.message for entry in report.quarantine)
            yield from (held.message for held in report.held)
            if report.left:
                yield report.left_message


@dataclass(frozen=True)
class Subject:
    """A plugin with its settings and sample sources.

    Parameters
    ----------
    plugins : Plugins
        The plugin, and others that it needs.
    name : str
        The name of the plugin.
    samples : sequence of Source
        Good sources of the plugin, as files in ``directory``.
    directory : Path
        An empty directory for samples, archives and other files.
    given : mapping of str to object
        Settings by dotted name.
    data_types : sequence of str
        Names of the data types of which the samples have records.
    counts : mapping of str to int
        How many records samples have, by their names, where that is known.
    copies : int
        How many damaged copies of the samples are decoded, of each kind of damage.
    """

    plugins: Plugins
    name: str
    samples: Sequence[Source]
    directory: Path
    given: Mapping[str, object] = field(default_factory=dict)
    data_types: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    copies: int = 60

    @cached_property
    def settings(self) -> Settings:
        """The settings; those that were not given have their defaults."""
        return resolve(self.plugins.settings_models, from_program(self.given))

    @cached_property
    def own_types(self) -> dict[str, DataType]:
        """The data types of the plugin by name."""
        return {name: each for name, each in self.plugins.data_types.items() if self.plugins.owners[name] == self.name}

    @cached_property
    def answers(self) -> list[Response]:
        """What the plugin makes of the samples, in their order."""
        return [self.decode(sample) for sample in self.samples]

    def decode(self, source: Source) -> Response:
        """Ask the plugin for the records of a source, in blocks if it can."""
        failures = list[Failure]()
        items = list[Item]()
        claimed = False
        for name, answer in self.plugins.decode(source, self.settings, in_blocks=True):
            if isinstance(answer, Failure):
                if name in (self.name, "dayfile"):
                    return Response(claimed=True, failure=answer)
            elif name == self.name:
                claimed = True
                with collect_failures(name, failures):
                    items.extend(answer)
        return Response(claimed, items, failures[0] if failures else None)

    def classify(self, batch: Batch) -> DataType:
        """Find the data type of a batch; PluginError if it has none, or does not fit it."""
        return self.plugins.classify(batch, self.name)

    def list_rows(self, batch: Batch) -> list[Row]:
        """List the records of a batch as rows that can be compared; PluginError as for :meth:`classify`."""
        return list_batch_rows(batch, self.classify(batch))

    def summarise(self, answer: Response) -> dict[str, list[Any]]:
        """Summarise an answer, so that it does not matter how many batches its records are in."""
        failure = {"failure": [answer.failure.error]} if answer.failure else {}
        return {**summarise_items(answer.items, self.list_rows), **failure}

    def choose(self, most: int) -> list[Source]:
        """Choose some samples, spread over all of them."""
        step = max(1, -(-len(self.samples) // most))
        return list(self.samples[::step])

    def create_archive(self, name: str) -> Archive:
        """Make an empty archive."""
        return create_archive(self.directory / name, plugins=self.plugins, settings=self.given)

    def archive(self, name: str, *runs: Iterable[Source]) -> Archived:
        """Archive sources in a new archive, in one run or several."""
        return self.take(self.create_archive(name), *runs)

    def take(self, archive: Archive, *runs: Iterable[Source]) -> Archived:
        """Archive sources in an archive, in one run or several."""
        reports = [archive.ingest([(source.name, bytes(source.content)) for source in run]) for run in runs]
        return Archived(archive, reports)

    @cached_property
    def archived(self) -> Archived:
        """An archive of the samples in their order, made by one run."""
        return self.archive("archive", self.samples)


def write_samples(given: object, directory: Path) -> list[Source]:
    """Write sample sources that are bytes into a directory, and read all of them.

    Parameters
    ----------
    given : str, Path, bytes or (str, bytes), or an iterable of these
        Paths of files and directories, or names and contents.
    directory : Path
        Where the files go.

    Raises
    ------
    UsageError
        Something else was given, or nothing, or a path does not exist.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found = []
    for each in list_offers(given):
        if isinstance(each, Offered):
            path = directory / each.name
            path.write_bytes(b"".join(each.parts))
            found.append(path)
        elif each.exists():
            found += sorted(path for path in each.rglob("*") if path.is_file()) if each.is_dir() else [each]
        else:
            raise UsageError("this sample does not exist", where=each)
    if not found:
        raise UsageError(f"{plural(0, 'sample source')}: give files, or (name, bytes), in sources or make_sources")
    return [replace(Source.read(path), arrived=path.stat().st_mtime) for path in found]
