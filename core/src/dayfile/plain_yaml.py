"""YAML of settings, without what readers of YAML 1.1 and 1.2 understand differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dayfile.errors import SettingsError
from dayfile.messages import number_problem

__all__ = ["read_yaml"]

DEEPEST_YAML = 16
"""Levels of a settings file; PyYAML recurses, and a deep one would end the process."""
YAML_BOOLEAN, YAML_TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


def read_yaml(text: str, path: Path) -> Any:  # noqa: ANN401 - YAML holds anything
    """The content of a YAML file, without what YAML 1.1 and 1.2 read as different numbers.

    ``yes``, ``no``, ``on`` and ``off`` are texts, as in YAML 1.2; a setting that is true or false takes them.

    Raises
    ------
    SettingsError
        It is nested too deep, or has such a number; the message names the line.
    yaml.YAMLError
        It is not YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_YAML:
            line = "" if event.start_mark is None else f":{event.start_mark.line + 1}"
            raise SettingsError(f"nested more than {DEEPEST_YAML} deep; settings never are", where=f"{path}{line}")
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        waiting, seen = [root], set()
        while waiting:
            node = waiting.pop()
            if isinstance(node, yaml.CollectionNode) and id(node) not in seen:
                seen.add(id(node))
                waiting += [part for child in node.value for part in (child if isinstance(child, tuple) else (child,))]
            if isinstance(node, yaml.ScalarNode) and node.style is None:
                check_scalar(node, loader, path)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def check_scalar(node: yaml.ScalarNode, loader: yaml.SafeLoader, path: Path) -> None:
    """Refuse a number that YAML 1.2 reads otherwise; make texts of what is true or false in YAML 1.1 only."""
    if node.tag == YAML_BOOLEAN and node.value.lower() not in {"true", "false"}:
        node.tag = YAML_TEXT
    elif node.tag.endswith((":int", ":float")):
        problem = number_problem(node.value, loader.construct_object(node))
        if problem:
            raise SettingsError(problem, where=f"{path}:{node.start_mark.line + 1}")
