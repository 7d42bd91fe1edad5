"""Limits for a source: which times are plausible, and how many new days it may make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from dayfile.archive.root import Root
from dayfile.engine.pieces import Dated
from dayfile.errors import DayfileError, RecordError, SourceError
from dayfile.messages import again_with, plural
from dayfile.model.batch import SOURCE_STEP, Rejected, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import Failure, Plugins

__all__ = ["NewDays", "partition"]

Locate = Callable[[DataType, np.datetime64], str]


def partition(dated: Dated, sources: Sequence[Source], plugins: Plugins) -> tuple[Dated, list[tuple[int, Rejected]]]:
    """Split off the records with times that are not plausible.

    Parameters
    ----------
    dated : Dated
        Records of a group of sources.
    sources : sequence of Source
        The group.
    plugins : Plugins
        The plugins that encode the rejected records.

    Returns
    -------
    (Dated, list of (int, Rejected))
        The plausible records, and the rejected ones of each source with its place in the group.
    """
    data_type, plausible = dated.data_type, dated.data_type.plausible
    if plausible is None:
        return dated, []
    places, inverse = np.unique(dated.sources, return_inverse=True)
    lasts = [plausible.last(data_type.clock, sources[place].arrived) for place in places]
    last = lasts[0] if len(lasts) == 1 else np.array(lasts)[inverse]
    outside = plausible.outside(data_type.stamps(dated.batch.records), data_type.clock, last)
    if not outside.any():
        return dated, []
    rejected = [
        (int(each.sources[0]), reject(each, sources[each.sources[0]], plugins))
        for each in dated.select(outside).split_by_source()
    ]
    return dated.select(~outside), rejected


def reject(dated: Dated, source: Source, plugins: Plugins) -> Rejected:
    """Reject records of one source in a form that can be archived again: the records only, or the whole source."""
    data_type, batch = dated.data_type, dated.batch
    assert data_type.plausible is not None  # noqa: S101 - for mypy; the caller has checked it
    form = next(form for form in data_type.forms if form.dtype == batch.records.dtype)
    name, content = source.name, source.content
    # Keys, blobs and lost slots are not in the records, which would not be the same without them.
    if not (batch.keys or batch.blobs.values or batch.gave_way):
        name, content = plugins.encode_own(form, batch.records) or (name, content)
    return Rejected(
        instrument=batch.instrument,
        code=batch.code,
        reason=data_type.plausible.why(data_type.stamps(batch.records), data_type.clock, source.arrived),
        error=RecordError.__name__,
        numbers=tuple((batch.numbers % SOURCE_STEP).tolist()),
        name=name,
        content=content,
    )


class NewDays:
    """The limit on new days of a source in one data type; a day is new if its day file does not exist.

    A wrong byte order or epoch turns a stream into a day file for each record.

    Parameters
    ----------
    root : Root, optional
        The archive; without one, every day is new.
    most : int
        The setting ``run.most_new_days``.
    """

    def __init__(self, root: Root | None, most: int) -> None:
        self.root = root
        self.most = most

    def find_floods(self, dated: Iterable[Dated], locate: Locate) -> dict[int, Failure]:
        """Find the sources of a group that would make too many new days: a failure for each, by place."""
        types: dict[str, list[Dated]] = {}
        for each in dated:
            types.setdefault(each.data_type.name, []).append(each)
        found: dict[int, Failure] = {}
        for alike in types.values():
            first, last = min(each.days.min() for each in alike), max(each.days.max() for each in alike)
            if int((last - first).astype(np.int64)) < self.most:
                continue  # nearly all groups
            for place, days in group_days(alike):
                problem = "" if place in found else self.find_problem(alike[0].data_type, days, locate)
                if problem:
                    problem = f"{problem}: {again_with(f'run.most_new_days={len(days)}')}"
                    found[place] = Failure(alike[0].plugin, problem, SourceError.__name__)
        return found

    def find_problem(self, data_type: DataType, days: npt.NDArray[np.datetime64], locate: Locate, made: int = 0) -> str:
        """Return why records have too many new days; empty if they have not.

        Parameters
        ----------
        data_type : DataType
            The type of the records.
        days : array of datetime64[D], shape (n,)
            The days of the records, each once, ascending.
        locate : callable
            Returns the path of the day file for a type and day.
        made : int
            Number of new days that were counted before.
        """
        if made + len(days) <= self.most:
            return ""
        new = made
        for day in days:
            new += self.is_new(data_type, day, locate)
            if new > self.most:
                span = f"{plural(made + len(days), 'day')} of {data_type.name} ({days[0]} to {days[-1]})"
                problem = f"more than {self.most} of them have no day file yet"
                return f"{span}, and {problem}: are byte order and epoch right? If they are, raise run.most_new_days"
        return ""

    def is_new(self, data_type: DataType, day: np.datetime64, locate: Locate) -> bool:
        """Return whether the day file of a day does not exist; errors are reported when it is opened."""
        if self.root is None:
            return True
        try:
            (self.root.path / locate(data_type, day)).stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except (OSError, ValueError, DayfileError):
            return False
        return False


def group_days(alike: Sequence[Dated]) -> Iterable[tuple[int, npt.NDArray[np.datetime64]]]:
    """Group the days of records of one type by source; each day once, ascending."""
    sources = np.concatenate([each.sources for each in alike])
    days = np.concatenate([each.days for each in alike])
    for place in np.unique(sources):
        yield int(place), np.unique(days[sources == place])
