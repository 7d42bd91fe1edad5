"""Convert the settings file of the HiSPARC datastore, an INI file, to settings of an archive.

Section ``General``: ``log`` (path prefix), ``loglevel``, ``station_list``, ``data_dir`` (root of queue and data).
Section ``Writer``: ``sleep`` (seconds), meant as the pause when the queue is empty.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from dayfile.errors import SettingsError

__all__ = ["read_datastore_config"]

LEVELS = {"debug", "info", "warning", "error", "critical"}
# Directories in which the datastore left files that it never reads again.
LEFT_BEHIND = "partial,suspicious"


def read_datastore_config(path: Path) -> dict[str, object] | None:
    """Read settings from the datastore's INI file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to object, or None
        None if the file is not the datastore's: not an INI file with ``data_dir`` in a section ``General``.

    Raises
    ------
    SettingsError
        It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=path) from error
    # A log path may have a % sign, which must not be interpolated.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    if not parser.has_option("General", "data_dir"):
        return None
    general = parser["General"]
    found: dict[str, object] = {"archive": general["data_dir"], "intake.also": LEFT_BEHIND}
    if "station_list" in general:
        found["hisparc.station_list"] = general["station_list"]
    if general.get("log"):
        found["log.file"] = f"{general['log']}-{{command}}"
    if "loglevel" in general:
        # The datastore treated any other word as "no threshold".
        found["log.level"] = general["loglevel"] if general["loglevel"] in LEVELS else "debug"
    if parser.has_option("Writer", "sleep"):
        found["watch.rescan"] = parser["Writer"]["sleep"]
    return found
