"""The settings file of the HiSPARC datastore, an INI file, as settings of an archive.

Section ``General``: ``log`` (path prefix), ``loglevel``, ``station_list``, ``data_dir`` (root of queue and data).
Section ``Writer``: ``sleep`` (seconds), meant as the pause when the queue is empty.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from dayfile.errors import SettingsError

__all__ = ["read_datastore_config"]

LEVELS = {"debug", "info", "warning", "error", "critical"}
# Where the datastore left files that nothing of it ever reads again.
LEFT_BEHIND = "partial,suspicious"


def read_datastore_config(path: Path) -> dict[str, object] | None:
    """Settings of the datastore's INI file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to object, or None
        None if the file is none of the datastore's: no INI file with a section ``General`` that has ``data_dir``.

    Raises
    ------
    SettingsError
        It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=path) from error
    # The datastore read it without interpolation of % signs being of use; a log path may hold one.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    if not parser.has_option("General", "data_dir"):
        return None
    general = parser["General"]
    told: dict[str, object] = {"archive": general["data_dir"], "intake.also": LEFT_BEHIND}
    if "station_list" in general:
        told["hisparc.station_list"] = general["station_list"]
    if general.get("log"):
        told["log.file"] = f"{general['log']}-{{command}}"
    if "loglevel" in general:
        # The datastore took any other word for "no threshold".
        told["log.level"] = general["loglevel"] if general["loglevel"] in LEVELS else "debug"
    if parser.has_option("Writer", "sleep"):
        told["watch.rescan"] = parser["Writer"]["sleep"]
    return told
