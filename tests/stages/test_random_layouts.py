"""Random layouts: both engines find the same in what they say, whole and damaged; and what is written is read again."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dayfile import Instrument
from random_layouts import CHANGES, damage, layouts, make_source
from two_engines import compare

SLOW = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@SLOW
@given(
    text=layouts(),
    seed=st.integers(0, 2**32),
    count=st.integers(0, 12),
    changes=st.just([]) | CHANGES,
    size=st.integers(1, 200),
)
def test_random_layouts_give_the_same_in_both_engines_whole_and_damaged(text, seed, count, changes, size):
    content = damage(make_source(text, seed, count), changes, 8)
    compare(text, "a.bin", content, (2**19, size), Instrument(text, "layout.yaml"))
