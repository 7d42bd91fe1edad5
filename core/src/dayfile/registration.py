"""Registration: what plugins declare when they are loaded, and what is forgotten of a plugin with a fault."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from dayfile.builtin import Builtin
from dayfile.contract import answers
from dayfile.contract.asking import Hooks
from dayfile.contract.batches import check_data_type, check_new
from dayfile.contract.failures import Failure, blame, collect_failures
from dayfile.contract.offers import check_formats, check_new_format
from dayfile.errors import DayfileError, PluginError
from dayfile.formats.base import Format
from dayfile.model.datatype import DataType
from dayfile.stores.registry import forget_store, register_stores

__all__ = ["BUILTIN", "Answer", "Registered"]

BUILTIN = "builtin"
Answer = TypeVar("Answer")


@dataclass
class Registered:
    """The plugins that were registered, with what they declared; the base of :class:`dayfile.plugins.Plugins`.

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
    def make_empty(cls) -> Self:
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
        with blame(name_foreign(name), hook, passed):
            answer = self._hooks.call(name, hook, **arguments)
            return None if answer is None else check(answer)


def name_foreign(name: str) -> str:
    """Return the name of a plugin to blame for an error; empty for the core's own, whose errors are the user's."""
    return "" if name == BUILTIN else name
