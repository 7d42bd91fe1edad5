"""HTTP: the application that ``dayfile serve`` runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dayfile.archive.root import Root
from dayfile.errors import DayfileError, MissingExtraError, PluginError, UsageError
from dayfile.plugins import Failure, Plugins
from dayfile.serving.bounds import Bounds
from dayfile.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["application"]

logger = logging.getLogger(__name__)


def application(root: Root, plugins: Plugins, settings: Settings, workers: int = 1) -> Starlette:
    """The application with the routes of all plugins; those whose routes fail are logged and added to the failures.

    Parameters
    ----------
    root : Root
        The archive.
    plugins : Plugins
        Of this run.
    settings : Settings
        Of this run.
    workers : int
        How many processes will run it; they share its bounds.

    Raises
    ------
    UsageError, PluginError
        No plugin of this run has a route, or none that did not fail.
    MissingExtraError
        starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
    except ImportError as error:
        raise MissingExtraError('serving needs an extra; install it with: pip install "dayfile[serve]"') from error
    root.create()
    routes: list[Any] = []
    failures: list[DayfileError] = []
    for name in plugins.names:
        try:
            routes += plugins.routes(name, root, settings)
        except DayfileError as error:  # the others are served
            failures.append(error)
            plugins.failures.append(Failure.of(name, error))
            logger.error("%s; its routes are not served", error)  # noqa: TRY400 - the traceback is in the failure
    if not routes:
        raise nothing_served(plugins, failures)
    app = Starlette(routes=routes)
    app.state.bounds = Bounds(settings.core, workers)
    return app


def nothing_served(plugins: Plugins, failures: list[DayfileError]) -> DayfileError:
    """Say why there are no routes: no plugin has any, or those that have failed."""
    message = f"none of the plugins {', '.join(plugins.names) or '(none)'} receives anything by HTTP"
    if failures:
        message = f"{'; '.join(map(str, failures))}; no other plugin receives anything by HTTP"
    kind = PluginError if any(isinstance(error, PluginError) for error in failures) else UsageError
    return kind(message)
