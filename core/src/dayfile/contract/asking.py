"""Call hooks, one plugin at a time. Only this module uses the plugin manager."""

from __future__ import annotations

from typing import Any

import pluggy

from dayfile import hookspecs
from dayfile.contract.answers import check_function

__all__ = ["Hooks"]


class Hooks:
    """The hooks of the plugins of a run."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._implementations: dict[tuple[str, str], pluggy.HookImpl | None] = {}

    def register(self, name: str, plugin: object) -> None:
        """Register a plugin's functions; raise an exception, of any class, if they do not match the declared hooks."""
        self._implementations.clear()
        self._manager.register(plugin, name)
        self._manager.check_pending()
        for hook in hookspecs.HOOKS:
            check_function(plugin, name, getattr(self._manager.hook, hook))

    def unregister(self, name: str) -> None:
        """Unregister a plugin, if it was registered."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def call(self, name: str, hook: str, **arguments: Any) -> Any:  # noqa: ANN401 - each hook has its own
        """Call a hook of one plugin and return its result; None if the plugin does not have the hook."""
        if (name, hook) not in self._implementations:
            found = getattr(self._manager.hook, hook).get_hookimpls()
            self._implementations[name, hook] = next((each for each in found if each.plugin_name == name), None)
        implementation = self._implementations[name, hook]
        if implementation is None:
            return None
        # pluggy leaves out arguments with a default; here they are passed as well.
        more = {each: arguments[each] for each in implementation.kwargnames if each in arguments}
        return implementation.function(*(arguments[each] for each in implementation.argnames), **more)
