"""The rules as tests of pytest: a class that the author of a plugin inherits from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dayfile.configuration import choose_plugins
from dayfile.errors import DayfileError
from dayfile.model.batch import Source
from dayfile.plugins import Plugins
from dayfile.testing.conformance import archiving, damage, declarations, effort, manners, sources
from dayfile.testing.conformance.subject import InapplicableError, Subject, write_samples

__all__ = ["PluginContract"]

Rule = Callable[[Subject], Iterator[str]]
SUBJECTS: dict[type, Subject] = {}
"""The subject of each test class, loaded once."""


class PluginContract:
    """What every plugin keeps to, as tests: inherit from it in a class whose name begins with ``Test``.

    Attributes
    ----------
    plugin : str, or mapping of str to object
        Name of the installed plugin, or the plugin object by its name.
    beside : sequence of str, or mapping of str to object
        Other plugins that it needs, such as those that it extends.
    settings : mapping of str to object
        Settings by dotted name, such as ``{"muon.gain": 3}``.
    sources : iterable of str, Path or (str, bytes)
        Good sources: files and directories, or names and contents. If empty, :meth:`make_sources` makes them.
    day : str
        The day that ``simulate`` is asked for, if there are no other sources.
    data_types : sequence of str
        Names of the data types of which the sources have records; if empty, all that the plugin declares.
    counts : mapping of str to int
        How many records sources have, by their names. Without it, the numbers of the records must have no gaps, as they
        have where a format leaves out frames of other kinds.
    damaged_copies : int
        How many damaged copies of sources are decoded, of each kind of damage.
    large_bytes, memory_bytes : int
        Size of the large source that :meth:`grow` makes, and by how much the process may grow while it is decoded.
    not_large_because : str
        Why no source of the plugin can be large, if :meth:`grow` cannot make one.
    slow_because : str
        Why the plugin decodes less than 5 MB of input a second, if it does.

    Examples
    --------
    >>> class TestMuon(PluginContract):
    ...     plugin = "muon"
    ...     sources = ("tests/MuonCounts.le.bin",)
    ...     def grow(self, source):
    ...         return itertools.repeat(source.content)
    """

    plugin: ClassVar[str | Mapping[str, object]] = ""
    beside: ClassVar[Sequence[str] | Mapping[str, object]] = ()
    settings: ClassVar[Mapping[str, object]] = {}
    sources: ClassVar[Iterable[str | Path | tuple[str, bytes]]] = ()
    day: ClassVar[str] = "2024-05-01"
    data_types: ClassVar[Sequence[str]] = ()
    counts: ClassVar[Mapping[str, int]] = {}
    damaged_copies: ClassVar[int] = 60
    large_bytes: ClassVar[int] = 1000 * effort.MB
    memory_bytes: ClassVar[int] = 300 * effort.MB
    not_large_because: ClassVar[str] = ""
    slow_because: ClassVar[str] = ""

    def make_sources(self, plugins: Plugins, directory: Path) -> Iterable[str | Path | tuple[str, bytes]]:
        """Make good sources, as paths or names and contents; by default, those of the hook ``simulate``.

        Parameters
        ----------
        plugins : Plugins
            The plugins under test.
        directory : Path
            An empty directory to write files into.
        """
        return plugins.simulate(self._get_name(), np.datetime64(self.day), 1, directory)

    def grow(self, source: Source) -> Iterable[bytes] | None:  # noqa: ARG002 - for those that override it
        """Return a large source like a sample, in parts; it ends after the part with which it is large enough.

        Parameters
        ----------
        source : Source
            A sample; the samples come one after the other.

        Returns
        -------
        iterable of bytes, or None
            Such as ``itertools.repeat(source.content)`` for a format without a head. None if it cannot grow.
        """
        return None

    def _get_name(self) -> str:
        """Return the name of the plugin."""
        if isinstance(self.plugin, str):
            return self.plugin
        (name,) = self.plugin
        return name

    @pytest.fixture
    def subject(self, tmp_path_factory: pytest.TempPathFactory) -> Subject:
        """Load the plugin and its samples, once for all tests of a class."""
        if type(self) not in SUBJECTS:
            SUBJECTS[type(self)] = self.load_subject(tmp_path_factory.mktemp("contract"))
        return SUBJECTS[type(self)]

    def load_subject(self, directory: Path) -> Subject:
        """Load the plugin and its samples into an empty directory; the test fails if that is not possible."""
        if not self.plugin:
            pytest.fail("give the name of the plugin: plugin = 'muon', or {'muon': plugin}", pytrace=False)
        try:
            plugins = load_tested(self.plugin, self.beside)
            if plugins.failures:
                report([failure.message for failure in plugins.failures])
            made = directory / "made"
            made.mkdir()
            samples = write_samples(self.sources or self.make_sources(plugins, made), directory / "samples")
        except DayfileError as error:
            pytest.fail(str(error), pytrace=False)
        return Subject(
            plugins,
            self._get_name(),
            samples,
            directory,
            self.settings,
            self.data_types,
            self.counts,
            self.damaged_copies,
        )

    def test_types_are_well_formed(self, subject: Subject) -> None:
        """The plugin loads, and its data types are well formed."""
        keep(declarations.find_type_problems, subject)

    def test_each_day_has_a_day_file_below_the_archive(self, subject: Subject) -> None:
        """Paths are safe, and differ from day to day."""
        keep(declarations.find_unsafe_paths, subject)

    def test_the_same_day_and_seed_simulate_the_same_files(self, subject: Subject) -> None:
        """The hook ``simulate`` repeats itself, if the plugin has it."""
        keep(declarations.find_simulation_problems, subject)

    def test_sources_are_recognised(self, subject: Subject) -> None:
        """Each sample is decoded; together they have records of all types."""
        keep(sources.find_unrecognised_samples, subject)

    def test_foreign_sources_are_not_claimed(self, subject: Subject) -> None:
        """Files of no instrument are left alone."""
        keep(sources.find_claimed_foreign_sources, subject)

    def test_every_record_is_archived_or_rejected(self, subject: Subject) -> None:
        """The numbers of records have no gaps, and none is in two places."""
        keep(sources.find_unaccounted_records, subject)

    def test_decoding_again_gives_the_same(self, subject: Subject) -> None:
        """Nothing depends on other sources, the directory or the time zone."""
        keep(sources.find_repetition_problems, subject)

    def test_blocks_of_any_size_give_the_same(self, subject: Subject) -> None:
        """A source in blocks gives the records that it gives as a whole."""
        keep(sources.find_block_problems, subject)

    def test_truncated_sources_lose_nothing_silently(self, subject: Subject) -> None:
        """A truncated source is refused, or its last record rejected."""
        keep(damage.find_truncation_problems, subject)

    def test_flipped_bits_lose_nothing_silently(self, subject: Subject) -> None:
        """A source with a flipped bit is refused, or its records are archived and rejected."""
        keep(damage.find_flip_problems, subject)

    def test_what_was_rejected_can_be_sent_again(self, subject: Subject) -> None:
        """What is in quarantine can be sent through again."""
        keep(damage.find_resend_problems, subject)

    def test_records_come_back_as_they_were_decoded(self, subject: Subject) -> None:
        """What is read from an archive is what was decoded."""
        keep(archiving.find_reading_problems, subject)

    def test_any_order_and_repetition_gives_the_same_archive(self, subject: Subject) -> None:
        """The order of sources, and how often they come, does not matter."""
        keep(archiving.find_order_problems, subject)

    def test_records_around_midnight_are_in_their_days(self, subject: Subject) -> None:
        """Each record is in the day file of its day."""
        keep(archiving.find_midnight_problems, subject)

    def test_records_that_were_read_can_be_put(self, subject: Subject) -> None:
        """Records can be put into another archive."""
        keep(archiving.find_put_problems, subject)

    def test_encoded_records_decode_to_the_same(self, subject: Subject) -> None:
        """The hooks ``encode`` and ``decode`` are each other's inverse, if the plugin encodes."""
        keep(archiving.find_encoding_problems, subject)

    def test_nothing_that_was_given_is_changed(self, subject: Subject) -> None:
        """No hook changes its arguments."""
        keep(manners.find_changed_arguments, subject)

    def test_nothing_is_written_outside(self, subject: Subject) -> None:
        """No hook writes, connects or starts anything."""
        keep(manners.find_outside_writes, subject)

    def test_sources_of_any_name_are_safe(self, subject: Subject) -> None:
        """The name of a source leads nowhere."""
        keep(manners.find_name_problems, subject)

    def test_memory_is_bounded(self, subject: Subject) -> None:
        """A source of 1 GB takes at most 300 MB of memory."""
        if self.not_large_because:
            pytest.skip(self.not_large_because)
        try:
            problems = [*effort.find_memory_problems(subject, self.grow, self.large_bytes, self.memory_bytes)]
        except InapplicableError:
            problems = ["override grow, or say in not_large_because why no source of this plugin can be large"]
        report(problems)

    def test_it_decodes_5_mb_a_second(
        self, subject: Subject, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The speed is measured and reported; a plugin that is slower says why."""
        speed = effort.measure_speed(subject, self.grow)
        record_property("MB a second", round(speed, 1))
        with capsys.disabled():
            print(f" [{subject.name}: {speed:.1f} MB a second] ", end="")  # noqa: T201 - reported, whatever comes of it
        problems = list(effort.find_speed_problems(speed))
        if problems and self.slow_because:
            pytest.skip(self.slow_because)
        report(problems)


def load_tested(plugin: str | Mapping[str, object], beside: Sequence[str] | Mapping[str, object]) -> Plugins:
    """Load the plugin under test with those beside it; UsageError if one is not installed."""
    if isinstance(plugin, str) and not isinstance(beside, Mapping):
        return choose_plugins([*beside, plugin])
    if isinstance(plugin, Mapping) and isinstance(beside, Mapping):
        both: dict[str, object] = {**beside, **plugin}
        return choose_plugins(both)
    if isinstance(plugin, Mapping) and not beside:
        return choose_plugins(plugin)
    pytest.fail("give plugin and beside in one form: both as names, or both as objects by name", pytrace=False)


def keep(rule: Rule, subject: Subject) -> None:
    """Fail the test with all problems that a rule finds; skip it if the rule does not apply."""
    problems = []
    try:
        problems += list(rule(subject))
    except InapplicableError as error:
        pytest.skip(str(error))
    except DayfileError as error:
        problems.append(str(error))
    report(problems)


def report(problems: Sequence[str]) -> None:
    """Fail the test if there are problems."""
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
