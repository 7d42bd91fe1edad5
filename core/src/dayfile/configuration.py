"""From what a command was told to an archive, plugins and settings."""

from __future__ import annotations

import os
from pathlib import Path

from dayfile import plugins, settings
from dayfile.archive.root import Root
from dayfile.errors import SettingsError
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["chosen_plugins", "configured"]

DEFAULT_ARCHIVE = Path("archive")


def configured(
    archive: Path | None, names: str | None, pairs: list[str], config: Path | None
) -> tuple[Root, Plugins, Settings]:
    """Archive, plugins and settings of a command: command line over environment over file over defaults.

    Parameters
    ----------
    archive : Path or None
        The archive's directory; if None, what the settings file tells, or ``archive``.
    names : str or None
        Plugins, separated by commas; all installed if None.
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
    loaded = chosen_plugins(names)
    found, failures = (None, []) if config is None else loaded.read_config(config)
    loaded.failures += failures
    if found is not None and config is not None:
        root = Root(archive or Path(str(found.pop("archive", DEFAULT_ARCHIVE))))
        from_file = settings.from_plugin(found, config)
    else:
        root = Root(archive or DEFAULT_ARCHIVE)
        root.exists()  # one that may not be looked into is no archive without settings
        try:
            from_file = settings.from_file(config or root.settings, required=config is not None)
        except SettingsError as error:
            if not failures:
                raise
            reasons = "; ".join(failure.message for failure in failures)
            raise SettingsError(f"{error}; plugins that could not read it: {reasons}") from error
    # archive.yaml serves all runs of an archive, also those that leave some of its plugins out.
    others = plugins.installed().keys() - loaded.settings_models.keys()
    resolved = settings.resolve(
        loaded.settings_models,
        settings.from_command_line(pairs),
        settings.from_environment(os.environ, loaded.settings_models),
        {key: given for key, given in from_file.items() if key.split(".")[0] not in others},
    )
    return root, loaded, resolved


def chosen_plugins(names: str | None) -> Plugins:
    """The plugins that a command names, with commas between; all that are installed if it names none."""
    return plugins.load(None if names is None else [name.strip() for name in names.split(",") if name.strip()])
