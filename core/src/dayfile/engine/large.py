"""Large sources: decoded once to see that all of it can be archived, and again, block by block, to write it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from dayfile.engine.decoding import Answer, Decoded, Decoder
from dayfile.engine.pieces import Dated, Piece
from dayfile.engine.reading import LargeSource
from dayfile.errors import HeldError, PluginError, SourceError
from dayfile.model.batch import Batch, Blocks, Rejected, Remark
from dayfile.plugins import Failure, collect_failures

__all__ = ["LargeDecoding"]


class LargeDecoding:
    """A large source, and what plugins make of it; its records are not kept.

    A plugin that fails anywhere in it loses all that it has decoded of it, so that nothing of that is written.

    Parameters
    ----------
    decoder : Decoder
        Who decodes.
    source : LargeSource
        The source.

    Attributes
    ----------
    answers : list of (str, iterable or Failure)
        What each plugin answered.
    decoded : Decoded
        What became of it so far; empty before :meth:`check`.
    counts : Counter of str
        How many of its records belong to each day file.

    Raises
    ------
    HeldError
        It cannot be read any more, or is not what it was.
    """

    def __init__(self, decoder: Decoder, source: LargeSource) -> None:
        self.decoder = decoder
        self.source = source
        self.answers: list[Answer] = list(decoder.plugins.decode(source, decoder.settings.plugins, in_blocks=True))
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
        """Decode all of it, and see what is to become of it; HeldError if it cannot be read any more."""
        good: list[Answer] = []
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
        """Decode what a plugin made of it, until something of it fails."""
        with collect_failures(plugin, found.failures):
            for item in answer:
                if isinstance(item, Remark):
                    found.remarks.append(item)
                elif isinstance(item, Rejected):
                    self.rejected += 1
                elif isinstance(item, Batch) and len(item):
                    self._check_batch(plugin, item, found, counts)
                if found.failures:
                    return

    def _check_batch(self, plugin: str, batch: Batch, found: Decoded, counts: Counter[str]) -> None:
        """Do with a batch all that is done before it is written."""
        these = Decoded()
        dated = self.decoder.date(plugin, batch, self.source, these)
        self.rejected += len(these.rejected)
        if not any(self._floods(each, these) for each in dated):
            for piece in self.decoder.place(dated, these):
                counts[piece.path] += len(piece.sources)
        found.failures += these.failures
        found.days |= these.days

    def _floods(self, dated: Dated, found: Decoded) -> bool:
        """Whether the source would make too many new days with these; that is a failure of all of it."""
        new_days = self.decoder.new_days
        if new_days is None:
            return False
        name, data_type = dated.data_type.name, dated.data_type
        known = self.days.get(name, dated.days[:0])
        self.days[name] = days = np.union1d(known, dated.days)
        if len(days) == len(known):
            return False
        problem = new_days.problem(data_type, days, self.decoder.locate)
        if problem:
            self.flooded = True
            found.failures.append(Failure(dated.plugin, problem, SourceError.__name__))
        return self.flooded

    def pieces(self) -> Iterator[list[Piece]]:
        """Its records, decoded again, block by block.

        Raises
        ------
        HeldError
            It cannot be read any more.
        PluginError
            A plugin fails that did not fail before.
        """
        for plugin, item in self.items():
            if isinstance(item, Batch) and len(item):
                found = Decoded()
                pieces = self.decoder.place(self.decoder.date(plugin, item, self.source, found), found)
                for failure in found.failures:
                    raise PluginError(failure.message, plugin=plugin)
                yield pieces
        self.source.part(0, 1)  # which looks at the file once more

    def items(self) -> Iterator[tuple[str, Batch | Rejected | Remark]]:
        """What the plugins make of it, once more, each item with its plugin; errors as of :meth:`pieces`."""
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
                yield plugin, item

    def _refuse_trouble(self) -> None:
        """Refuse a source that could not be read: what a plugin made of that is not its fault."""
        if self.source.trouble is not None:
            raise HeldError(self.source.trouble.reason, where=self.source.path)


class RejectedAgain(Collection[Rejected]):
    """What is rejected of a large source: decoded again whenever it is asked for, as it can be as large."""

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
        for plugin, item in decoding.items():
            if isinstance(item, Rejected):
                yield item
            elif isinstance(item, Batch) and len(item):
                found = Decoded()
                decoder.date(plugin, item, decoding.source, found)
                yield from found.rejected
