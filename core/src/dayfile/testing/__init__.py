"""What plugin authors get to test with: :class:`PluginContract`, and tools in the modules of this package.

``PluginContract`` needs pytest, ``pip install 'dayfile[testing]'``, and is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dayfile.errors import MissingExtraError
from dayfile.messages import suggest_extra

if TYPE_CHECKING:
    from dayfile.testing.conformance.kit import PluginContract

__all__ = ["PluginContract"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from dayfile.testing.conformance import kit
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        message = f"{name} needs pytest; {suggest_extra('testing')}"
        raise MissingExtraError(message) from error
    return getattr(kit, name)
