"""An exporter that calls the older hooks ``export_formats`` and ``export``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dayfile.errors import PluginError
from dayfile.export.base import Day, Exporter

__all__ = ["OlderExporter"]


@dataclass
class OlderExporter(Exporter):
    """A format that a plugin writes by its hook ``export``.

    Parameters
    ----------
    name : str
        Name of the format, from its ``export_formats``.
    call : callable
        Calls the hook ``export`` of the plugin.
    """

    name: str
    call: Callable[..., Any]

    def export(self, day: Day, directory: Path) -> Iterable[Path]:
        """Call the hook; PluginError if it returns None."""
        arguments = {"data_type": day.data_type, "day": day.date, "tables": day.tables, "byte_order": day.byte_order}
        files: Iterable[Path] | None = self.call(form=self.name, directory=directory, **arguments)
        if files is None:
            raise PluginError("export returned None for a format that export_formats names")
        return files
