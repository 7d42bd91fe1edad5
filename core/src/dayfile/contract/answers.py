"""Validation of what hooks return, except batches; the caller knows whose answer it is."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint
from inspect import getattr_static, signature
from pathlib import Path, PurePosixPath
from types import FunctionType
from typing import Any

import pluggy
from pydantic import BaseModel

from dayfile.errors import PluginError
from dayfile.hookspecs import HOOK_VERSION
from dayfile.messages import plural, suggest
from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.model.places import may_be_day_file
from dayfile.stores.base import Store

__all__ = [
    "check_config",
    "check_extends",
    "check_files",
    "check_form_names",
    "check_function",
    "check_line",
    "check_lines",
    "check_location",
    "check_model",
    "check_packages",
    "check_routes",
    "check_source",
    "check_stores",
    "check_type_name",
    "check_version",
    "describe_owner",
    "describe_package",
]

LONGEST_NAME = 200
"""Bytes of a part of a day file's path; file systems have 255, and work files have a longer name."""
LONGEST_PATH = 1000
BRIEF = reprlib.Repr()
BRIEF.maxstring = BRIEF.maxother = 100


class NoSettings(BaseModel):
    """Settings of a plugin that has none."""


def check_extends(extends: object, name: str, installed: Collection[str] | None) -> tuple[str, ...]:
    """Check the attribute ``extends`` of a plugin, and return the names of the plugins that it extends.

    Parameters
    ----------
    extends : object
        The attribute.
    name : str
        The plugin's own name.
    installed : collection of str or None
        Names of installed plugins; None if unknown.

    Raises
    ------
    PluginError
        Not a list of names, or one of them is the plugin itself, or not installed.
    """
    if not isinstance(extends, list | tuple) or not all(isinstance(each, str) for each in extends):
        raise PluginError(f"extends must be a list of names of plugins, not {BRIEF.repr(extends)}")
    for each in extends:
        if each == name:
            raise PluginError("extends names the plugin itself")
        if installed is not None and each not in installed:
            raise PluginError(f"extends names the plugin {each!r}, which is not installed{suggest(each, installed)}")
    return tuple(extends)


def check_version(made_for: object) -> None:
    """Check the version of the hook interface that a plugin was made for, from its attribute ``hook_version``.

    Raises
    ------
    PluginError
        Not the version that this dayfile has.
    """
    if type(made_for) is not int or made_for != HOOK_VERSION:
        newer = isinstance(made_for, int) and made_for > HOOK_VERSION
        remedy = "install a newer dayfile" if newer else "install another version of the plugin"
        made = f"it was made for version {BRIEF.repr(made_for)} of the hooks"
        raise PluginError(f"{made}, and this dayfile has version {HOOK_VERSION}: {remedy}")


def check_packages(entries: Iterable[EntryPoint]) -> None:
    """Check that only one package has a plugin of a name; otherwise the user has to choose."""
    packages = sorted(map(describe_package, entries))
    if len(packages) > 1:
        raise PluginError(f"{' and '.join(packages)} both have a plugin of this name; uninstall one of them")


def describe_package(entry: EntryPoint) -> str:
    """Return name and version of the distribution of a plugin."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def check_function(plugin: object, name: str, caller: pluggy.HookCaller) -> None:
    """Check that a plugin has at most one function for a hook, with the mark, and without wrapping other plugins.

    Raises
    ------
    PluginError
        It has two functions, one that wraps those of other plugins, or one without the mark, which would not be called.
    """
    hook = caller.name
    mine = [each for each in caller.get_hookimpls() if each.plugin_name == name]
    if len(mine) > 1:
        raise PluginError(f"it has {len(mine)} functions for the hook {hook}")
    if any(each.hookwrapper or each.wrapper for each in mine):
        raise PluginError(f"its {hook} wraps that of other plugins; declare which it changes: extends = [...]")
    found = getattr_static(plugin, hook, None)
    if not mine and isinstance(found, FunctionType | staticmethod | classmethod):
        known = set(caller.spec.argnames) if caller.spec else set()
        if set(signature(getattr(plugin, hook)).parameters) <= known:
            raise PluginError(f"its function {hook} lacks the mark @hookimpl, so it would not be called; or rename it")


def check_model(answer: object) -> type[BaseModel]:
    """Check the result of the settings hook: a pydantic model with defaults for all its fields, or None."""
    if answer is None:
        return NoSettings
    if not isinstance(answer, type) or not issubclass(answer, BaseModel):
        raise PluginError("settings must return a subclass of pydantic.BaseModel")
    try:
        answer.model_validate({})
    except ValueError as error:
        raise PluginError(f"settings without a default would stop every run: {' '.join(str(error).split())}") from error
    return answer


def check_stores(answer: Iterable[object], owners: Mapping[str, str], name: str) -> list[Store]:
    """Check the result of the stores hook: stores with names that no other plugin has taken."""
    found = []
    for store in answer:
        if not isinstance(store, Store) or not isinstance(getattr(store, "name", None), str) or not store.name:
            raise PluginError(f"stores must return objects of subclasses of Store with a name, not {BRIEF.repr(store)}")
        if owners.get(store.name, name) != name:
            raise PluginError(f"the store {store.name!r} is plugin {owners[store.name]}'s already")
        found.append(store)
    return found


def check_type_name(answer: object, data_types: Mapping[str, DataType]) -> str:
    """Check the result of the classify hook: the name of one of the data types that the batch can have."""
    if not isinstance(answer, str) or answer not in data_types:
        message = f"classify returned {BRIEF.repr(answer)}, not one of {', '.join(data_types) or '(none)'}"
        raise PluginError(f"{message}: those of the plugin that decoded the batch, and of plugins that one extends")
    return data_types[answer].name


def describe_owner(batch: Batch, data_types: Mapping[str, DataType], owners: Mapping[str, str]) -> str:
    """Return an addition to a message about a batch of another plugin's data type: which ``extends`` is missing."""
    for name, data_type in data_types.items():
        if (data_type.instrument, data_type.code) == (batch.instrument, batch.code):
            owner = owners[name]
            return f"; it is that of {name} of plugin {owner}, which this plugin must extend: extends = [{owner!r}]"
    return ""


def check_location(answer: object, data_type: DataType) -> str:
    """Check the result of the locate_file hook: a path that any file system can have; without double slashes.

    A directory named like a day file would be in the way of a day file.
    """
    problem = ""
    if not isinstance(answer, str):
        problem = "which is not a path"
    elif not answer.isprintable() or not may_be_day_file(answer):
        problem = "which is not a path for a day file (below the archive, *.h5)"
    elif len(answer) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in answer.split("/")):
        problem = "which is too long"
    elif any(part.endswith(".h5") for part in PurePosixPath(answer).parts[:-1]):
        problem = "where a directory is named like a day file"
    if problem:
        raise PluginError(f"locate_file returned {BRIEF.repr(answer)} for {data_type.name}, {problem}")
    return str(PurePosixPath(str(answer)))


def check_source(answer: object, data_type: DataType, records: int) -> tuple[str, bytes]:
    """Check the result of the encode hook: name and content of a source with n records."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise PluginError(f"encode of {data_type.name} must return a name and bytes")
    name, content = answer
    if not isinstance(name, str) or not isinstance(content, bytes) or not name:
        raise PluginError(f"encode of {data_type.name} must return a name and bytes")
    if records and not content:
        raise PluginError(f"encode of {data_type.name} made a source without bytes of {plural(records, 'record')}")
    return name, content


def check_keys_answer(answer: object) -> dict[str, str | int]:
    """Check the result of the complete_keys hook: a mapping of names to texts and whole numbers."""
    if not isinstance(answer, Mapping) or not all(isinstance(name, str) for name in answer):
        raise PluginError(f"complete_keys must return a mapping of names to keys, not {BRIEF.repr(answer)}")
    return dict(answer)


def check_form_names(answer: object) -> list[str]:
    """Check the result of the export_formats hook: names of formats."""
    names = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    if names is None or not all(isinstance(name, str) and name and name.isprintable() for name in names):
        raise PluginError(f"export_formats must return a list of names, not {BRIEF.repr(answer)}")
    return names


def check_files(answer: object, hook: str, directory: Path) -> list[Path]:
    """Check the result of a hook that writes files into a directory: the paths of existing files, at least one."""
    paths = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    if paths is None or not all(isinstance(path, Path) for path in paths):
        raise PluginError(f"{hook} must return paths (pathlib.Path) of the files it wrote, not {BRIEF.repr(answer)}")
    if not paths:
        raise PluginError(f"{hook} wrote no file")
    top = directory.resolve()
    for path in paths:
        if not path.is_file():
            raise PluginError(f"{hook} returned {str(path)!r}, which is not a file that exists")
        if not path.resolve().is_relative_to(top):
            raise PluginError(f"{hook} wrote {str(path)!r}, which is not below {str(directory)!r}")
    return paths


def check_config(answer: object) -> dict[str, Any]:
    """Check the result of the read_config hook: settings by their names, and the archive's directory."""
    if not isinstance(answer, Mapping) or not answer or not all(isinstance(key, str) for key in answer):
        raise PluginError(f"read_config must return settings by name, or None, not {BRIEF.repr(answer)}")
    archive = answer.get("archive", "archive")
    if not isinstance(archive, str | Path) or not str(archive) or "\0" in str(archive):
        raise PluginError(f"read_config returned {BRIEF.repr(archive)}, which is not the directory of an archive")
    return dict(answer)


def check_routes(answer: object, hook: str = "routes") -> list[Any]:
    """Check the result of a hook that returns routes of starlette."""
    from starlette.routing import BaseRoute

    routes = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    if routes is None or not all(isinstance(route, BaseRoute) for route in routes):
        raise PluginError(f"{hook} must return a list of starlette.routing.BaseRoute, not {BRIEF.repr(answer)}")
    return routes


def check_lines(answer: object) -> Iterator[Any]:
    """Check the result of the send hook: an iterable of lines, which are checked one by one."""
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise PluginError(f"send must return lines, not {BRIEF.repr(answer)}")
    return iter(answer)


def check_line(line: object) -> str:
    """Check a line that send yields."""
    if not isinstance(line, str):
        raise PluginError(f"send must return lines of text, not {BRIEF.repr(line)}")
    return line
