"""What readers see is fresh within bounds, however busy a day file is."""

from __future__ import annotations

import time

from running import until
from watching import DAY_FILE, stream


def test_a_day_file_that_is_never_quiet_and_hardly_grows_is_published_at_an_age(watch):
    """Neither quiet nor growth ever come; readers see what is new, again and again, while more arrives."""
    watcher = watch(publish__at_most=0.1).ready()
    sent, seen = 0, [0]
    while len(seen) < 4:
        watcher.arrive(str(sent), stream(sent % 337))
        sent += 1
        seen += [records] if (records := watcher.records()) > seen[-1] else []
        assert sent < 300, f"readers saw {seen} records"
        time.sleep(0.05)
    # In the order in which sources go, so that none is passed by on its way.
    until(lambda: not watcher.incoming() and not watcher.accepted())
    assert watcher.records() == sent
    assert watcher.stop().report["day_files"] == [DAY_FILE]
