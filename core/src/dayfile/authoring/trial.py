"""Trials: what would become of a source, with nothing written."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dayfile import discovery, settings
from dayfile.archive.records import Records
from dayfile.authoring.accounting import count_bytes
from dayfile.authoring.recognition import Trait, examine_match
from dayfile.configuration import choose_plugins
from dayfile.contract.failures import Failure, collect_failures
from dayfile.decoding.sources import NO_TYPE
from dayfile.engine.decoding import Decoded, Decoder
from dayfile.engine.intake import Arrival
from dayfile.engine.limits import NewDays
from dayfile.engine.reading import Unread, read_source
from dayfile.errors import PluginError, SourceError, UsageError
from dayfile.formats.compressed import unfold
from dayfile.framing.shapes import BAD_CHECKSUM
from dayfile.instrument import Instrument
from dayfile.layout_files import is_layout_file, read_layout_files
from dayfile.model.batch import Batch, Rejected, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["Candidate", "Reason", "Trial", "TypeTrial"]

LARGE = 2**26
"""Bytes of a source beyond which it is read block by block."""
MOST_OFFSETS = 5
"""How many places of rejected records are kept for each reason."""
ANY_NUMBER = re.compile(r"-?\d[\d,.]*")


@dataclass
class Reason:
    """Why records are rejected, or what is remarkable: those whose texts differ by numbers only are one.

    Parameters
    ----------
    text : str
        What was said of the first.
    records : int
        How many records.
    same : bool
        Whether the same was said of all of them.
    of_places : bool
        Whether it is about places of the source, which are no records.
    offsets : list of int
        Where the first ones are in the source, where that is known.
    """

    text: str
    records: int = 0
    same: bool = True
    of_places: bool = False
    offsets: list[int] = field(default_factory=list)


@dataclass
class TypeTrial:
    """The records of a data type in a source.

    Parameters
    ----------
    data_type : DataType
        The type.
    """

    data_type: DataType
    count: int = 0
    days: Counter[str] = field(default_factory=Counter)
    keys: dict[str, Counter[str]] = field(default_factory=dict)
    begins: list[npt.NDArray[np.int64]] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    ends: dict[str, tuple[int, Batch]] = field(default_factory=dict)
    """The first and the last record in time, each with its time."""

    def add(self, batch: Batch, days: npt.NDArray[np.datetime64]) -> None:
        """Add records with their days."""
        begins = self.data_type.find_begins(batch.records)
        self.count += len(batch)
        self.days.update(map(str, days.tolist()))
        for name, value in batch.keys.items():
            self.keys.setdefault(name, Counter())[str(value)] += len(batch)
        self.begins.append(begins)
        self.groups.append(tuple(map(str, batch.keys.values())))
        first, last = int(begins.argmin()), int(len(begins) - 1 - begins[::-1].argmax())
        if "first" not in self.ends or begins[first] < self.ends["first"][0]:
            self.ends["first"] = int(begins[first]), take_record(batch, first, self.data_type)
        if "last" not in self.ends or begins[last] >= self.ends["last"][0]:
            self.ends["last"] = int(begins[last]), take_record(batch, last, self.data_type)

    @property
    def times(self) -> tuple[np.datetime64, np.datetime64]:
        """The first and the last time, UTC."""
        first, last = self.data_type.clock.to_utc(np.array([self.ends["first"][0], self.ends["last"][0]]))
        return first, last

    def find_steps(self) -> Counter[int]:
        """Count the steps from each record to the next of the same keys, in nanoseconds, in the order of the source."""
        steps: Counter[int] = Counter()
        for group in dict.fromkeys(self.groups):
            own = [begins for begins, each in zip(self.begins, self.groups, strict=True) if each == group]
            values, counts = np.unique(np.diff(np.concatenate(own)), return_counts=True)
            steps.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        return steps

    def find_records(self, which: str) -> Records:
        """Return the first or the last record as a table of one row."""
        _, batch = self.ends[which]
        keys = {name: np.array([value]) for name, value in batch.keys.items()}
        return Records(self.data_type, self.data_type.conform(batch.records), keys)


@dataclass
class Trial:
    """What would become of a source.

    Parameters
    ----------
    name : str
        Name of the file.
    size : int
        Bytes, unfolded if it was compressed.
    packed : int
        Bytes of the file, if it was compressed; else 0.
    """

    name: str
    size: int = 0
    packed: int = 0
    traits: list[Trait] = field(default_factory=list)
    recognised: bool = False
    failures: list[Failure] = field(default_factory=list)
    types: dict[str, TypeTrial] = field(default_factory=dict)
    rejected: dict[tuple[str, str], Reason] = field(default_factory=dict)
    remarks: dict[tuple[str, str], Reason] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, set[int]] = field(default_factory=dict)
    """Of the rejected records, by code."""

    @property
    def well(self) -> bool:
        """Whether it would be archived whole."""
        return self.recognised and not self.failures and not self.rejected

    @property
    def has_no_right_checksum(self) -> bool:
        """Whether checksums are wrong, and no record is good: the layout is at fault, rather than the source."""
        return not self.types and any(reason.text == BAD_CHECKSUM for reason in self.rejected.values())

    def reject(self, items: Iterable[Rejected]) -> None:
        """Add rejected records."""
        for item in items:
            offsets = [] if item.offset is None else [item.offset]
            note(self.rejected, item.code, item.reason, len(item.numbers), offsets)
            self.numbers.setdefault(item.code, set()).update(item.numbers)


@dataclass(frozen=True)
class Candidate:
    """A plugin that is tried: a layout file, or one that is installed.

    Parameters
    ----------
    name : str
        Its name.
    plugin : object
        The plugin.
    plugins : Plugins
        The plugin, loaded alone.
    settings : Settings
        Its settings.
    """

    name: str
    plugin: object
    plugins: Plugins
    settings: Settings

    @classmethod
    def load(cls, wanted: str, pairs: Iterable[str] = ()) -> Candidate:
        """Load a plugin.

        Parameters
        ----------
        wanted : str
            The path of a layout file, or the name of an installed plugin.
        pairs : iterable of str
            Settings, ``KEY=VALUE``.

        Raises
        ------
        UsageError, LayoutError, PluginError, SettingsError
            It does not exist, or something is wrong with it or with a setting.
        """
        if is_layout_file(wanted):
            ((name, (found, _)),) = read_layout_files([Path(wanted)], {}).items()
            _ = found.layout  # raises what is wrong with it, all of it at once
            plugin: object = found
            plugins = choose_plugins({name: found})
        else:
            name, plugins = wanted, discovery.load([wanted])
            plugin = None if plugins.failures else discovery.installed()[name][0].load()
        for failure in plugins.failures:
            raise PluginError(failure.message)
        models = plugins.settings_models
        from_environment = settings.from_environment(os.environ, models)
        given = settings.resolve(models, settings.from_command_line(pairs), from_environment)
        return cls(name, plugin, plugins, given)

    def try_file(self, path: Path) -> Trial:
        """Try a file.

        Raises
        ------
        UsageError
            It cannot be read.
        """
        largest = self.settings.core.sources_largest
        read = read_source(Arrival(path, ours=False), largest, LARGE)
        if isinstance(read, Unread):
            raise UsageError(read.reason.removesuffix("; left in place"), where=path)
        return self.try_source(read.source)

    def try_source(self, source: Source) -> Trial:
        """Try a source."""
        trial = Trial(source.name, source.size)
        try:
            unfolded = unfold(source, self.settings.core.sources_largest)
        except SourceError as error:
            trial.failures.append(Failure.of(self.name, error))
            return trial
        if unfolded is not source:
            trial.size, trial.packed = unfolded.size, source.size
        if isinstance(self.plugin, Instrument):
            trial.traits = examine_match(unfolded, self.plugin.layout)
        self._decode(source, trial)
        if isinstance(self.plugin, Instrument) and trial.recognised and not trial.failures:
            trial.bytes = count_bytes(unfolded, self.plugin.layout, trial.numbers)
        trial.failures += self._find_floods(trial)
        return trial

    def _find_floods(self, trial: Trial) -> Iterator[Failure]:
        """Find types of which the source would make too many new days in a new archive: it is not archived then."""
        limit = NewDays(None, self.settings.core.run_most_new_days)
        for found in trial.types.values():
            days = np.array(sorted(found.days), "datetime64[D]")
            if problem := limit.find_problem(found.data_type, days, self.plugins.locate_file):
                yield Failure(self.name, f"{problem} (as in a new archive)", SourceError.__name__)

    def _decode(self, source: Source, trial: Trial) -> None:
        """Decode a source."""
        decoder, decoded = Decoder(self.plugins, self.settings), Decoded()
        for plugin, answer in self.plugins.decode(source, self.settings, in_blocks=True):
            trial.recognised = True
            if isinstance(answer, Failure):
                trial.failures.append(answer)
                continue
            with collect_failures(plugin, trial.failures):
                for item in answer:
                    if isinstance(item, Batch):
                        for dated in decoder.date(plugin, item, source, decoded) if len(item) else ():
                            self._add(trial, dated.data_type, dated.batch, dated.days)
                    elif isinstance(item, Rejected):
                        trial.reject([item])
                    else:
                        reason = note(trial.remarks, item.code, item.text, len(item.numbers), [])
                        reason.of_places = item.code == NO_TYPE
        trial.reject(decoded.rejected)
        trial.failures += decoded.failures

    def _add(self, trial: Trial, data_type: DataType, batch: Batch, days: npt.NDArray[np.datetime64]) -> None:
        """Add records to a trial."""
        if len(batch):
            trial.types.setdefault(data_type.name, TypeTrial(data_type)).add(batch, days)


def take_record(batch: Batch, row: int, data_type: DataType) -> Batch:
    """Take one record of a batch."""
    chosen = np.zeros(len(batch), bool)
    chosen[row] = True
    return batch.select(chosen, data_type.blob_fields)


def note(found: dict[tuple[str, str], Reason], code: str, text: str, records: int, offsets: list[int]) -> Reason:
    """Note a reason, together with those that differ from it by numbers only."""
    reason = found.setdefault((code, ANY_NUMBER.sub("#", text)), Reason(text))
    reason.records += records
    reason.same &= reason.text == text
    reason.offsets += offsets[: MOST_OFFSETS - len(reason.offsets)]
    return reason
