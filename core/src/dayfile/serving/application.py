"""HTTP: the application that ``dayfile serve`` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dayfile.archive.root import Root
from dayfile.errors import MissingExtraError, UsageError
from dayfile.plugins import Plugins
from dayfile.serving.bounds import Bounds
from dayfile.serving.health import PATH, trouble
from dayfile.serving.proxies import Proxies, TrueClient
from dayfile.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

__all__ = ["application"]


def application(root: Root, plugins: Plugins, settings: Settings, workers: int = 1) -> Starlette:
    """The application with the routes of all plugins, and ``/healthz``.

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
    MissingExtraError
        starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
    except ImportError as error:
        raise MissingExtraError('serving needs an extra; install it with: pip install "dayfile[serve]"') from error
    root.create()
    routes: list[Any] = []
    for name in plugins.names:
        routes += plugins.routes(name, root, settings)
    if not routes:
        raise UsageError(f"none of the plugins {', '.join(plugins.names) or '(none)'} receives anything by HTTP")
    trusted = Middleware(TrueClient, proxies=Proxies(settings.core.serve_proxies))
    app = Starlette(routes=[health_route(root, settings.core.serve_body_limit), *routes], middleware=[trusted])
    app.state.bounds = Bounds(settings.core, workers)
    return app


def health_route(root: Root, room: int) -> Route:
    """``/healthz``: 200 if uploads can be stored, else 503 with the reason."""
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    def healthz(request: Request) -> Response:  # noqa: ARG001 - a route takes it
        reason = trouble(root, room)
        return PlainTextResponse(f"{reason}\n" if reason else "ok\n", 503 if reason else 200)

    return Route(PATH, healthz, methods=["GET"])
