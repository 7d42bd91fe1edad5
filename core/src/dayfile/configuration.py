"""The archive, plugins and settings of a command or a program, from what each was given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dayfile import discovery, settings
from dayfile.archive.root import Root
from dayfile.errors import SettingsError, UsageError
from dayfile.plugins import Plugins
from dayfile.settings import Given, Settings

__all__ = ["choose_plugins", "configure", "configure_reading", "load_named_plugins", "read_settings"]

DEFAULT_ARCHIVE = Path("archive")


def configure(
    archive: Path | None, names: list[str] | None, pairs: list[str], config: Path | None
) -> tuple[Root, Plugins, Settings]:
    """Choose archive, plugins and settings of a command: command line over environment over file over defaults.

    Parameters
    ----------
    archive : Path or None
        The archive's directory; if None, that of the settings file, or ``archive``.
    names : list of str or None
        Plugins, also several in a text with commas between: names, and paths of layout files; all installed if None.
    pairs : list of str
        ``KEY=VALUE`` settings.
    config : Path or None
        Settings file; ``archive.yaml`` in the archive if None. May be the settings file of a program that a plugin
        stands in for.

    Raises
    ------
    UsageError, SettingsError
        A plugin or a setting does not exist, or has an impossible value.
    """
    return configure_plugins(archive, load_named_plugins(names), pairs, config)


def configure_reading(
    archive: Path | None, names: list[str] | None, pairs: list[str], config: Path | None
) -> tuple[Root, Plugins, Settings]:
    """Choose archive, plugins and settings of a command that only reads: plugins need not be installed.

    Parameters
    ----------
    archive, names, pairs, config
        As for :func:`configure`.

    Raises
    ------
    UsageError, SettingsError
        As for :func:`configure`.
    """
    if names is not None or discovery.installed():
        return configure(archive, names, pairs, config)
    return configure_plugins(archive, Plugins.make_empty(), pairs, config)


def configure_plugins(
    archive: Path | None, loaded: Plugins, pairs: list[str], config: Path | None
) -> tuple[Root, Plugins, Settings]:
    """Choose archive and settings of a command whose plugins are loaded; see :func:`configure`."""
    found, failures = (None, []) if config is None else loaded.read_config(config)
    loaded.failures += failures
    if found is not None and config is not None:
        root = Root(archive or Path(str(found.pop("archive", DEFAULT_ARCHIVE))))
        from_file = settings.from_plugin(found, config)
    else:
        root = Root(archive or DEFAULT_ARCHIVE)
        root.exists()  # raises if it may not be looked into: its settings would be missed
        try:
            from_file = settings.from_file(config or root.settings, required=config is not None)
        except SettingsError as error:
            if not failures:
                raise
            reasons = "; ".join(failure.message for failure in failures)
            raise SettingsError(f"{error}; plugins that could not read it: {reasons}") from error
    return root, loaded, layer(loaded, settings.from_command_line(pairs), from_file)


def read_settings(root: Root, loaded: Plugins, given: Mapping[str, Given]) -> Settings:
    """Read the settings of an archive that a program opened: given ones over environment over file over defaults.

    Parameters
    ----------
    root : Root
        The archive.
    loaded : Plugins
        The plugins whose settings can be set.
    given : mapping of str to Given
        What the program set.

    Raises
    ------
    SettingsError
        A setting does not exist, or has an impossible value.
    StorageError
        The archive cannot be looked into.
    """
    root.exists()
    return layer(loaded, given, settings.from_file(root.settings, required=False))


def layer(loaded: Plugins, given: Mapping[str, Given], from_file: Mapping[str, Given]) -> Settings:
    """Resolve settings: given ones over environment over file over defaults."""
    # archive.yaml serves all runs of an archive, also those that leave some of its plugins out, or have none at all.
    others = discovery.installed().keys() - loaded.settings_models.keys()
    if not discovery.installed():
        core = {key.split(".")[0] for key in settings.keys_of({})}
        others = {key.split(".")[0] for key in from_file} - core
    return settings.resolve(
        loaded.settings_models,
        given,
        settings.from_environment(os.environ, loaded.settings_models),
        {key: value for key, value in from_file.items() if key.split(".")[0] not in others},
    )


def choose_plugins(wanted: Iterable[str | Path] | Mapping[str, object] | Plugins | None) -> Plugins:
    """Return the plugins that a program wants.

    Parameters
    ----------
    wanted : iterable of str or Path, mapping of str to object, Plugins or None
        Names of installed plugins and layout files, or plugin objects by their names, or plugins that are loaded; None
        for all that are installed.

    Raises
    ------
    UsageError
        No plugin of such a name is installed, or a text was given in place of a list.
    """
    if isinstance(wanted, Plugins):
        return wanted
    if isinstance(wanted, str | Path):
        raise UsageError(f"plugins are a list of names, such as [{str(wanted)!r}], not a text")
    if not isinstance(wanted, Mapping):
        return discovery.load(wanted)
    chosen = Plugins.make_empty()
    chosen.add_all({name: (plugin, "") for name, plugin in wanted.items()})
    return chosen


def load_named_plugins(names: list[str] | None) -> Plugins:
    """Load the plugins and layout files that a command names; all installed plugins if it names none."""
    if names is None:
        return discovery.load()
    listed = [name.strip() for text in names for name in text.split(",")]
    return discovery.load(list(dict.fromkeys(filter(None, listed))))
