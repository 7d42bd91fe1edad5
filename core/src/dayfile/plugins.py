"""Plugins: call their hooks, check the answers, and keep a broken plugin from harming the others.

Every hook is called here. A hook about a batch or a data type is called on the plugin that it belongs to, and on the
plugins that extend that one. A failure is reported under the name of the plugin that was called.
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
    """The plugins of a run; made by :meth:`make_empty` or :func:`dayfile.discovery.load`.

    Attributes
    ----------
    names : list of str
        The plugins that loaded, in the order of selection.
    failures : list of Failure
        Plugins that did not load, and those whose read_config or routes failed.
    versions : dict of str to str
        Version of the distribution of each plugin.
    data_types : dict of str to DataType
        The data types of all plugins by name.
    owners : dict of str to str
        The plugin of each data type.
    store_owners : dict of str to str
        The plugin of each store.
    extends : dict of str to tuple of str
        The plugins that each plugin extends.
    settings_models : dict of str to type
        What can be set for each plugin.
    others : tuple of str
        Plugins that are installed and not part of this run.
    formats : dict of str to Format
        The formats that the plugins of the run and ``builtin`` offer, by name.
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
        """The selected plugins that did not load."""
        return [name for name in self.versions if name not in self.names]

    @classmethod
    def make_empty(cls) -> Plugins:
        """Make an object with the plugin ``builtin`` only; :meth:`add` adds others."""
        plugins = cls()
        plugins._hooks.register(BUILTIN, Builtin())
        plugins._register_stores(BUILTIN)
        plugins._register_formats(BUILTIN)
        return plugins

    @property
    def bases(self) -> dict[str, str]:
        """Directories of day files that can be elsewhere, and the environment variables that say where."""
        return {at.path.partition("/")[0]: at.base for each in self.data_types.values() if (at := each.placement).base}

    def add(self, name: str, plugin: object, version: str = "", installed: Collection[str] | None = None) -> None:
        """Add a plugin; see :meth:`add_all`."""
        self.add_all({name: (plugin, version)}, installed)

    def add_all(self, offered: Mapping[str, tuple[object, str]], installed: Collection[str] | None = None) -> None:
        """Add plugins. A plugin with a fault becomes a failure, and nothing of it is kept.

        Parameters
        ----------
        offered : mapping of str to (object, str)
            A module or an object with hooks, and its version, by name. The layout of each can use the formats of all.
        installed : collection of str, optional
            Plugins that they may extend; any, if not given.
        """
        registered = []
        for name, (plugin, version) in offered.items():
            if name == BUILTIN or name in self.names:
                self.failures.append(Failure(name, f"plugin {name}: its name is taken", PluginError.__name__))
                continue
            self.versions[name] = version
            with self._collect_failure(name):
                self._register(name, plugin, installed)
                registered.append(name)
        for name in registered:
            with self._collect_failure(name):
                self._declare(name)
                self.names.append(name)

    @contextmanager
    def _collect_failure(self, name: str) -> Iterator[None]:
        """Turn an error of a plugin into a failure, and remove all that the plugin has registered."""
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
        """Register a plugin with its stores and formats."""
        answers.check_version(getattr(plugin, "hook_version", 1))
        self._hooks.register(name, plugin)
        self.extends[name] = answers.check_extends(getattr(plugin, "extends", ()), name, installed)
        self._register_stores(name)
        self._register_formats(name)

    def _register_formats(self, name: str) -> None:
        """Register the formats that a plugin offers."""
        for item in self._ask(name, "formats", check_formats) or ():
            check_new_format(item, self.formats, self._format_owners)
            self.formats[item.name] = item
            self._format_owners[item.name] = name

    def _declare(self, name: str) -> None:
        """Register the data types of a plugin, and what can be set for it."""
        types: dict[str, DataType] = {}
        for data_type in map(check_data_type, self._hooks.call(name, "data_types", formats=dict(self.formats)) or ()):
            check_new(data_type, self.data_types | types, self.owners | dict.fromkeys(types, name))
            types[data_type.name] = data_type
        self.settings_models[name] = answers.check_model(self._hooks.call(name, "settings"))
        self.data_types.update(types)
        self.owners.update(dict.fromkeys(types, name))

    def _register_stores(self, name: str) -> None:
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
        """Call a hook of one plugin and check the answer (None: no answer); PluginError with its name if that fails."""
        with blame("" if name == BUILTIN else name, hook, passed):
            answer = self._hooks.call(name, hook, **arguments)
            return None if answer is None else check(answer)

    def list_asked(self, owner: str) -> list[str]:
        """List the plugins that are asked about what belongs to one: those that extend it, itself, ``builtin``."""
        return [*(name for name in self.names if owner in self.extends[name]), owner, BUILTIN]

    def _ask_first(self, owner: str, hook: str, check: Callable[[Any], Answer], **arguments: Any) -> Answer | None:  # noqa: ANN401
        """Return the first answer that is not None; ask the plugins of :meth:`list_asked` in turn.

        If one fails, the others are not asked: they would archive records as if that plugin did not exist.
        """
        for name in self.list_asked(owner):
            answer = self._ask(name, hook, check, **arguments)
            if answer is not None:
                return answer
        return None

    def decode(
        self, source: Source, settings: Mapping[str, BaseModel], *, in_blocks: bool = False
    ) -> Iterator[tuple[str, Iterable[Batch | Rejected | Remark] | Failure]]:
        """Decode a source with each plugin, in Blocks if ``in_blocks`` and it can; skip plugins that say "not mine"."""
        for name in self.names:
            answer, failures = None, list[Failure]()
            with collect_failures(name, failures):
                items = self._hooks.call(name, "decode", source=source, settings=settings[name])
                blocks = in_blocks and isinstance(items, Blocks)
                answer = None if items is None else check_blocks(items) if blocks else check_answer(items)
            if failures or answer is not None:
                yield name, failures[0] if failures else answer or []

    def read_config(self, path: Path) -> tuple[dict[str, Any] | None, list[Failure]]:
        """Read settings from a file of another program, if a plugin recognises it; return them and the failures.

        Raises
        ------
        SettingsError
            Two plugins recognise it.
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
            message = f"the plugins {' and '.join(found)} both recognise this file; leave one out with --plugins"
            raise SettingsError(message, where=path)
        return next(iter(found.values()), None), failures

    def routes(self, name: str, root: object, settings: Settings) -> list[Any]:
        """Return the HTTP routes of a plugin.

        Raises
        ------
        DayfileError
            The plugin failed, or says what must be set; the message names it.
        """
        own = settings.plugins[name]
        return self._ask(name, "routes", answers.check_routes, FOR_USERS, root=root, settings=own) or []

    def classify(self, batch: Batch, decoder: str) -> DataType:
        """Find the data type of a batch.

        Parameters
        ----------
        batch : Batch
            The batch.
        decoder : str
            The plugin that decoded it.

        Raises
        ------
        PluginError
            No plugin knows it, the batch cannot have the type in the answer, or its records do not fit that type.
        """
        protect(batch)
        types = self._list_types(decoder)
        check = partial(answers.check_type_name, data_types=types)
        name = self._ask_first(decoder, "classify", check, batch=batch, data_types=types)
        if name is None:
            hint = answers.describe_owner(batch, self.data_types, self.owners)
            raise PluginError(f"no data type has the code {batch.code!r}{hint}")
        check_records(batch, self.data_types[name])
        return self.data_types[name]

    def _list_types(self, decoder: str) -> dict[str, DataType]:
        """List the types that a plugin's batches can have: its own, and of plugins it extends or that extend it."""
        extending = [name for name in self.names if decoder in self.extends[name]]
        return {
            name: data_type
            for owner in (decoder, *self.extends.get(decoder, ()), *extending)
            for name, data_type in self.data_types.items()
            if self.owners[name] == owner
        }

    def locate_file(self, data_type: DataType, day: np.datetime64) -> str:
        """Locate the day file of a day; PluginError if no plugin does, or the path is not valid."""
        check = partial(answers.check_location, data_type=data_type)
        path = self._ask_first(self.owners[data_type.name], "locate_file", check, data_type=data_type, day=day)
        if path is None:
            raise PluginError(f"no plugin locates {data_type.name}")
        return path

    def encode(self, data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes]:
        """Turn records into a source, name and content, that ``decode`` turns back into them.

        Raises
        ------
        UsageError
            The data type is of a plugin whose records come from sources only.
        PluginError
            The plugin failed.
        """
        check = partial(answers.check_source, data_type=data_type, records=len(records))
        owner = self.owners[data_type.name]
        answer = self._ask_first(owner, "encode", check, data_type=data_type, records=records)
        if answer is None:
            raise UsageError(f"records of {data_type.name} cannot be put, only archived from sources")
        return answer

    def write(self, work_file: Answering, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Write a batch into a work file; return a status for each record.

        Raises
        ------
        PluginError
            The answer is not a status for each record, or does not match what the work file holds.
        StorageError
            The work file could not be written, whatever the plugin made of that.
        """
        protect(batch)
        for name in self.list_asked(self.owners[data_type.name]):
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
        """Return the exporters that can write days of a data type, by name, each with the plugin that offers it.

        A failure of a plugin that the data type does not belong to is added to the failures, and not raised.
        """
        asked = self.list_asked(self.owners[data_type.name])
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
        """Write a day with an exporter and return the files; PluginError or StorageError if that fails."""
        with convert_disk_errors(directory), blame(name, "export", FOR_USERS):
            return answers.check_files(exporter.export(day, directory), "export", directory)

    def simulate(self, name: str, day: np.datetime64, seed: int, directory: Path) -> list[Path]:
        """Write sample sources of a plugin and return the files; errors as for :meth:`export`."""
        check = partial(answers.check_files, hook="simulate", directory=directory)
        with convert_disk_errors(directory):
            files = self._ask(name, "simulate", check, FOR_USERS, day=day, seed=seed, directory=directory)
        if files is None:
            raise UsageError(f"plugin {name} has no simulation")
        return files

    def send(self, name: str, **arguments: Any) -> Iterator[str]:  # noqa: ANN401 - those of the hook
        """Let a plugin send to a server; yield lines about it meanwhile. PluginError or StorageError if that fails."""
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
