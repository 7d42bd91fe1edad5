"""The conformance kit: rules that every plugin keeps, as tests of pytest and as plain functions.

A rule is a function that gets a :class:`~dayfile.testing.conformance.subject.Subject`, yields a line for each problem,
and raises :class:`~dayfile.testing.conformance.subject.InapplicableError` if the plugin has nothing that it is about.
"""

from __future__ import annotations

__all__: list[str] = []
