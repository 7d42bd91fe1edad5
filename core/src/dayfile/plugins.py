"""Plugins: asked for what is theirs, and kept from harming each other.

Every call of a hook is made here, and every answer is checked. What concerns one batch or one data type is asked of the
plugin that it belongs to, and of those that extend it; a failure is the failure of the plugin that was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pluggy
from pydantic import BaseModel

from dayfile import hookspecs
from dayfile.builtin import Builtin
from dayfile.contract import answers
from dayfile.contract.batches import (
    Answering,
    check_answer,
    check_data_type,
    check_new,
    check_records,
    check_statuses,
    check_written,
    protect,
)
from dayfile.contract.failures import FOR_USERS, NO_MEMORY, Failure, blaming, collecting, disk_errors
from dayfile.errors import DayfileError, PluginError, SettingsError, UsageError
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.settings import Settings, from_plugin, resolve
from dayfile.stores.registry import register_stores

__all__ = ["NO_MEMORY", "Failure", "Plugins"]

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
    """

    _manager: pluggy.PluginManager = field(repr=False)
    names: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    data_types: dict[str, DataType] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    store_owners: dict[str, str] = field(default_factory=dict)
    extends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settings_models: dict[str, type[BaseModel]] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    _implementations: dict[tuple[str, str], pluggy.HookImpl | None] = field(default_factory=dict, repr=False)

    @property
    def missing(self) -> list[str]:
        """Plugins that the run names and that did not load."""
        return [name for name in self.versions if name not in self.names]

    @classmethod
    def none(cls) -> Plugins:
        """No plugins except ``builtin``; :meth:`add` takes others in."""
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        plugins = cls(manager)
        manager.register(Builtin(), BUILTIN)
        plugins._take_stores(BUILTIN)
        return plugins

    @property
    def bases(self) -> dict[str, str]:
        """Directories of day files that may lie elsewhere, and the environment variables that say where."""
        placements = [data_type.placement for data_type in self.data_types.values()]
        return {each.path.partition("/")[0]: each.base for each in placements if each.base}

    def add(self, name: str, plugin: object, version: str = "", installed: Collection[str] | None = None) -> None:
        """Take a plugin in; whatever is wrong with it becomes a failure, and nothing of it stays.

        Parameters
        ----------
        name : str
            Its name.
        plugin : object
            A module or an object with hooks.
        version : str
            Of its distribution.
        installed : collection of str, optional
            Plugins that it may extend; any, if not given.
        """
        if name == BUILTIN or name in self.names:
            self.failures.append(Failure(name, f"plugin {name}: its name is taken", PluginError.__name__))
            return
        self.versions[name] = version
        with collecting(name, self.failures):
            self._register(name, plugin, installed)
            self.names.append(name)
        if name not in self.names and self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def _register(self, name: str, plugin: object, installed: Collection[str] | None) -> None:
        answers.check_version(getattr(plugin, "hook_version", 1))
        self._implementations.clear()
        self._manager.register(plugin, name)
        self._manager.check_pending()
        for hook in hookspecs.HOOKS:
            answers.check_function(plugin, name, getattr(self._manager.hook, hook))
        extends = answers.check_extends(getattr(plugin, "extends", ()), name, installed)
        self._take_stores(name)
        types: dict[str, DataType] = {}
        for data_type in map(check_data_type, self._call(name, "data_types") or ()):
            check_new(data_type, self.data_types | types, self.owners | dict.fromkeys(types, name))
            types[data_type.name] = data_type
        self.settings_models[name] = answers.check_model(self._call(name, "settings"))
        self.extends[name] = extends
        self.data_types.update(types)
        self.owners.update(dict.fromkeys(types, name))

    def _take_stores(self, name: str) -> None:
        """Register the stores of a plugin."""
        found = answers.check_stores(self._call(name, "stores") or (), self.store_owners, name)
        register_stores(found)
        self.store_owners.update(dict.fromkeys((store.name for store in found), name))

    def _call(self, name: str, hook: str, **arguments: Any) -> Any:  # noqa: ANN401 - each hook has its own
        """Answer of one plugin to a hook, whatever it is; None if the plugin does not have it."""
        if (name, hook) not in self._implementations:
            found = getattr(self._manager.hook, hook).get_hookimpls()
            self._implementations[name, hook] = next((each for each in found if each.plugin_name == name), None)
        implementation = self._implementations[name, hook]
        if implementation is None:
            return None
        return implementation.function(*(arguments[each] for each in implementation.argnames))

    def _ask(
        self,
        name: str,
        hook: str,
        check: Callable[[Any], Answer],
        passed: tuple[type[DayfileError], ...] = (),
        **arguments: Any,  # noqa: ANN401 - each hook has its own
    ) -> Answer | None:
        """Answer of one plugin to a hook, checked; None if it has none. PluginError, with its name, if that fails."""
        with blaming("" if name == BUILTIN else name, hook, passed):
            answer = self._call(name, hook, **arguments)
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
        self, source: Source, settings: Mapping[str, BaseModel]
    ) -> Iterator[tuple[str, list[Batch | Rejected | Remark] | Failure]]:
        """What each plugin makes of a source; plugins that say "not mine" are left out."""
        for name in self.names:
            answer, failures = None, list[Failure]()
            with collecting(name, failures):
                items = self._call(name, "decode", source=source, settings=settings[name])
                answer = None if items is None else check_answer(items)
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
        arguments = {"root": root, "settings": settings.plugins[name]}
        return self._ask(name, "routes", answers.check_routes, FOR_USERS, **arguments) or []

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
            raise PluginError(
                f"no data type has the code {batch.code!r}{answers.foreign(batch, self.data_types, self.owners)}"
            )
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
        check = partial(answers.check_day_file, data_type=data_type)
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

    def export_formats(self, data_type: DataType) -> dict[str, str]:
        """The formats in which a day of a data type can be written, and the plugin that writes each."""
        found: dict[str, str] = {}
        for name in self.asked(self.owners[data_type.name]):
            for form in self._ask(name, "export_formats", answers.check_formats, data_type=data_type) or ():
                found.setdefault(form, name)
        return found

    def export(self, name: str, directory: Path, **arguments: Any) -> list[Path]:  # noqa: ANN401 - those of the hook
        """Let a plugin write a day of a data type; the files. PluginError or StorageError if that fails."""
        check = partial(answers.check_files, hook="export", directory=directory)
        with disk_errors(directory):
            files = self._ask(name, "export", check, FOR_USERS, directory=directory, **arguments)
        if files is None:
            raise PluginError("export does not write a format that export_formats names", plugin=name)
        return files

    def simulate(self, name: str, day: np.datetime64, seed: int, directory: Path) -> list[Path]:
        """Let a plugin write sample sources; the files. Errors as for :meth:`export`."""
        check = partial(answers.check_files, hook="simulate", directory=directory)
        with disk_errors(directory):
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
            with blaming(name, "send", FOR_USERS):
                line = next(lines, None)
                if line is not None:
                    line = answers.check_line(line)
            if line is None:
                return
            yield line
