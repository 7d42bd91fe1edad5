"""Remarks on archived records: one entry in quarantine for all of one cause, keys and day."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from dayfile.archive.quarantine import Quarantine
from dayfile.engine.report import Quarantined, Report
from dayfile.model.batch import Origin, Remark
from dayfile.plugins import Plugins

__all__ = ["Remarks"]


@dataclass
class Cause:
    """The remarks of one cause, and their values from each source.

    Parameters
    ----------
    remark : Remark
        The first remark.
    sources : dict of str to list of str
        Lines that are not in quarantine yet, by the SHA-256 of their source; the first line names the source.
    """

    remark: Remark
    sources: dict[str, list[str]] = field(default_factory=dict)


class Remarks:
    """The values of remarks, collected for the quarantine.

    A station with newer software may send a value without a column with each event, for years. An entry for each source
    would need more space than the records.

    Parameters
    ----------
    quarantine : Quarantine
        The quarantine that gets the entries.
    plugins : Plugins
        The plugins, for their versions.
    report : Report
        The report that counts the entries.
    """

    def __init__(self, quarantine: Quarantine, plugins: Plugins, report: Report) -> None:
        self.quarantine = quarantine
        self.plugins = plugins
        self.report = report
        self.causes: dict[str, Cause] = {}

    def add(self, origin: Origin, remark: Remark) -> None:
        """Add the values that a remark has from a source."""
        keys = {name: str(value) for name, value in remark.keys.items()}
        identity = json.dumps([remark.instrument, remark.code, remark.text, keys], sort_keys=True)
        cause = self.causes.setdefault(identity, Cause(remark))
        head = json.dumps({"source": origin.name, "sha256": origin.sha256}, ensure_ascii=False)
        cause.sources.setdefault(origin.sha256, [head]).extend(remark.values)

    def flush(self) -> None:
        """Write all collected values into quarantine; they are on disk when this returns."""
        for identity, cause in self.causes.items():
            entry, records = self.quarantine.note(identity, self._make_reason(cause.remark), cause.sources)
            if records:
                place = str(entry.relative_to(self.quarantine.root.path))
                source = ", ".join(f"{name} {value}" for name, value in cause.remark.keys.items())
                self.report.note(Quarantined(source or cause.remark.instrument, records, cause.remark.text, place))
        self.causes.clear()

    def _make_reason(self, remark: Remark) -> dict[str, Any]:
        return {
            "plugin": remark.instrument,
            "version": self.plugins.versions.get(remark.instrument, ""),
            "error": "Remark",
            "message": remark.text,
            "code": remark.code,
            "keys": {name: str(value) for name, value in remark.keys.items()},
        }
