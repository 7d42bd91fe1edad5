"""Plugins that break one rule each; the kit has to catch every one of them.

``BAD`` has, for each test of the kit, the plugins that it has to fail, and a part of what it says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rain import HEAD, RAW, Rain, write_file

from dayfile import Batch, Blocks, Remark, SourceError, hookimpl


class Untitled(Rain):
    def data_types(self, formats):
        return [replace(each, title=" ") for each in super().data_types(formats)]


class TwiceNamed(Rain):
    def data_types(self, formats):
        (level,) = super().data_types(formats)
        return [
            level,
            replace(level, type="two words", placement=replace(level.placement, path="x/{year}{month}{day}.h5")),
        ]


class OneFile(Rain):
    def locate_file(self, data_type, day):
        return "rain/all.h5"


class Wavering(Rain):
    calls = 0

    def locate_file(self, data_type, day):
        self.calls += 1
        return f"rain/{day}-{self.calls}.h5"


class Escaping(Rain):
    def locate_file(self, data_type, day):
        return f"../rain/{day}.h5"


class Unrepeatable(Rain):
    def simulate(self, day, seed, directory):
        return super().simulate(day, time.perf_counter_ns(), directory)


class Blind(Rain):
    def decode(self, source):
        return None


class Idle(Rain):
    def data_types(self, formats):
        (level,) = super().data_types(formats)
        return [level, replace(level, type="wind", code="Wind", placement=replace(level.placement, suffix="w", path="w{year}{month}{day}.h5"))]  # fmt: skip  # noqa: E501


class Rejecting(Rain):
    def read(self, source):
        for item in super().read(source):
            yield item
            if isinstance(item, Batch):
                yield self.reject("looks odd", int(item.numbers[-1]) + 1, b"?")


class Greedy(Rain):
    def decode(self, source):
        return super().decode(source) or [Remark("rain", "Level", "not mine, but taken", (0,))]


class Fragile(Rain):
    def decode(self, source):
        return super().decode(source) if source.content[40] >= 0 else None


class Forgetful(Rain):
    def make_batch(self, raw, numbers):
        return super().make_batch(raw[numbers % 10 != 3], numbers[numbers % 10 != 3])


class Renumbering(Rain):
    def make_batch(self, raw, numbers):
        kept = raw[numbers % 10 != 3]
        return super().make_batch(kept, numbers[: len(kept)])


class TwoFaced(Rain):
    def read(self, source):
        yield from super().read(source)
        yield self.reject("looks odd", 5, b"?")


class Unordered(Rain):
    def make_batch(self, raw, numbers):
        return super().make_batch(raw[::-1], numbers[::-1])


class Remembering(Rain):
    count = 0

    def make_batch(self, raw, numbers):
        self.count += 1
        batch = super().make_batch(raw, numbers)
        batch.records["level"] += self.count
        return batch


class InLocalTime(Rain):
    def make_batch(self, raw, numbers):
        batch = super().make_batch(raw, numbers)
        batch.records["second"] += np.uint32(time.localtime(0).tm_hour * 3600)
        return batch


class FromDirectory(Rain):
    def make_batch(self, raw, numbers):
        batch = super().make_batch(raw, numbers)
        batch.records["level"] += len(str(Path.cwd()))
        return batch


class Recycling(Rain):
    """Fills one array again and again."""

    def decode(self, source):
        self.room = np.zeros(1000, self.layout.types[0].dtype)
        return super().decode(source)

    def make_batch(self, raw, numbers):
        batch = super().make_batch(raw, numbers)
        self.room[: len(batch)] = batch.records
        return replace(batch, records=self.room[: len(batch)])


class AlwaysRecycling(Recycling):
    room = None

    def decode(self, source):
        self.room = np.zeros(1000, self.layout.types[0].dtype) if self.room is None else self.room
        return Rain.decode(self, source)


class Straddling(Rain):
    """Takes blocks of any length, and loses the records that are in two."""

    def read(self, source):
        first = 0
        for offset, block in source.blocks(start=len(HEAD)):
            skip = -(offset - len(HEAD)) % RAW.itemsize
            raw = np.frombuffer(block, RAW, max(0, len(block) - skip) // RAW.itemsize, min(skip, len(block)))
            yield self.make_batch(raw, np.arange(first, first + len(raw)))
            first += len(raw)


class SilentAtEnd(Rain):
    def read(self, source):
        return (item for item in super().read(source) if isinstance(item, Batch) or "cut off" not in item.reason)


class CrashingAtEnd(Rain):
    def decode(self, source):
        return None if source.part(0, 8) != HEAD else [self.make_batch(*self.split(source.content[8:]))]

    def split(self, content):
        raw = np.frombuffer(content, RAW)
        return raw, np.arange(len(raw))


class SilentlyWrong(Rain):
    def read(self, source):
        return (item for item in super().read(source) if isinstance(item, Batch))


class CrashingOnFlips(Rain):
    def reject(self, reason, number, content):
        raise ValueError(reason)


class Nowhere(Rain):
    def reject(self, reason, number, content):
        return replace(super().reject(reason, number, content), offset=10**9)


class Headless(Rain):
    def reject(self, reason, number, content):
        return replace(super().reject(reason, number, content), content=content)


class CrashingOnItsOwn(Rain):
    def decode(self, source):
        if source.name == "rest.rain":
            raise KeyError(source.name)
        return super().decode(source)


class Changing(Rain):
    @hookimpl
    def write(self, work_file, data_type, batch):
        records = np.array(batch.records)
        records["level"] *= 2
        return work_file.write(data_type, replace(batch, records=records))


class Lying(Rain):
    @hookimpl
    def write(self, work_file, data_type, batch):
        return np.zeros(len(batch), np.uint8)


class Losing(Rain):
    @hookimpl
    def write(self, work_file, data_type, batch):
        half = np.arange(len(batch)) % 2 == 0
        statuses = np.full(len(batch), 3, np.uint8)
        statuses[half] = work_file.write(data_type, batch.select(half))
        return statuses


class Numbering(Rain):
    calls = 0

    @hookimpl
    def write(self, work_file, data_type, batch):
        self.calls += 1
        records = np.array(batch.records)
        records["level"] += self.calls
        return work_file.write(data_type, replace(batch, records=records))


class Late(Rain):
    @hookimpl
    def write(self, work_file, data_type, batch):
        records = np.array(batch.records)
        records["second"] += 7200
        return work_file.write(data_type, replace(batch, records=records))


class Rounding(Rain):
    def encode(self, data_type, records):
        return "put.rain", write_file(records["second"], np.round(records["level"]))


class Unfinished(Rain):
    def encode(self, data_type, records):
        raise NotImplementedError


class Unreadable(Rain):
    def encode(self, data_type, records):
        return "put.rain", records.tobytes()


class Embellishing(Rain):
    calls = 0

    def encode(self, data_type, records):
        self.calls += 1
        return f"put-{self.calls}.rain", super().encode(data_type, records)[1]


class Classifying(Rain):
    @hookimpl
    def classify(self, batch):
        batch.records.flags.writeable = True
        batch.records["level"] = 0
        return "rain.level"


class Spending(Rain):
    def encode(self, data_type, records):
        made = super().encode(data_type, records)
        records["level"] = 0
        return made


class Overwriting(Rain):
    def decode(self, source):
        found = super().decode(source)
        if found is not None and source.path.is_file():
            source.path.write_bytes(HEAD)
        return found


class Usurping(Rain):
    @hookimpl
    def decode(self, source, data_types):
        data_types["rain.level"] = replace(data_types["rain.level"], title="mine")
        return super().decode(source)


class Caching(Rain):
    def decode(self, source):
        found = super().decode(source)
        if found is not None and source.path.parent.is_dir():
            source.path.with_suffix(".cache").write_bytes(b"x")
        return found


class Starting(Rain):
    def decode(self, source):
        found = super().decode(source)
        if found is not None:
            subprocess.run([sys.executable, "-c", ""], check=True)
        return found


class Setting(Rain):
    def decode(self, source):
        os.environ["RAIN"] = source.name[:10].replace("\0", "")
        return super().decode(source)


class Logging(Rain):
    @hookimpl
    def write(self, work_file, data_type, batch):
        path = work_file.path.parents[1] / "rain" / "log.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("written")
        return work_file.write(data_type, batch)


class ReadsNames(Rain):
    def decode(self, source):
        found = super().decode(source)
        if found is not None:
            np.datetime64(source.name.removesuffix(".rain"))
        return found


class OpensNames(Rain):
    def decode(self, source):
        found = super().decode(source)
        if found is not None and "\0" not in source.name and len(source.name) < 200:
            with open(os.devnull if "/" not in source.name else f"/nowhere{source.name}", "wb"):  # noqa: PTH123
                pass
        return found


class Whole(Rain):
    def decode(self, source):
        if source.part(0, 8) != HEAD:
            return None
        raw = np.frombuffer(source.content[8:], RAW)
        return [self.make_batch(raw, np.arange(len(raw)))]


class Refusing(Rain):
    def decode(self, source):
        if source.size > 1_000_000:
            raise SourceError("too large", where=source.name)
        return super().decode(source)


class Slow(Rain):
    def make_batch(self, raw, numbers):
        for _ in raw:
            sum(range(1500))
        return super().make_batch(raw, numbers)


class Halting(Rain):
    """Whatever is asked in blocks ends half-way."""

    def decode(self, source):
        return None if source.part(0, 8) != HEAD else Blocks(partial(self.halt, source))

    def halt(self, source):
        yield from super().read(source)
        raise RuntimeError("half-way")


BAD = {
    "types_are_well_formed": {Untitled: "has no title", TwiceNamed: "not instrument.type"},
    "each_day_has_a_day_file_below_the_archive": {
        OneFile: "the same day file, rain/all.h5",
        Wavering: "one path, and then another",
        Escaping: "which is not a path for a day file",
    },
    "the_same_day_and_seed_simulate_the_same_files": {Unrepeatable: "other bytes the second time"},
    "sources_are_recognised": {
        Blind: "decode returned None",
        Idle: "no sample has records of rain.wind",
        Rejecting: "samples have to be good",
        Halting: "RuntimeError: half-way",
    },
    "foreign_sources_are_not_claimed": {
        Greedy: "picture.png, a file of no instrument, was claimed",
        Fragile: "IndexError",
    },
    "every_record_is_archived_or_rejected": {
        Forgetful: "neither archived nor rejected: 3, 13",
        Renumbering: "second.rain has 90 records, and 81 are archived or rejected",
        TwoFaced: "record 5 of Level is in a batch and rejected",
        Unordered: "do not ascend",
    },
    "decoding_again_gives_the_same": {
        Remembering: "it differs",
        InLocalTime: "it differs",
        FromDirectory: "it differs",
        AlwaysRecycling: "do not use an array again",
    },
    "blocks_of_any_size_give_the_same": {Recycling: "do not use an array again", Straddling: "other records of Level"},
    "truncated_sources_lose_nothing_silently": {
        SilentAtEnd: "say nothing about the others",
        CrashingAtEnd: "ValueError",
    },
    "flipped_bits_lose_nothing_silently": {
        SilentlyWrong: "say nothing about the others",
        CrashingOnFlips: "raise SourceError for what cannot be read",
        Nowhere: "an offset that is not in the source",
    },
    "what_was_rejected_can_be_sent_again": {
        Headless: "is not recognised when it is sent again",
        CrashingOnItsOwn: "KeyError",
    },
    "records_come_back_as_they_were_decoded": {
        Changing: "are not those read from the archive",
        Lying: "but WorkFile.write returned: none",
        Losing: "WorkFile.write returned",
    },
    "any_order_and_repetition_gives_the_same_archive": {Numbering: "in another order, again and again"},
    "records_around_midnight_are_in_their_days": {Late: "should have"},
    "records_that_were_read_can_be_put": {Unfinished: "encode failed: NotImplementedError"},
    "encoded_records_decode_to_the_same": {
        Rounding: "which decodes to other records",
        Unreadable: "which decode does not recognise",
        Embellishing: "are encoded as other bytes",
    },
    "nothing_that_was_given_is_changed": {
        Classifying: "classify changed the records",
        Spending: "encode changed the records",
        Overwriting: "changed the file of the source",
        Usurping: "changed the mapping of data types",
    },
    "nothing_is_written_outside": {
        Caching: "opened for writing",
        Starting: "something started",
        Setting: "set the environment variable",
        Logging: "rain/log.txt was made, which is no day file",
    },
    "sources_of_any_name_are_safe": {ReadsNames: "a source named '../../", OpensNames: "FileNotFoundError"},
    "memory_is_bounded": {Whole: "return Blocks", Refusing: "too large"},
    "it_decodes_5_mb_a_second": {Slow: "work on whole arrays"},
}
