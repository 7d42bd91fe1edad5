"""YAML of settings, without what readers of YAML 1.1 and 1.2 understand differently."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dayfile.errors import SettingsError
from dayfile.messages import number_problem
from dayfile.problems import combine

__all__ = ["read_yaml"]

DEEPEST_YAML = 16
"""Levels of a settings file; PyYAML recurses, and a deep one would end the process."""
YAML_BOOLEAN, YAML_TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


def read_yaml(text: str, path: Path) -> tuple[Any, dict[str, int]]:
    """Read a YAML file, without what YAML 1.1 and 1.2 read as different numbers.

    ``yes``, ``no``, ``on`` and ``off`` are texts, as in YAML 1.2; a setting that is true or false takes them.

    Parameters
    ----------
    text : str
        Its text.
    path : Path
        Its path, for messages.

    Returns
    -------
    (object, dict of str to int)
        The content, and the line of each name and of each ``section.name``, from 1.

    Raises
    ------
    SettingsError
        It is not YAML, is nested too deep, or has such numbers; the message names the lines.
    """
    try:
        check_depth(text, path)
        return construct(text, path)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise SettingsError(f"this is not YAML: {reason}", where=f"{path}{line}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"this is not YAML: {' '.join(str(error).split())}", where=path) from error


def check_depth(text: str, path: Path) -> None:
    """Refuse a file that is nested too deep."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_YAML:
            line = "" if event.start_mark is None else f":{event.start_mark.line + 1}"
            raise SettingsError(f"nested more than {DEEPEST_YAML} deep; settings never are", where=f"{path}{line}")


def construct(text: str, path: Path) -> tuple[Any, dict[str, int]]:
    """Construct the content of a file, and list the lines of its names."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None, {}
        nodes = [node for node in walk(root) if isinstance(node, yaml.ScalarNode) and node.style is None]
        problems = [
            SettingsError(problem, where=f"{path}:{node.start_mark.line + 1}")
            for node in sorted(nodes, key=lambda node: node.start_mark.index)
            if (problem := check_scalar(node, loader))
        ]
        if problems:
            raise combine(problems)
        return loader.construct_document(root), dict(list_lines(root))
    finally:
        loader.dispose()


def walk(root: yaml.Node) -> Iterator[yaml.Node]:
    """Yield each node once."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.CollectionNode):
            waiting += [part for child in node.value for part in (child if isinstance(child, tuple) else (child,))]


def list_lines(root: yaml.Node) -> Iterator[tuple[str, int]]:
    """Yield each name and each ``section.name`` with its line."""
    for name, value in root.value if isinstance(root, yaml.MappingNode) else ():
        yield str(name.value), name.start_mark.line + 1
        for below, _ in value.value if isinstance(value, yaml.MappingNode) else ():
            yield f"{name.value}.{below.value}", below.start_mark.line + 1


def check_scalar(node: yaml.ScalarNode, loader: yaml.SafeLoader) -> str:
    """Return what is wrong with a number that YAML 1.2 reads otherwise, or an empty text.

    What is true or false in YAML 1.1 only becomes a text.
    """
    if node.tag == YAML_BOOLEAN and node.value.lower() not in {"true", "false"}:
        node.tag = YAML_TEXT
    elif node.tag.endswith((":int", ":float")):
        return number_problem(node.value, loader.construct_object(node))
    return ""
