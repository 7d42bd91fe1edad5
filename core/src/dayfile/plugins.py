"""Plugins: found by entry point, selected by name, and kept from harming each other."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from pydantic import BaseModel

from dayfile import hookspecs
from dayfile.builtin import Builtin
from dayfile.errors import DayfileError, PluginError, UsageError
from dayfile.model.batch import Batch, Rejected, Source
from dayfile.model.datatype import DataType

__all__ = ["GROUP", "Failure", "Plugins", "installed", "load"]

GROUP = "dayfile.plugins"


class NoSettings(BaseModel):
    """What a plugin without settings has."""


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, or a hook of one that failed.

    Parameters
    ----------
    plugin : str
        Its name.
    message : str
        What went wrong, for people; one line.
    error : str
        Class of the error.
    trace : str
        The traceback; empty where the message says it all.
    """

    plugin: str
    message: str
    error: str
    trace: str = field(default="", repr=False)

    @classmethod
    def of(cls, plugin: str, error: BaseException) -> Failure:
        """From an exception that was just caught."""
        if isinstance(error, DayfileError):
            return cls(plugin, str(error), type(error).__name__)
        message = f"plugin {plugin} failed: {type(error).__name__}: {error}"
        return cls(plugin, message, type(error).__name__, traceback.format_exc())


@dataclass
class Plugins:
    """The plugins of a run.

    Attributes
    ----------
    names : list of str
        The plugins that loaded, in the order they were asked for.
    failures : list of Failure
        Those that did not.
    versions : dict of str to str
        Version of the distribution of each plugin.
    data_types : dict of str to DataType
        By name.
    settings_models : dict of str to type
        What can be set for each plugin.
    """

    manager: pluggy.PluginManager
    names: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    data_types: dict[str, DataType] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    settings_models: dict[str, type[BaseModel]] = field(default_factory=dict)

    def add(self, name: str, plugin: object, version: str = "") -> None:
        """Take a plugin in; whatever is wrong with it becomes a failure, and nothing of it stays."""
        self.versions[name] = version
        try:
            self._register(name, plugin)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self.failures.append(Failure.of(name, error))
        else:
            self.names.append(name)

    def _register(self, name: str, plugin: object) -> None:
        self.manager.register(plugin, name)
        self.manager.check_pending()
        types = [data_type for answer in self._ask(name, "data_types") for data_type in answer]
        for data_type in types:
            if not isinstance(data_type, DataType):
                raise PluginError(f"plugin {name}: data_types answered {type(data_type).__name__}, not a DataType")
            if data_type.name in self.data_types:
                owner = self.owners[data_type.name]
                raise PluginError(f"plugin {name}: the data type {data_type.name} is plugin {owner}'s already")
        models = list(self._ask(name, "settings"))
        if not all(isinstance(model, type) and issubclass(model, BaseModel) for model in models):
            raise PluginError(f"plugin {name}: settings must answer a subclass of pydantic.BaseModel")
        self.settings_models[name] = models[0] if models else NoSettings
        self.data_types.update((data_type.name, data_type) for data_type in types)
        self.owners.update((data_type.name, name) for data_type in types)

    def _ask(self, name: str, hook: str, **arguments: Any) -> list[Any]:  # noqa: ANN401 - each hook has its own
        """Answers of one plugin to a hook (none, or one)."""
        others = [plugin for other, plugin in self.manager.list_name_plugin() if other != name and plugin]
        answers = self.manager.subset_hook_caller(hook, others)(**arguments)
        return answers if isinstance(answers, list) else [answers] if answers is not None else []

    def decode(
        self, source: Source, settings: dict[str, BaseModel]
    ) -> Iterator[tuple[str, list[Batch | Rejected] | Failure]]:
        """What each plugin makes of a source; plugins that say "not mine" are left out."""
        for name in self.names:
            try:
                answers = self._ask(name, "decode", source=source, settings=settings[name])
                for answer in answers:
                    yield name, [self._checked(name, item) for item in answer]
            except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
                yield name, Failure.of(name, error)

    def _checked(self, name: str, item: object) -> Batch | Rejected:
        if not isinstance(item, Batch | Rejected):
            raise PluginError(f"plugin {name}: decode gave {type(item).__name__}, not Batch or Rejected")
        return item

    def classify(self, batch: Batch) -> DataType | None:
        """The data type of a batch; None if no plugin knows it.

        Raises
        ------
        PluginError
            The answer is no data type of this run, or the records have another dtype.
        """
        name = self.manager.hook.classify(batch=batch)
        if name is None:
            return None
        if name not in self.data_types:
            raise PluginError(f"classify answered {name!r}, which is no data type of this run")
        data_type = self.data_types[name]
        if batch.records.dtype != data_type.dtype:
            message = f"the records of code {batch.code} have another dtype than {name}: {batch.records.dtype}"
            raise PluginError(f"plugin {self.owners[name]}: {message}")
        if not data_type.clock.defined(batch.records[data_type.time]).all():
            message = f"records of {name} have no time in {data_type.time}; decode must reject them"
            raise PluginError(f"plugin {self.owners[name]}: {message}")
        return data_type


def installed() -> dict[str, EntryPoint]:
    """The installed plugins by name, not loaded."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def load(names: Iterable[str] | None = None) -> Plugins:
    """Load plugins.

    Parameters
    ----------
    names : iterable of str, optional
        Which; all that are installed if not given. Others are not imported.

    Returns
    -------
    Plugins
        With a failure for each that did not load.

    Raises
    ------
    UsageError
        No plugin of such a name is installed, or none at all.
    """
    there = installed()
    chosen = list(dict.fromkeys(there if names is None else names))
    for name in chosen:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"installed: {', '.join(there) or 'none'}"
            raise UsageError(f"no plugin {name!r} is installed; {hint}")
    if not chosen:
        raise UsageError("no plugin is installed; install one, such as dayfile-cris")
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager)
    manager.register(Builtin(plugins.data_types), "builtin")
    for name in chosen:
        entry = there[name]
        version = entry.dist.version if entry.dist else ""
        try:
            plugin = entry.load()
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
            plugins.versions[name] = version
            plugins.failures.append(Failure.of(name, error))
        else:
            plugins.add(name, plugin, version)
    return plugins
