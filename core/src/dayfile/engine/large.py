"""Large sources: decoded once to check all of it, and a second time, block by block, to write it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from dayfile.engine.decoding import Decoded, Decoder, Reply
from dayfile.engine.pieces import Dated, Piece
from dayfile.engine.reading import LargeSource
from dayfile.errors import HeldError, PluginError, SourceError
from dayfile.model.batch import Batch, Blocks, Rejected, Remark
from dayfile.plugins import Failure, collect_failures

__all__ = ["LargeDecoding"]


class LargeDecoding:
    """The decoding of a large source, without keeping its records.

    If a plugin fails anywhere in the source, nothing that it decoded is written.

    Parameters
    ----------
    decoder : Decoder
        The decoder of the run.
    source : LargeSource
        The source.
    beat : callable
        Called for each block, as a sign of life.

    Attributes
    ----------
    answers : list of (str, iterable or Failure)
        The answer of each plugin.
    decoded : Decoded
        The result so far; empty before :meth:`check`.
    counts : Counter of str
        How many of its records belong to each day file.

    Raises
    ------
    HeldError
        The source can no longer be read, or has changed.
    """

    def __init__(self, decoder: Decoder, source: LargeSource, beat: Callable[[], None] = lambda: None) -> None:
        self.beat = beat
        self.decoder = decoder
        self.source = source
        self.answers: list[Reply] = list(decoder.plugins.decode(source, decoder.settings, in_blocks=True))
        self.decoded = Decoded(claimed=bool(self.answers))
        self.counts: Counter[str] = Counter()
        self.days: dict[str, npt.NDArray[np.datetime64]] = {}
        self.rejected, self.flooded = 0, False
        self._refuse_trouble()

    @property
    def in_blocks(self) -> bool:
        """Whether any plugin can decode it block by block."""
        return any(isinstance(answer, Blocks) for _, answer in self.answers)

    def check(self) -> None:
        """Decode all of it, and fill ``decoded`` and ``counts``; HeldError if it can no longer be read."""
        good: list[Reply] = []
        for plugin, answer in self.answers:
            found, counts = Decoded(), Counter[str]()
            if isinstance(answer, Failure):
                found.failures.append(answer)
            else:
                self._check_answer(plugin, answer, found, counts)
            self._refuse_trouble()
            self.decoded.failures += found.failures
            self.decoded.remarks += found.remarks
            if not found.failures:
                good.append((plugin, answer))
                self.decoded.days |= found.days
                self.counts += counts
        self.answers = good
        if self.flooded:
            self.answers, self.decoded.days = [], {}
            self.counts.clear()
        self.decoded.rejected = RejectedAgain(self)

    def _check_answer(self, plugin: str, answer: Iterable[object], found: Decoded, counts: Counter[str]) -> None:
        """Go through the answer of a plugin, until something fails."""
        with collect_failures(plugin, found.failures):
            for item in answer:
                self.beat()
                if isinstance(item, Remark):
                    found.remarks.append(item)
                elif isinstance(item, Rejected):
                    self.rejected += 1
                elif isinstance(item, Batch) and len(item):
                    self._check_batch(plugin, item, found, counts)
                if found.failures:
                    return

    def _check_batch(self, plugin: str, batch: Batch, found: Decoded, counts: Counter[str]) -> None:
        """Classify, date and locate a batch, as before it is written."""
        these = Decoded()
        dated = self.decoder.date(plugin, batch, self.source, these)
        self.rejected += len(these.rejected)
        if not any(self._check_flood(each, these) for each in dated):
            for piece in self.decoder.place(dated, these):
                counts[piece.path] += len(piece.sources)
        found.failures += these.failures
        found.days |= these.days

    def _check_flood(self, dated: Dated, found: Decoded) -> bool:
        """Add the days of these records; return whether the source now makes too many new days, and so fails."""
        new_days = self.decoder.new_days
        if new_days is None:
            return False
        name, data_type = dated.data_type.name, dated.data_type
        known = self.days.get(name, dated.days[:0])
        self.days[name] = days = np.union1d(known, dated.days)
        if len(days) == len(known):
            return False
        problem = new_days.find_problem(data_type, days, self.decoder.locate)
        if problem:
            self.flooded = True
            found.failures.append(Failure(dated.plugin, problem, SourceError.__name__))
        return self.flooded

    def decode_pieces(self) -> Iterator[list[Piece]]:
        """Decode it again, block by block, and yield its records.

        Raises
        ------
        HeldError
            It can no longer be read.
        PluginError
            A plugin fails that did not fail the first time.
        """
        for plugin, item in self.decode_items():
            if isinstance(item, Batch) and len(item):
                found = Decoded()
                pieces = self.decoder.place(self.decoder.date(plugin, item, self.source, found), found)
                for failure in found.failures:
                    raise PluginError(failure.message, plugin=plugin)
                yield pieces
        self.source.part(0, 1)  # fails if the file has changed

    def decode_items(self) -> Iterator[tuple[str, Batch | Rejected | Remark]]:
        """Decode it again, and yield each item with its plugin; errors as for :meth:`decode_pieces`."""
        for plugin, answer in self.answers:
            items = iter(()) if isinstance(answer, Failure) else iter(answer)
            while True:
                try:
                    item = next(items, None)
                except (KeyboardInterrupt, HeldError, MemoryError):
                    raise
                except BaseException as error:
                    self._refuse_trouble()
                    raise PluginError(f"decode failed the second time: {error}", plugin=plugin) from error
                if item is None:
                    break
                self.beat()
                yield plugin, item

    def _refuse_trouble(self) -> None:
        """Raise a HeldError if the source could not be read: then an error of a plugin is not the plugin's fault."""
        if self.source.trouble is not None:
            raise HeldError(self.source.trouble.reason, where=self.source.path)


class RejectedAgain(Collection[Rejected]):
    """The rejected records of a large source, decoded again for each iteration, because they can be as large."""

    def __init__(self, decoding: LargeDecoding) -> None:
        self.decoding = decoding

    def __len__(self) -> int:
        return self.decoding.rejected

    def __contains__(self, item: object) -> bool:
        return any(item == each for each in self)

    def __iter__(self) -> Iterator[Rejected]:
        decoding, decoder = self.decoding, self.decoding.decoder
        if not len(self):
            return
        for plugin, item in decoding.decode_items():
            if isinstance(item, Rejected):
                yield item
            elif isinstance(item, Batch) and len(item):
                found = Decoded()
                decoder.date(plugin, item, decoding.source, found)
                yield from found.rejected
