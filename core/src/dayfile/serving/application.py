"""HTTP: the application that ``dayfile serve`` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dayfile.archive.root import Root
from dayfile.errors import MissingExtraError, UsageError
from dayfile.plugins import Plugins
from dayfile.serving.bounds import Bounds
from dayfile.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["application"]


def application(root: Root, plugins: Plugins, settings: Settings, workers: int = 1) -> Starlette:
    """The application with the routes of all plugins.

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
    UsageError
        No plugin of this run has a route.
    StorageError
        There is no archive.
    MissingExtraError
        starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
    except ImportError as error:
        raise MissingExtraError('serving needs an extra; install it with: pip install "dayfile[serve]"') from error
    root.prepare()
    routes: list[Any] = []
    for name in plugins.names:
        routes += plugins.routes(name, root, settings)
    if not routes:
        raise UsageError(f"none of the plugins {', '.join(plugins.names) or '(none)'} receives anything by HTTP")
    app = Starlette(routes=routes)
    app.state.bounds = Bounds(settings.core, workers)
    return app
