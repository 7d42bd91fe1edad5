"""The three instruments keep to what every plugin keeps to."""

from __future__ import annotations

import itertools

from dayfile.testing import PluginContract

MB = 1_000_000


class TestCris(PluginContract):
    plugin = "cris"
    day = "1997-10-31"

    def grow(self, source):
        return itertools.repeat(source.content) if source.name.endswith(".bin") else None


class TestSis(TestCris):
    plugin = "sis"
    large_bytes, memory_bytes = 300 * MB, 150 * MB  # the same format as that of CRIS, which is tried at full size


class TestHisparc(PluginContract):
    plugin = "hisparc"
    data_types = ("hisparc.events", "hisparc.singles", "hisparc.weather", "hisparc.config", "hisparc.errors")
    not_large_because = "an upload is a pickle, which is read whole; it has 32 MB at most"
