"""Examine the functions of a plugin: marks, names and signatures of hooks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from inspect import getattr_static
from types import FunctionType, ModuleType
from typing import Any

from dayfile import hookspecs
from dayfile.doctor.findings import Finding
from dayfile.messages import suggest_near

__all__ = ["examine_functions"]

MARK = f"{hookspecs.PROJECT}_impl"
"""The attribute that the mark ``@hookimpl`` gives to a function."""


def examine_functions(plugin: object) -> Iterator[Finding]:
    """Examine all functions of a plugin that are hooks, or could be meant as such.

    Parameters
    ----------
    plugin : object
        The module or object that the entry point names.
    """
    if isinstance(plugin, type):
        fix = f"make an object, plugin = {plugin.__name__}(), and name that in the entry point"
        yield Finding(f"the entry point names the class {plugin.__name__}, not an object", fix)
        return
    named = False
    for name in dir(plugin):
        found = getattr_static(plugin, name, None)
        function = found.__func__ if isinstance(found, staticmethod | classmethod) else found
        if not isinstance(function, FunctionType):
            continue
        marked = getattr(function, MARK, None)
        named = named or marked is not None
        if marked is not None:
            yield from examine_hook(getattr(plugin, name), marked.get("specname") or name, marked)
        elif name in hookspecs.HOOKS and set(list_arguments(getattr(plugin, name))) <= set(list_hook_arguments(name)):
            named = True
            problem = (
                f"its function {name} ({locate_function(function)}) lacks the mark @hookimpl, so it would not be called"
            )
            yield Finding(problem, "put @hookimpl above it, or rename it if it is not meant as a hook")
    if not named:
        what = "the module" if isinstance(plugin, ModuleType) else f"the {type(plugin).__name__} object"
        fix = "name the object that has them, as in muon = 'muon:plugin'"
        yield Finding(f"{what} that the entry point names has no hooks", fix)


def examine_hook(function: Callable[..., Any], name: str, options: dict[str, Any]) -> Iterator[Finding]:
    """Examine a marked function.

    Parameters
    ----------
    function : callable
        The function, bound if it is a method.
    name : str
        The hook.
    options : dict
        Options of its mark.
    """
    place = locate_function(function)
    if name not in hookspecs.HOOKS:
        hint = suggest_near(name, hookspecs.HOOKS)
        fix = f"rename it to {suggested(hint)}" if hint else f"remove the mark; hooks are {', '.join(hookspecs.HOOKS)}"
        yield Finding(f"its function {name} ({place}) is marked as a hook, and there is no hook of this name", fix)
        return
    known = list_hook_arguments(name)
    for argument in list_arguments(function):
        if argument not in known:
            hint = suggest_near(argument, known)
            fix = f"rename it to {suggested(hint)}" if hint else f"it can take {', '.join(known) or 'no argument'}"
            yield Finding(f"its {name} ({place}) takes the argument {argument!r}, which this hook does not have", fix)
    own = list(inspect.signature(function.__func__).parameters) if inspect.ismethod(function) else []
    if own and own[0] in known:
        yield Finding(
            f"its {name} ({place}) is a method that takes no 'self'", f"write def {name}(self, {', '.join(own)})"
        )
    if options.get("hookwrapper") or options.get("wrapper"):
        fix = "declare which plugin it changes instead: extends = [...]"
        yield Finding(f"its {name} ({place}) wraps that of other plugins", fix)
    elif name == "decode" and inspect.isgeneratorfunction(function):
        fix = "return None for these, and the generator of another function for its own"
        yield Finding(f"its decode ({place}) uses 'yield', so it claims all sources, those of other plugins too", fix)
    if inspect.iscoroutinefunction(function):
        yield Finding(f"its {name} ({place}) is 'async def', which nobody awaits", "write it as a plain function")


def list_hook_arguments(hook: str) -> list[str]:
    """List the arguments of a hook."""
    return list(inspect.signature(getattr(hookspecs, hook)).parameters)


def list_arguments(function: Callable[..., Any]) -> list[str]:
    """List the arguments of a function that it needs: those without a default."""
    return [each.name for each in inspect.signature(function).parameters.values() if each.default is each.empty]


def locate_function(function: Callable[..., Any]) -> str:
    """Return where a function is: ``file:line``."""
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def suggested(hint: str) -> str:
    """Return the word of a suggestion."""
    return hint.split("'")[1]
