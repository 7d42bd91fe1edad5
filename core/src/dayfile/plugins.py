"""Plugins: asked for what is theirs, and kept from harming each other.

Every call of a hook is made here, and every answer is checked. What concerns one batch or one data type is asked of the
plugin that it belongs to, and of those that extend it; a failure is the failure of the plugin that was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from dayfile.builtin import Builtin
from dayfile.contract import answers
from dayfile.contract.asking import Hooks
from dayfile.contract.batches import (
    Answering,
    check_answer,
    check_blocks,
    check_data_type,
    check_new,
    check_records,
    check_statuses,
    check_written,
    protect,
)
from dayfile.contract.failures import FOR_USERS, NO_MEMORY, Failure, blame, collect_failures, convert_disk_errors
from dayfile.contract.offers import check_exporters, check_formats, check_new_format
from dayfile.errors import DayfileError, PluginError, SettingsError, UsageError
from dayfile.export.base import Day, Exporter
from dayfile.export.older import OlderExporter
from dayfile.formats.base import Format
from dayfile.model.batch import Batch, Blocks, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.settings import Settings, from_plugin, resolve
from dayfile.stores.registry import forget_store, register_stores

__all__ = ["NO_MEMORY", "Failure", "Plugins", "collect_failures"]

BUILTIN = "builtin"
Answer = TypeVar("Answer")


@dataclass
class Plugins:
    """The plugins of a run; made by :meth:`none` or :func:`dayfile.discovery.load`.

    Attributes
    ----------
    names : list of str
        The plugins that loaded, in the order they were asked for.
    failures : list of Failure
        Plugins that did not load, and those whose read_config or routes failed.
    versions : dict of str to str
        Version of the distribution of each plugin.
    data_types : dict of str to DataType
        By name.
    owners : dict of str to str
        The plugin of each data type.
    store_owners : dict of str to str
        The plugin of each store.
    extends : dict of str to tuple of str
        The plugins that each plugin extends.
    settings_models : dict of str to type
        What can be set for each plugin.
    others : tuple of str
        Plugins that are installed and are not of this run.
    formats : dict of str to Format
        What the plugins of the run and ``builtin`` offer, by name.
    """

    _hooks: Hooks = field(default_factory=Hooks, repr=False)
    names: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    data_types: dict[str, DataType] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    store_owners: dict[str, str] = field(default_factory=dict)
    extends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settings_models: dict[str, type[BaseModel]] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    formats: dict[str, Format] = field(default_factory=dict)
    _format_owners: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def missing(self) -> list[str]:
        """Plugins that the run names and that did not load."""
        return [name for name in self.versions if name not in self.names]

    @classmethod
    def none(cls) -> Plugins:
        """No plugins except ``builtin``; :meth:`add` takes others in."""
        plugins = cls()
        plugins._hooks.register(BUILTIN, Builtin())
        plugins._take_stores(BUILTIN)
        plugins._take_formats(BUILTIN)
        return plugins

    @property
    def bases(self) -> dict[str, str]:
        """Directories of day files that may lie elsewhere, and the environment variables that say where."""
        return {at.path.partition("/")[0]: at.base for each in self.data_types.values() if (at := each.placement).base}

    def add(self, name: str, plugin: object, version: str = "", installed: Collection[str] | None = None) -> None:
        """Take a plugin in; see :meth:`add_all`."""
        self.add_all({name: (plugin, version)}, installed)

    def add_all(self, offered: Mapping[str, tuple[object, str]], installed: Collection[str] | None = None) -> None:
        """Take plugins in; whatever is wrong with one becomes a failure, and nothing of it stays.

        Parameters
        ----------
        offered : mapping of str to (object, str)
            By name: a module or an object with hooks, and its version. Layouts of each can use the formats of all.
        installed : collection of str, optional
            Plugins that they may extend; any, if not given.
        """
        registered = []
        for name, (plugin, version) in offered.items():
            if name == BUILTIN or name in self.names:
                self.failures.append(Failure(name, f"plugin {name}: its name is taken", PluginError.__name__))
                continue
            self.versions[name] = version
            with self._taking_in(name):
                self._register(name, plugin, installed)
                registered.append(name)
        for name in registered:
            with self._taking_in(name):
                self._declare(name)
                self.names.append(name)

    @contextmanager
    def _taking_in(self, name: str) -> Iterator[None]:
        """Turn what is wrong with a plugin into a failure, and let nothing of it stay."""
        failed = len(self.failures)
        with collect_failures(name, self.failures):
            yield
        if len(self.failures) > failed:
            for owners, forget in ((self._format_owners, self.formats.pop), (self.store_owners, forget_store)):
                for each in [each for each, owner in owners.items() if owner == name]:
                    del owners[each]
                    forget(each)
            self._hooks.unregister(name)

    def _register(self, name: str, plugin: object, installed: Collection[str] | None) -> None:
        """Check a plugin's hooks, and take in the formats that it offers."""
        answers.check_version(getattr(plugin, "hook_version", 1))
        self._hooks.register(name, plugin)
        self.extends[name] = answers.check_extends(getattr(plugin, "extends", ()), name, installed)
        self._take_stores(name)
        self._take_formats(name)

    def _take_formats(self, name: str) -> None:
        """Take in the formats that a plugin offers."""
        for item in self._ask(name, "formats", check_formats) or ():
            check_new_format(item, self.formats, self._format_owners)
            self.formats[item.name] = item
            self._format_owners[item.name] = name

    def _declare(self, name: str) -> None:
        """Take in the data types of a plugin, and what can be set for it."""
        types: dict[str, DataType] = {}
        for data_type in map(check_data_type, self._hooks.call(name, "data_types", formats=dict(self.formats)) or ()):
            check_new(data_type, self.data_types | types, self.owners | dict.fromkeys(types, name))
            types[data_type.name] = data_type
        self.settings_models[name] = answers.check_model(self._hooks.call(name, "settings"))
        self.data_types.update(types)
        self.owners.update(dict.fromkeys(types, name))

    def _take_stores(self, name: str) -> None:
        """Register the stores of a plugin."""
        found = answers.check_stores(self._hooks.call(name, "stores") or (), self.store_owners, name)
        self.store_owners.update(dict.fromkeys(register_stores(found), name))

    def _ask(
        self,
        name: str,
        hook: str,
        check: Callable[[Any], Answer],
        passed: tuple[type[DayfileError], ...] = (),
        **arguments: Any,  # noqa: ANN401 - each hook has its own
    ) -> Answer | None:
        """Answer of one plugin to a hook, checked; None if it has none. PluginError, with its name, if that fails."""
        with blame("" if name == BUILTIN else name, hook, passed):
            answer = self._hooks.call(name, hook, **arguments)
            return None if answer is None else check(answer)

    def asked(self, owner: str) -> list[str]:
        """Plugins that are asked of what belongs to one, in their order: those that extend it, itself, ``builtin``."""
        return [*(name for name in self.names if owner in self.extends[name]), owner, BUILTIN]

    def _first(self, owner: str, hook: str, check: Callable[[Any], Answer], **arguments: Any) -> Answer | None:  # noqa: ANN401
        """The first answer, checked, that is not None, of the plugins that are asked of what belongs to ``owner``.

        A plugin that fails is an error, though others could answer: records would be archived as if it did not exist.
        """
        for name in self.asked(owner):
            answer = self._ask(name, hook, check, **arguments)
            if answer is not None:
                return answer
        return None

    def decode(
        self, source: Source, settings: Mapping[str, BaseModel], *, in_blocks: bool = False
    ) -> Iterator[tuple[str, Iterable[Batch | Rejected | Remark] | Failure]]:
        """What each plugin makes of a source, Blocks as such or whole; plugins that say "not mine" are left out."""
        for name in self.names:
            answer, failures = None, list[Failure]()
            with collect_failures(name, failures):
                items = self._hooks.call(name, "decode", source=source, settings=settings[name])
                blocks = in_blocks and isinstance(items, Blocks)
                answer = None if items is None else check_blocks(items) if blocks else check_answer(items)
            if failures or answer is not None:
                yield name, failures[0] if failures else answer or []

    def read_config(self, path: Path) -> tuple[dict[str, Any] | None, list[Failure]]:
        """Settings from a file of another program, if a plugin knows it; and the plugins that failed.

        Raises
        ------
        SettingsError
            Two plugins know it.
        """
        found: dict[str, dict[str, Any]] = {}
        failures = []
        for name in self.names:
            models = {each: self.settings_models[each] for each in (name, *self.extends[name]) if each in self.names}

            def check(answer: object, models: Mapping[str, type[BaseModel]] = models) -> dict[str, Any]:
                found = answers.check_config(answer)
                resolve(models, from_plugin({key: found[key] for key in found if key != "archive"}, path))
                return found

            try:
                answer = self._ask(name, "read_config", check, (SettingsError,), path=path)
            except DayfileError as error:
                failures.append(Failure.of(name, error))
                continue
            if answer is not None:
                found[name] = answer
        if len(found) > 1:
            message = f"the plugins {' and '.join(found)} both take this file for theirs; leave one out with --plugins"
            raise SettingsError(message, where=path)
        return next(iter(found.values()), None), failures

    def routes(self, name: str, root: object, settings: Settings) -> list[Any]:
        """HTTP routes of a plugin.

        Raises
        ------
        DayfileError
            The plugin failed, or says what must be set; the message names it.
        """
        own = settings.plugins[name]
        return self._ask(name, "routes", answers.check_routes, FOR_USERS, root=root, settings=own) or []

    def classify(self, batch: Batch, decoder: str) -> DataType:
        """The data type of a batch.

        Parameters
        ----------
        batch : Batch
            The batch.
        decoder : str
            The plugin that decoded it.

        Raises
        ------
        PluginError
            No plugin knows it, the answer is not one that the batch can have, or the records are not of that type.
        """
        protect(batch)
        types = self._types_of(decoder)
        check = partial(answers.check_type_name, data_types=types)
        name = self._first(decoder, "classify", check, batch=batch, data_types=types)
        if name is None:
            hint = answers.describe_owner(batch, self.data_types, self.owners)
            raise PluginError(f"no data type has the code {batch.code!r}{hint}")
        check_records(batch, self.data_types[name])
        return self.data_types[name]

    def _types_of(self, decoder: str) -> dict[str, DataType]:
        """Data types of what a plugin decodes: its own, and those of plugins that it extends or that extend it."""
        extending = [name for name in self.names if decoder in self.extends[name]]
        return {
            name: data_type
            for owner in (decoder, *self.extends.get(decoder, ()), *extending)
            for name, data_type in self.data_types.items()
            if self.owners[name] == owner
        }

    def locate_file(self, data_type: DataType, day: np.datetime64) -> str:
        """Path of the day file; PluginError if the answer is none."""
        check = partial(answers.check_location, data_type=data_type)
        path = self._first(self.owners[data_type.name], "locate_file", check, data_type=data_type, day=day)
        if path is None:
            raise PluginError(f"no plugin locates {data_type.name}")
        return path

    def encode(self, data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes]:
        """Records as a source that decode turns back into them: its name and content.

        Raises
        ------
        UsageError
            The data type is of a plugin whose records come from sources only.
        PluginError
            The plugin failed.
        """
        check = partial(answers.check_source, data_type=data_type, records=len(records))
        owner = self.owners[data_type.name]
        answer = self._first(owner, "encode", check, data_type=data_type, records=records)
        if answer is None:
            raise UsageError(f"records of {data_type.name} cannot be put, only archived from sources")
        return answer

    def write(self, work_file: Answering, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Let a batch be written; a status per record.

        Raises
        ------
        PluginError
            The answer is no status per record, or not what the work file holds.
        StorageError
            The work file could not be written, whatever the plugin made of that.
        """
        protect(batch)
        for name in self.asked(self.owners[data_type.name]):
            work_file.answers.clear()
            work_file.failed = None

            def check(answer: object) -> npt.NDArray[np.uint8]:
                statuses = check_statuses(answer, batch, data_type)
                check_written(statuses, batch, data_type, work_file.answers)
                return statuses

            try:
                answer = self._ask(name, "write", check, work_file=work_file, data_type=data_type, batch=batch)
            except PluginError:
                if work_file.failed is None:
                    raise
            if work_file.failed is not None:
                raise work_file.failed
            if answer is not None:
                return answer
            if work_file.answers:
                raise PluginError(f"write of {data_type.name} wrote records and answered None", plugin=name)
        raise PluginError(f"no plugin writes {data_type.name}")

    def exporters(self, data_type: DataType) -> dict[str, tuple[str, Exporter]]:
        """Return what writes days of a data type, by name, with the plugin that offers it.

        A plugin that fails, and that the data type does not belong to, becomes one of the failures.
        """
        asked = self.asked(self.owners[data_type.name])
        found: dict[str, tuple[str, Exporter]] = {}
        for name in dict.fromkeys([*asked[:-1], *self.names, BUILTIN]):
            with nullcontext() if name in asked else collect_failures(name, self.failures):
                offered = self._ask(name, "exporters", partial(check_exporters, data_type=data_type)) or []
                if name in asked:
                    older = self._ask(name, "export_formats", answers.check_form_names, data_type=data_type) or []
                    offered += [OlderExporter(form, partial(self._hooks.call, name, "export")) for form in older]
                found = {exporter.name: (name, exporter) for exporter in offered} | found
        return found

    def export(self, name: str, exporter: Exporter, day: Day, directory: Path) -> list[Path]:
        """Let an exporter of a plugin write a day; the files. PluginError or StorageError if that fails."""
        with convert_disk_errors(directory), blame(name, "export", FOR_USERS):
            return answers.check_files(exporter.export(day, directory), "export", directory)

    def simulate(self, name: str, day: np.datetime64, seed: int, directory: Path) -> list[Path]:
        """Let a plugin write sample sources; the files. Errors as for :meth:`export`."""
        check = partial(answers.check_files, hook="simulate", directory=directory)
        with convert_disk_errors(directory):
            files = self._ask(name, "simulate", check, FOR_USERS, day=day, seed=seed, directory=directory)
        if files is None:
            raise UsageError(f"plugin {name} has no simulation")
        return files

    def send(self, name: str, **arguments: Any) -> Iterator[str]:  # noqa: ANN401 - those of the hook
        """Let a plugin send to a server; lines about it, as it goes on. PluginError or StorageError if that fails."""
        lines = self._ask(name, "send", answers.check_lines, FOR_USERS, **arguments)
        if lines is None:
            raise UsageError(f"plugin {name} has no clients to simulate")
        while True:
            with blame(name, "send", FOR_USERS):
                line = next(lines, None)
                if line is not None:
                    line = answers.check_line(line)
            if line is None:
                return
            yield line
