"""Settings: command line over environment over ``archive.yaml`` over defaults.

A setting has a dotted name, ``hisparc.cutoff_year``: the plugin it belongs to and its own name. In the environment it
is ``DAYFILE_HISPARC__CUTOFF_YEAR``; in ``archive.yaml`` a mapping in a mapping.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from dayfile.errors import SettingsError

__all__ = ["from_command_line", "from_environment", "from_file", "resolve"]

PREFIX = "DAYFILE_"


@dataclass(frozen=True)
class Given:
    """A value that was set, and where."""

    value: Any
    where: str


def from_command_line(pairs: Iterable[str]) -> dict[str, Given]:
    """Settings of ``--set KEY=VALUE`` options.

    Raises
    ------
    SettingsError
        One of them has no ``=``.
    """
    given = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"{pair!r} is not KEY=VALUE, such as hisparc.cutoff_year=2016", where="--set")
        given[key.strip()] = Given(value.strip(), f"--set {key.strip()}")
    return given


def from_environment(environment: Mapping[str, str], sections: Iterable[str]) -> dict[str, Given]:
    """Settings of environment variables ``DAYFILE_<SECTION>__<NAME>``, of these sections only."""
    given = {}
    for variable, value in environment.items():
        section, double, name = variable.removeprefix(PREFIX).lower().partition("__")
        if variable.startswith(PREFIX) and double and section in sections:
            given[f"{section}.{name}"] = Given(value, f"environment variable {variable}")
    return given


def from_file(path: Path, *, required: bool) -> dict[str, Given]:
    """Settings of a YAML file: sections with names and values.

    Raises
    ------
    SettingsError
        The file is missing though required, or is no YAML of that form.
    """
    if not required and not path.exists():
        return {}
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", where=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"this is not YAML: {error}", where=path) from error
    given: dict[str, Given] = {}
    if data is None:
        return given
    if not isinstance(data, dict):
        raise SettingsError("settings are a mapping of sections, such as 'hisparc: {cutoff_year: 2016}'", where=path)
    for section, values in data.items():
        if not isinstance(values, dict):
            raise SettingsError(f"{section!r} must be a mapping of settings", where=path)
        given.update((f"{section}.{name}", Given(value, str(path))) for name, value in values.items())
    return given


def resolve(models: Mapping[str, type[BaseModel]], *layers: Mapping[str, Given]) -> dict[str, BaseModel]:
    """The settings of each section.

    Parameters
    ----------
    models : mapping of str to type
        What can be set in each section.
    *layers : mapping of str to Given
        What was set, the strongest first.

    Raises
    ------
    SettingsError
        A setting does not exist, or has an impossible value; the message names the place.
    """
    merged: dict[str, Given] = {}
    for layer in reversed(layers):
        merged.update(layer)
    known = [f"{section}.{name}" for section, model in models.items() for name in model.model_fields]
    for key, given in merged.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"settings are: {', '.join(known) or 'none'}"
            raise SettingsError(f"there is no setting {key!r}; {hint}", where=given.where)
    return {section: validated(section, model, merged) for section, model in models.items()}


def validated(section: str, model: type[BaseModel], merged: Mapping[str, Given]) -> BaseModel:
    """The settings of one section."""
    values = {name: merged[f"{section}.{name}"] for name in model.model_fields if f"{section}.{name}" in merged}
    try:
        return model.model_validate({name: given.value for name, given in values.items()})
    except ValidationError as error:
        detail = error.errors()[0]
        name = str(detail["loc"][0]) if detail["loc"] else ""
        where = values[name].where if name in values else section
        message = f"{section}.{name} cannot be {detail['input']!r}: {detail['msg'].lower()}"
        raise SettingsError(message, where=where) from error
