"""Settings: command line over environment over ``archive.yaml`` over defaults.

A setting has a dotted name: ``publish.after`` is the core's, ``muon.threshold`` would be a plugin's. In the
environment it is ``DAYFILE_PUBLISH__AFTER``; in ``archive.yaml`` a mapping in a mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dayfile.errors import SettingsError
from dayfile.messages import number_problem, suggest

__all__ = [
    "CoreSettings",
    "Settings",
    "from_command_line",
    "from_environment",
    "from_file",
    "from_plugin",
    "from_program",
    "keys_of",
    "resolve",
]

PREFIX = "DAYFILE_"
SettingsModel = TypeVar("SettingsModel", bound=BaseModel)
DEEPEST_YAML = 16
"""Levels of a settings file; PyYAML recurses, and a deep one would end the process."""
YAML_BOOLEAN, YAML_TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


class CoreSettings(BaseModel):
    """What can be set for the archive itself."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, allow_inf_nan=False)

    duplicates: Literal["skip", "keep"] = Field(
        "skip", description="what the append store does with a record that it holds already"
    )
    on_conflict: Literal["overlap", "replace", "keep"] = Field(
        "overlap",
        description="what a slot keeps that records contend for: none, the new or the old; the rest goes to overlap",
    )
    sources_keep: Literal["until-published", "always"] = Field(
        "until-published",
        alias="sources.keep",
        description="always: sources are kept below sources/ by day, so that any day file can be rebuilt",
    )
    sources_largest: int = Field(
        4 * 2**30,
        alias="sources.largest",
        gt=0,
        description="bytes of the largest source that is read; a larger one goes to quarantine as it is, unread",
    )
    run_most_new_days: int = Field(
        400,
        alias="run.most_new_days",
        gt=0,
        description="days without a day file that one source may begin for one data type; one with more goes to "
        "quarantine, as a wrong byte order or epoch scatters records over thousands of days",
    )
    run_unrecognised: Literal["leave", "quarantine"] | None = Field(
        None,
        alias="run.unrecognised",
        description="what becomes of files in incoming/ that no plugin of the run recognises; if not set, they are "
        "left where fewer plugins were asked than are installed, and quarantined otherwise",
    )
    publish_after: float = Field(
        10.0,
        alias="publish.after",
        ge=0,
        description="while watching: seconds of quiet after which a day file is published",
    )
    publish_growth: float = Field(
        0.5,
        alias="publish.growth",
        gt=0,
        description="while watching: growth, as a share of the published file, at which a busy day file is published",
    )
    watch_rescan: float = Field(
        5.0,
        alias="watch.rescan",
        gt=0,
        description="while watching: seconds between looks at incoming/ without a notice",
    )
    intake_also: tuple[str, ...] = Field(
        (),
        alias="intake.also",
        description="directories right below the archive, none of its own and without day files, whose files are taken "
        "in when a run starts, comma-separated",
    )
    log_file: Path | None = Field(
        None,
        alias="log.file",
        description="log here, a file a day, the last 14 kept; {command} in it is run or serve; empty: standard error",
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        "warning", alias="log.level", description="what is logged"
    )
    serve_body_limit: int = Field(
        64 * 2**20, alias="serve.body_limit", gt=0, description="bytes of the longest body that is received"
    )
    serve_body_seconds: float = Field(
        60.0, alias="serve.body_seconds", gt=0, description="seconds a client may take to send a body"
    )
    serve_header_seconds: float = Field(
        10.0,
        alias="serve.header_seconds",
        gt=0,
        description="seconds a client may take to send the header of a request",
    )
    serve_connections: int = Field(
        500,
        alias="serve.connections",
        gt=0,
        description="connections that each process of the server keeps open; one more closes the one that waited "
        "longest for its client",
    )
    serve_connections_per_address: int = Field(
        50,
        alias="serve.connections_per_address",
        gt=0,
        description="connections that one address (a /64 of IPv6) may have to each process of the server; 127.0.0.1 "
        "and serve.proxies are not limited",
    )
    serve_proxies: tuple[str, ...] = Field(
        (),
        alias="serve.proxies",
        description="addresses and networks of proxies, comma-separated, whose X-Forwarded-For and Forwarded headers "
        "are believed; empty: nobody's",
    )
    watch_settle: float = Field(
        1.0, alias="watch.settle", ge=0, description="seconds for which a file in incoming/ must not have changed"
    )

    @field_validator("intake_also", "serve_proxies", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        """A list, from text with commas."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("log_file", mode="before")
    @classmethod
    def read_empty(cls, value: object) -> object:
        """No file, from an empty text."""
        return None if value == "" else value

    @field_validator("serve_proxies")
    @classmethod
    def check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses and networks only: a name could become anybody's."""
        for network in value:
            ip_network(network, strict=False)
        return value


@dataclass(frozen=True)
class Settings:
    """All settings of a run.

    Parameters
    ----------
    core : CoreSettings
        Of the archive itself.
    plugins : mapping of str to BaseModel
        Of each plugin, by its name.
    """

    core: CoreSettings
    plugins: Mapping[str, BaseModel]


@dataclass(frozen=True)
class Given:
    """A value that was set, and where.

    Parameters
    ----------
    value : object
        The value.
    where : str
        The place, for messages.
    directory : Path or None
        What a relative path is relative to; None for the working directory.
    """

    value: Any
    where: str
    directory: Path | None = None


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
            raise SettingsError(f"{pair!r} is not KEY=VALUE, such as publish.after=30", where="--set")
        given[key.strip()] = Given(value.strip(), f"--set {key.strip()}")
    return given


def from_environment(environment: Mapping[str, str], models: Mapping[str, type[BaseModel]]) -> dict[str, Given]:
    """Take settings from environment variables ``DAYFILE_<SECTION>__<NAME>``, or ``DAYFILE_<NAME>`` without a section.

    A variable of an existing section is taken as a setting even if no setting has its name, so that it is reported.
    """
    keys = keys_of(models)
    sections = {key.split(".")[0] for key in keys if "." in key}
    given = {}
    for variable, value in environment.items():
        key = variable.removeprefix(PREFIX).lower().replace("__", ".", 1)
        if variable.startswith(PREFIX) and (key in keys or ("." in key and key.split(".")[0] in sections)):
            given[key] = Given(value, f"environment variable {variable}")
    return given


def from_plugin(found: Mapping[str, object], path: Path) -> dict[str, Given]:
    """Take settings that a plugin found in the settings file of another program."""
    return {key: Given(value, str(path)) for key, value in found.items()}


def from_program(values: Mapping[str, object]) -> dict[str, Given]:
    """Settings that a program hands in, by their dotted names.

    Raises
    ------
    SettingsError
        The settings are not a mapping.

    Examples
    --------
    >>> from_program({"on_conflict": "replace"})["on_conflict"].value
    'replace'
    """
    if not isinstance(values, Mapping):
        raise SettingsError("these are a mapping of names to values, such as {'publish.after': 30}", where="settings")
    return {str(key): Given(value, "settings") for key, value in values.items()}


def from_file(path: Path, *, required: bool) -> dict[str, Given]:
    """Settings of a YAML file: names and values, or sections with names and values. Paths are relative to the file.

    Raises
    ------
    SettingsError
        The file is missing though required, or is no YAML of that form.
    """
    try:
        if not required and not path.exists():
            return {}
        data = read_yaml(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", where=path) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise SettingsError(f"this is not YAML: {error}", where=path) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError("settings are a mapping of sections, such as 'publish: {after: 30}'", where=path)
    directory = path.absolute().parent
    given: dict[str, Given] = {}
    for section, values in data.items():
        if isinstance(values, dict):
            given.update((f"{section}.{name}", Given(value, str(path), directory)) for name, value in values.items())
        elif values is not None:  # a section with every line commented out is None
            given[str(section)] = Given(values, str(path), directory)
    return given


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


def keys_of(models: Mapping[str, type[BaseModel]]) -> dict[str, tuple[str, str]]:
    """Every key that can be set: the section it belongs to ('' for the core) and the model's field."""
    core = {info.alias or name: ("", name) for name, info in CoreSettings.model_fields.items()}
    return core | {
        f"{section}.{name}": (section, name) for section, model in models.items() for name in model.model_fields
    }


def resolve(models: Mapping[str, type[BaseModel]], *layers: Mapping[str, Given]) -> Settings:
    """The settings of a run.

    Parameters
    ----------
    models : mapping of str to type
        What can be set for each plugin.
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
    known = keys_of(models)
    sections: dict[str, dict[str, Given]] = {section: {} for section in ("", *models)}
    for key, given in merged.items():
        if key not in known:
            raise SettingsError(f"there is no setting {key!r}{suggest(key, known)}", where=given.where)
        section, name = known[key]
        sections[section][name] = given
    core = validated("", CoreSettings, sections[""])
    return Settings(core, {section: validated(section, model, sections[section]) for section, model in models.items()})


def validated(section: str, model: type[SettingsModel], values: Mapping[str, Given]) -> SettingsModel:
    """The settings of one section."""
    try:
        found = model.model_validate({name: value_of(given, model, name) for name, given in values.items()})
    except ValidationError as error:
        detail = error.errors()[0]
        name = str(detail["loc"][0]) if detail["loc"] else ""
        field = next((field for field, info in model.model_fields.items() if name in {field, info.alias}), name)
        where = values[field].where if field in values else section
        key = next(key for key, place in keys_of({section: model}).items() if place == (section, field))
        raise SettingsError(f"{key} cannot be {detail['input']!r}: {detail['msg'].lower()}", where=where) from error
    for name, given in values.items():
        if isinstance(given.value, bool) and type(getattr(found, name)) in {int, float}:  # to Python true is 1
            key = next(key for key, place in keys_of({section: model}).items() if place == (section, name))
            raise SettingsError(f"{key} cannot be {given.value!r}: it must be a number", where=given.where)
    return found


def value_of(given: Given, model: type[BaseModel], name: str) -> Any:  # noqa: ANN401 - what was given
    """Return a value as it was given; a path absolute, so that messages show where it is."""
    annotation = model.model_fields[name].annotation
    is_path = annotation is Path or (get_origin(annotation) in {Union, UnionType} and Path in get_args(annotation))
    if not is_path or not isinstance(given.value, str | Path) or given.value == "":
        return given.value
    return Path(given.directory or "", given.value).absolute()
