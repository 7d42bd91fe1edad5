"""Old names of renamed functions and classes: they work for one version, with a DeprecationWarning."""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["keep_old_names"]


def keep_old_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module that still finds its old names.

    Parameters
    ----------
    module : str
        Name of the module.
    names : mapping of str to str
        New names by old names; ``module:name`` for one that has moved.
    """

    def find(name: str) -> Any:  # noqa: ANN401 - whatever was renamed
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is now {names[name]}", DeprecationWarning, stacklevel=2)
        return pkgutil.resolve_name(names[name] if ":" in names[name] else f"{module}:{names[name]}")

    return find
