"""Settings: command line over environment over ``archive.yaml`` over defaults.

A setting has a dotted name: ``publish.after`` is the core's, ``muon.threshold`` would be a plugin's. In the
environment it is ``DAYFILE_PUBLISH__AFTER``; in ``archive.yaml`` a mapping in a mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dayfile.errors import SettingsError
from dayfile.messages import suggest
from dayfile.plain_yaml import read_yaml
from dayfile.problems import combine
from dayfile.web_settings import WebSettings

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


class ArchiveSettings(BaseModel):
    """What can be set for the archive itself, and for receiving."""

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
    publish_at_most: float = Field(
        300.0,
        alias="publish.at_most",
        gt=0,
        description="while watching: seconds after which what is new in a day file is published, however busy it is; "
        "later if that took more than a tenth of the time",
    )
    watch_rescan: float = Field(
        5.0,
        alias="watch.rescan",
        gt=0,
        description="while watching: seconds between looks at incoming/ without a notice",
    )
    disk_wait: bool = Field(
        default=False,
        alias="disk.wait",
        description="while watching: true: where the disk is full, wait until there is room and go on; false: end with "
        "exit code 4",
    )
    disk_least_free: int = Field(
        2**30,
        alias="disk.least_free",
        ge=0,
        description="bytes that should be free for the archive: fewer are a warning, and a full disk has room again "
        "from here on",
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
        description="log here; {command} in it is run, serve or web; empty: standard error",
    )
    log_days: int = Field(
        14,
        alias="log.days",
        ge=0,
        description="files of earlier days that are kept beside log.file, which is renamed at midnight; 0: never "
        "renamed here, and opened again when another program, such as logrotate, has moved it",
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] | None = Field(
        None,
        alias="log.level",
        description="what is logged; if not set, warnings by a run, and also what goes well (info) by a watch and a "
        "server",
    )
    log_format: Literal["text", "json"] = Field(
        "text", alias="log.format", description="text: a line for people; json: an object in each line"
    )
    serve_body_limit: int = Field(
        64 * 2**20, alias="serve.body_limit", gt=0, description="bytes of the longest body that is received"
    )
    serve_body_seconds: float = Field(
        60.0,
        alias="serve.body_seconds",
        gt=0,
        description="seconds a client may take to send a body, or take nothing of an answer",
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


class CoreSettings(WebSettings, ArchiveSettings):
    """What can be set besides plugins; the fields of the last class are listed first."""


@dataclass(frozen=True)
class Settings:
    """All settings of a run: the core's, and those of each plugin by its name."""

    core: CoreSettings
    plugins: Mapping[str, BaseModel]


@dataclass(frozen=True)
class Given:
    """A value that was set, and where, for messages.

    Parameters
    ----------
    value : object
        The value.
    where : str
        The place.
    directory : Path or None
        What a relative path is relative to; None for the working directory.
    problem : str
        Why it cannot be a setting at all; :func:`resolve` reports it with everything else that is wrong.
    """

    value: Any
    where: str
    directory: Path | None = None
    problem: str = ""


def from_command_line(pairs: Iterable[str]) -> dict[str, Given]:
    """Settings of ``--set KEY=VALUE`` options; what is not of that form has a ``problem``."""
    given = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            given[pair] = Given(None, "--set", problem=f"{pair!r} is not KEY=VALUE, such as publish.after=30")
        else:
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
        data, lines = read_yaml(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", where=path) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"this is not YAML: {error}", where=path) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError("settings are a mapping of sections, such as 'publish: {after: 30}'", where=path)
    directory = path.absolute().parent
    found: dict[str, Any] = {}
    for section, values in data.items():
        if isinstance(values, dict):
            found.update((f"{section}.{name}", value) for name, value in values.items())
        elif values is not None:  # a section with every line commented out is None
            found[str(section)] = values
    places = {key: f"{path}:{lines[key]}" if key in lines else f"{path}" for key in found}
    return {key: Given(value, places[key], directory) for key, value in found.items()}


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
        Settings do not exist, or have impossible values; the message names all of them, and the place of each.
    """
    merged = {key: given for layer in reversed(layers) for key, given in layer.items()}
    known = keys_of(models)
    sections: dict[str, dict[str, Given]] = {section: {} for section in ("", *models)}
    problems: dict[str, SettingsError] = {}
    for key, given in merged.items():
        if given.problem:
            problems[key] = SettingsError(given.problem, where=given.where)
        elif key in known:
            section, name = known[key]
            sections[section][name] = given
        else:
            problems[key] = SettingsError(f"there is no setting {key!r}{suggest(key, known)}", where=given.where)
    everything: dict[str, type[BaseModel]] = {"": CoreSettings, **models}
    for section, model in everything.items():
        problems.update(find_problems(section, model, sections[section]))
    if problems:
        raise combine([problems[key] for key in dict.fromkeys([*merged, *problems]) if key in problems])
    core = validate(CoreSettings, sections[""])
    return Settings(core, {section: validate(model, sections[section]) for section, model in models.items()})


def find_problems(
    section: str, model: type[BaseModel], values: Mapping[str, Given]
) -> Iterator[tuple[str, SettingsError]]:
    """Yield each key of a section that has an impossible value, and what is wrong with it."""
    keys = {
        name: key for key, (owner, name) in keys_of({section: model} if section else {}).items() if owner == section
    }
    wrong: dict[str, str] = {}
    try:
        found = validate(model, values)
    except ValidationError as error:
        fields = {info.alias or name: name for name, info in model.model_fields.items()}
        for detail in error.errors():
            name = str(detail["loc"][0]) if detail["loc"] else ""
            wrong.setdefault(fields.get(name, name), f"cannot be {detail['input']!r}: {detail['msg'].lower()}")
    else:
        for name, given in values.items():
            if isinstance(given.value, bool) and type(getattr(found, name)) in {int, float}:  # to Python true is 1
                wrong[name] = f"cannot be {given.value!r}: it must be a number"
    for name, problem in wrong.items():
        key = keys.get(name, section)
        yield key, SettingsError(f"{key} {problem}", where=values[name].where if name in values else section)
    if wrong.keys() & values.keys():  # the others may be wrong in what is checked last
        yield from find_problems(section, model, {name: values[name] for name in values.keys() - wrong.keys()})


def validate(model: type[SettingsModel], values: Mapping[str, Given]) -> SettingsModel:
    """Return the settings of one section; pydantic's error if one is impossible."""
    return model.model_validate({name: value_of(given, model, name) for name, given in values.items()})


def value_of(given: Given, model: type[BaseModel], name: str) -> Any:  # noqa: ANN401 - what was given
    """Return a value as it was given; a path absolute, so that messages show where it is."""
    annotation = model.model_fields[name].annotation
    is_path = annotation is Path or (get_origin(annotation) in {Union, UnionType} and Path in get_args(annotation))
    if not is_path or not isinstance(given.value, str | Path) or given.value == "":
        return given.value
    return Path(given.directory or "", given.value).absolute()
