"""Plugins: found by entry point, selected by name, and kept from harming each other."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pluggy
from pydantic import BaseModel

from dayfile import hookspecs
from dayfile.builtin import Builtin
from dayfile.contract import check_answer, check_data_type, check_records, check_statuses, check_written
from dayfile.errors import DayfileError, PluginError, UsageError
from dayfile.messages import suggest
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.model.places import shared_node
from dayfile.settings import Settings

__all__ = ["GROUP", "NO_MEMORY", "Failure", "Plugins", "installed", "load"]

GROUP = "dayfile.plugins"
FAILS = (Exception, SystemExit)
"""What a plugin may raise without ending the run: it is not a plugin's to end it, by ``sys.exit()``."""

NO_MEMORY = MemoryError.__name__
"""Class of the error of a failure for want of memory, whatever child of MemoryError a library raised."""


class Answering(Protocol):
    """A work file, which remembers what it answered."""

    answers: list[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint8]]]


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
    offset : int or None
        Byte offset in the source, where it is known.
    """

    plugin: str
    message: str
    error: str
    trace: str = field(default="", repr=False)
    offset: int | None = None

    @classmethod
    def of(cls, plugin: str, error: BaseException) -> Failure:
        """From an exception that was just caught."""
        if isinstance(error, MemoryError):
            # What its frames hold is what there was too much of; a trace would keep it, and takes memory itself.
            traceback.clear_frames(error.__traceback__)
            return cls(plugin, f"plugin {plugin}: the memory is too small for it {error}".rstrip(), NO_MEMORY)
        if isinstance(error, PluginError):
            blamed = str(error) if str(error).startswith("plugin ") else f"plugin {plugin}: {error}"
            cause = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ else ""
            return cls(plugin, blamed, type(error).__name__, cause)
        if isinstance(error, DayfileError):
            return cls(plugin, str(error), type(error).__name__, offset=error.offset)
        return cls(plugin, f"plugin {plugin} failed: {named(error)}", type(error).__name__, traceback.format_exc())


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
    others : tuple of str
        Plugins that are installed and are not of this run.
    """

    manager: pluggy.PluginManager
    names: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    data_types: dict[str, DataType] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    settings_models: dict[str, type[BaseModel]] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    callers: dict[tuple[str, str], pluggy.HookCaller] = field(default_factory=dict, repr=False)

    @classmethod
    def none(cls) -> Plugins:
        """No plugins but ``builtin``; :meth:`add` takes others in."""
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        plugins = cls(manager)
        manager.register(Builtin(plugins.data_types), "builtin")
        return plugins

    @property
    def bases(self) -> dict[str, str]:
        """Directories of day files that may lie elsewhere, and the environment variables that say where."""
        return {told.path.partition("/")[0]: told.base for told in self.data_types.values() if told.base}

    def add(self, name: str, plugin: object, version: str = "") -> None:
        """Take a plugin in; whatever is wrong with it becomes a failure, and nothing of it stays."""
        self.versions[name] = version
        try:
            self._register(name, plugin)
        except FAILS as error:  # the plugin boundary: reported, and the others go on
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self.failures.append(Failure.of(name, error))
        else:
            self.names.append(name)

    def _register(self, name: str, plugin: object) -> None:
        self.callers.clear()  # each leaves out the plugins that there were
        self.manager.register(plugin, name)
        self.manager.check_pending()
        types: dict[str, DataType] = {}
        for data_type in (check_data_type(item) for answer in self._ask(name, "data_types") for item in answer):
            if data_type.name in self.data_types or data_type.name in types:
                owner = self.owners.get(data_type.name, name)
                raise PluginError(f"the data type {data_type.name} is plugin {owner}'s already")
            for other in (*self.data_types.values(), *types.values()):
                if node := shared_node(data_type, other):
                    owner = self.owners.get(other.name, name)
                    message = (
                        f"{data_type.name} would have its table {node} in common with {other.name} of plugin {owner}"
                    )
                    raise PluginError(f"{message}, in the same day file; give it a path or node of its own")
            types[data_type.name] = data_type
        models = list(self._ask(name, "settings"))
        if not all(isinstance(model, type) and issubclass(model, BaseModel) for model in models):
            raise PluginError("settings must answer a subclass of pydantic.BaseModel")
        self.settings_models[name] = models[0] if models else NoSettings
        self.data_types.update(types)
        self.owners.update(dict.fromkeys(types, name))

    def _ask(self, name: str, hook: str, **arguments: Any) -> list[Any]:  # noqa: ANN401 - each hook has its own
        """Answers of one plugin to a hook (none, or one)."""
        if (name, hook) not in self.callers:
            others = [plugin for other, plugin in self.manager.list_name_plugin() if other != name and plugin]
            self.callers[name, hook] = self.manager.subset_hook_caller(hook, others)
        answers = self.callers[name, hook](**arguments)
        return answers if isinstance(answers, list) else [answers] if answers is not None else []

    def _first(self, hook: str, **arguments: Any) -> tuple[str, Any]:  # noqa: ANN401 - each hook has its own
        """The first answer to a hook that is not None, and whose it is.

        Raises
        ------
        PluginError
            A plugin failed; the message names it.
        """
        for plugin in reversed(self.manager.hook.__dict__[hook].get_hookimpls()):
            try:
                answer = plugin.function(*(arguments[name] for name in plugin.argnames))
            except DayfileError:
                raise
            except FAILS as error:
                raise PluginError(f"plugin {plugin.plugin_name}: {hook} failed: {named(error)}") from error
            if answer is not None:
                return plugin.plugin_name, answer
        return "", None

    def decode(
        self, source: Source, settings: Mapping[str, BaseModel]
    ) -> Iterator[tuple[str, list[Batch | Rejected | Remark] | Failure]]:
        """What each plugin makes of a source; plugins that say "not mine" are left out."""
        for name in self.names:
            try:
                answers = self._ask(name, "decode", source=source, settings=settings[name])
                for answer in answers:
                    yield name, check_answer(answer)
            except FAILS as error:  # the plugin boundary: reported, and the others go on
                yield name, Failure.of(name, error)

    def read_config(self, path: Path) -> dict[str, Any] | None:
        """Settings from a file of another program, if a plugin knows it."""
        _, told = self._first("read_config", path=path)
        return None if told is None else dict(told)

    def routes(self, name: str, root: object, settings: Settings) -> list[Any]:
        """HTTP routes of a plugin."""
        return [
            route
            for answer in self._ask(name, "routes", root=root, settings=settings.plugins[name])
            for route in answer
        ]

    def classify(self, batch: Batch) -> DataType:
        """The data type of a batch.

        Raises
        ------
        PluginError
            No plugin knows it, the answer is no data type of this run, or the records are not of that type.
        """
        plugin, name = self._first("classify", batch=batch)
        if name is None:
            raise PluginError(f"no data type has the code {batch.code!r}")
        if not isinstance(name, str) or name not in self.data_types:
            raise PluginError(f"plugin {plugin}: classify answered {name!r}, which is no data type of this run")
        check_records(batch, self.data_types[name])
        return self.data_types[name]

    def locate_file(self, data_type: DataType, day: np.datetime64) -> str:
        """Path of the day file; PluginError if the answer is none."""
        plugin, path = self._first("locate_file", data_type=data_type, day=day)
        if not isinstance(path, str):
            raise PluginError(f"plugin {plugin}: locate_file answered {path!r} for {data_type.name}, which is no path")
        return path

    def encode(self, data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes]:
        """Records as a source that decode turns back into them: its name and content.

        Raises
        ------
        UsageError
            The data type is of a plugin whose records come from sources only.
        """
        plugin, answer = self._first("encode", data_type=data_type, records=records)
        if answer is None:
            raise UsageError(f"records of {data_type.name} cannot be put, only archived from sources")
        name, content = answer
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise PluginError(f"plugin {plugin}: encode must answer a name and bytes")
        return name, content

    def write(self, work_file: Answering, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Let a batch be written; a status per record.

        Raises
        ------
        PluginError
            The answer is no status per record, or not what the work file holds.
        """
        work_file.answers.clear()
        _, answer = self._first("write", work_file=work_file, data_type=data_type, batch=batch)
        statuses = check_statuses(answer, batch, data_type)
        check_written(statuses, batch, data_type, work_file.answers)
        return statuses


def named(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}"


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
            raise UsageError(f"no plugin {name!r} is installed{suggest(name, there)}")
    if not chosen:
        raise UsageError("no plugin is installed; install one for your instrument")
    plugins = Plugins.none()
    plugins.others = tuple(name for name in there if name not in chosen)
    for name in chosen:
        entry = there[name]
        version = entry.dist.version if entry.dist else ""
        try:
            plugin = entry.load()
        except FAILS as error:  # the plugin boundary: reported, and the others go on
            plugins.versions[name] = version
            plugins.failures.append(Failure.of(name, error))
        else:
            plugins.add(name, plugin, version)
    return plugins
