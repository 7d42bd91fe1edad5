"""Rules about what a plugin declares: its data types, where their day files are, and its simulation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dayfile.errors import UsageError
from dayfile.messages import list_some
from dayfile.model.clock import FIRST_DAY, LAST_DAY
from dayfile.testing.conformance.subject import InapplicableError, Subject

__all__ = ["find_simulation_problems", "find_type_problems", "find_unsafe_paths"]

LOCATED_DAYS = [FIRST_DAY, LAST_DAY, *np.arange("2023-12-30", "2024-03-02", dtype="datetime64[D]")]
"""Days whose day files are located: at the ends of time, and those of two months with the turn of a leap year."""


def find_type_problems(subject: Subject) -> Iterator[str]:
    """The plugin loads, and its data types are well formed and can be read by people."""
    yield from (failure.message for failure in subject.plugins.failures)
    if subject.name not in subject.plugins.names:
        return
    if not subject.own_types:
        yield f"plugin {subject.name} declares no data type"
    for name in subject.data_types:
        if name not in subject.plugins.data_types:
            yield f"data_types of the test names {name}, which does not exist; there are {list_some(subject.own_types)}"
    for name, data_type in subject.own_types.items():
        if not data_type.title.strip():
            yield f"{name} has no title"
        if not name.replace(".", "_").isidentifier():
            yield f"the name {name!r} is not instrument.type, two plain words"
        names = [field.name for field in data_type.fields]
        twice = sorted({each for each in names if names.count(each) > 1})
        if twice:
            yield f"{name} has two fields named {list_some(twice)}"
        if not subject.plugins.data_types[name].code.strip():
            yield f"{name} has no code"


def find_unsafe_paths(subject: Subject) -> Iterator[str]:
    """Each day of a data type has a day file of its own, below the archive."""
    for name, data_type in subject.own_types.items():
        located: dict[str, np.datetime64] = {}
        for day in LOCATED_DAYS:
            path = subject.plugins.locate_file(data_type, day)
            if subject.plugins.locate_file(data_type, day) != path:
                yield f"locate_file gives {name} of {day} one path, and then another"
                break
            if path in located:
                yield f"locate_file gives {name} of {located[path]} and of {day} the same day file, {path}"
                break
            located[path] = day


def find_simulation_problems(subject: Subject) -> Iterator[str]:
    """The same day and seed simulate the same files, which the plugin recognises."""
    contents = []
    day = find_sample_day(subject)
    for number in range(2):
        directory = subject.directory / f"simulated-{number}"
        directory.mkdir()
        try:
            files = subject.plugins.simulate(subject.name, day, 7, directory)
        except UsageError as error:
            raise InapplicableError(str(error)) from error
        contents.append({path.relative_to(directory): path.read_bytes() for path in files})
    for path in sorted(contents[0].keys() | contents[1].keys()):
        if contents[0].get(path) != contents[1].get(path):
            yield f"simulate({day}, seed 7) wrote {path} with other bytes the second time"


def find_sample_day(subject: Subject) -> np.datetime64:
    """Find the first day of the samples."""
    typed = [(subject.classify(batch), batch) for answer in subject.answers for batch in answer.batches]
    days = [data_type.clock.days(data_type.count(batch.records)).min() for data_type, batch in typed]
    return min(days, default=np.datetime64("2024-05-01"))
