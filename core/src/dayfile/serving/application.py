"""HTTP: the application that ``dayfile serve`` runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dayfile.archive.root import Root
from dayfile.errors import DayfileError, MissingExtraError, PluginError, UsageError
from dayfile.messages import suggest_extra
from dayfile.plugins import Failure, Plugins
from dayfile.problems import collect_errors, combine
from dayfile.serving.bounds import Bounds
from dayfile.serving.health import HEALTH_PATH, find_obstacle
from dayfile.serving.proxies import Proxies, TrueClient
from dayfile.serving.service import Receiving
from dayfile.settings import CoreSettings, Settings
from dayfile.state.receiver import UploadRecorder

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

__all__ = ["make_application"]

LIBRARIES = "starlette", "uvicorn", "httptools"
NEEDS_EXTRA = f"serving needs an extra; {suggest_extra('serve')}"

logger = logging.getLogger(__name__)


def make_application(root: Root, plugins: Plugins, settings: Settings, workers: int = 1) -> Starlette:
    """Make the application with ``/healthz`` and the routes of all plugins; those that fail are logged and left out.

    Parameters
    ----------
    root : Root
        The archive.
    plugins : Plugins
        Of this run.
    settings : Settings
        Of this run.
    workers : int
        Number of processes that will run it; they share its limits.

    Raises
    ------
    UsageError, PluginError
        No plugin of this run has a route, or those that have failed.
    StorageError
        The archive does not exist.
    MissingExtraError
        A library of the extra ``serve`` is not installed.

    If several things are missing, one error names all of them.
    """
    problems: list[DayfileError] = []
    if not all(map(find_spec, LIBRARIES)):
        problems.append(MissingExtraError(NEEDS_EXTRA))
    with collect_errors(problems):
        root.prepare()
    uploads = UploadRecorder(root)
    routes, failures = collect_routes(root, plugins, settings, uploads)
    if not routes and (failures or not problems):
        problems.append(explain_no_routes(plugins, failures))
    if problems:
        raise combine(problems)
    for error in failures:
        logger.error("%s; its routes are not served", error)
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    trusted = Middleware(TrueClient, proxies=Proxies(settings.core.serve_proxies))
    app = Starlette(routes=[make_health_route(root, settings.core), *routes], middleware=[trusted])
    app.state.bounds = Bounds(settings.core, workers)
    app.state.uploads = uploads
    app.state.service = Receiving(root, uploads, app.state.bounds)
    return app


def collect_routes(
    root: Root, plugins: Plugins, settings: Settings, uploads: UploadRecorder
) -> tuple[list[Any], list[DayfileError]]:
    """Collect the routes of all plugins, and the errors of those that failed; without the extra, except import errors.

    Each failure is also added to those of the plugins.
    """
    routes: list[Any] = []
    failures: list[DayfileError] = []
    extra = all(map(find_spec, LIBRARIES))
    for name in plugins.names:
        try:
            routes += plugins.routes(name, root, settings, uploads)
        except DayfileError as error:  # the others are served
            plugins.failures.append(Failure.of(name, error))
            if extra or not isinstance(error.__cause__, ImportError):
                failures.append(error)
    return routes, failures


def explain_no_routes(plugins: Plugins, failures: Sequence[DayfileError]) -> DayfileError:
    """Make the error that says why nothing is served: no plugin has routes, or those that have failed."""
    message = f"none of the plugins {', '.join(plugins.names) or '(none)'} receives anything by HTTP"
    if failures:
        message = f"{'; '.join(map(str, failures))}; no other plugin receives anything by HTTP"
    kind = PluginError if any(isinstance(error, PluginError) for error in failures) else UsageError
    return kind(message)


def make_health_route(root: Root, settings: CoreSettings) -> Route:
    """Make the route ``/healthz``: 200 if uploads can be stored, else 503 with the reason."""
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    def healthz(request: Request) -> Response:  # noqa: ARG001 - a route takes it
        reason = find_obstacle(root, settings)
        return PlainTextResponse(f"{reason}\n" if reason else "ok\n", 503 if reason else 200)

    return Route(HEALTH_PATH, healthz, methods=["GET"])
