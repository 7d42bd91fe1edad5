"""When a watch publishes a day file: by quiet, growth or age, as often as it can be afforded."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from archives import make_plugins, make_settings
from dayfile.engine.intake import Arrival
from dayfile.engine.starting import start_run

SIZE = 1_000_000


@contextmanager
def started(archive, muon, **given):
    """A run whose day files are taken and published by hand, with settings of a watch."""
    plugins = make_plugins(muon=muon.instrument)
    with start_run(archive.root, plugins, make_settings(plugins, **given)) as run:
        yield run, run.pipeline.day_files
        run.publish()


@pytest.fixture
def take(archive, hits):
    """Take sources of single muons, each of a second of its own; times are those of the clock afterwards."""
    seconds = iter(range(86400))

    def take(run, *days):
        for day in days or (0,):
            run.take([Arrival(archive.drop("MuonHit.be.bin", hits(86400 * day + next(seconds))), ours=False)])
        return max(file.written for file in run.pipeline.day_files.work_files.values())

    return take


def test_new_records_are_due_at_an_age_although_others_come(archive, muon, take):
    with started(archive, muon, publish__after=1000, publish__growth=1e9, publish__at_most=60) as (run, day_files):
        take(run)
        (file,) = day_files.work_files.values()
        first = file.since
        now = take(run)
        assert file.since == first < file.written
        ((path, wait),) = day_files.schedule.compute_waits(day_files.work_files, now).items()
        assert wait == pytest.approx(first + 60 - now)
        assert day_files.schedule.compute_waits(day_files.work_files, first + 60) == {path: 0}


def test_what_a_publication_cost_is_measured_and_it_may_take_a_tenth_of_the_time(archive, muon, take):
    """Whatever the settings ask for, it is due again after ten times as long as it took, in proportion to its size."""
    with started(archive, muon, publish__after=1e-9, publish__growth=1e9, publish__at_most=1e-9) as (run, day_files):
        now, schedule = take(run), day_files.schedule
        assert set(schedule.compute_waits(day_files.work_files, now + 1).values()) == {0}
        run.publish()
        take(run)
        ((path, file),) = day_files.work_files.items()
        cost, ended = schedule.estimate_cost(path, file.base_size + file.grown), schedule.publications[path].last
        assert cost > 0
        assert schedule.estimate_cost(path, 2 * SIZE) == pytest.approx(2 * schedule.estimate_cost(path, SIZE))
        assert schedule.compute_waits(day_files.work_files, ended + 5 * cost)[path] == pytest.approx(5 * cost)
        assert schedule.compute_waits(day_files.work_files, ended + 10.001 * cost)[path] == 0


def test_the_cost_holds_the_time_to_copy_and_index_the_published_file_too(archive, muon, take):
    with started(archive, muon) as (run, day_files):
        take(run)
        run.publish()
        take(run)
        (file,) = day_files.work_files.values()
        opening = file.opening
        take(run)
        assert file.opening == opening > 0
        ((path, known),) = day_files.schedule.publications.items()
        run.publish()
        assert known.rates[-1] * (archive.root.path / path).stat().st_size > opening


def test_one_slow_publication_of_several_changes_nothing(archive, muon, take):
    with started(archive, muon) as (_, day_files):
        schedule = day_files.schedule
        for now, seconds in enumerate((2, 2, 200, 2, 2)):
            schedule.note("a.h5", SIZE, seconds, now)
        assert schedule.estimate_cost("a.h5", SIZE) == pytest.approx(2)


def test_day_files_that_are_busy_together_share_the_tenth(archive, muon, take):
    """A thousand days that are written at once would otherwise be published without end."""
    given = {"publish__after": 50, "publish__growth": 1e9, "publish__at_most": 60}
    with started(archive, muon, **given) as (run, day_files):
        schedule = day_files.schedule
        now = take(run, 0, 1, 2, 3)
        for path, file in day_files.work_files.items():
            schedule.note(path, file.base_size + file.grown, 4, now)
        waits = schedule.compute_waits(day_files.work_files, now + 45)
        assert list(waits.values()) == [pytest.approx(4 * 40 - 45)] * 4
        # They are quiet: each is published when it can be afforded, whatever the others cost.
        waits = schedule.compute_waits(day_files.work_files, now + 55)
        assert set(waits.values()) == {0}


def test_it_is_logged_once_that_a_day_file_is_too_large_for_the_age_that_was_asked_for(archive, muon, caplog):
    with started(archive, muon, publish__at_most=60) as (_, day_files):
        for now in range(0, 300, 100):
            day_files.schedule.note("2020/large.h5", SIZE, 8.0, now)
            day_files.schedule.note("2020/small.h5", SIZE, 5.9, now)
    assert caplog.messages == [
        "2020/large.h5: publishing it takes 8.0 s, so what is new in it is up to 80 s old; publish.at_most is 60"
    ]
