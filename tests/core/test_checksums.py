"""Checksums tell in advance what one pass over the file must give, and notice every way of losing a write."""

from __future__ import annotations

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

from dayfile.archive.survey import survey, verify
from dayfile.errors import StorageError
from dayfile.stores.checksums import hash_blobs, hash_rows, sum_hashes

rows = st.integers(1, 21).flatmap(
    lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=20)
)


def as_rows(many):
    return np.frombuffer(b"".join(many), np.dtype([("bytes", np.void, len(many[0]))]))


@given(rows, st.data())
def test_a_row_with_one_changed_byte_has_another_hash(many, data):
    array = as_rows(many)
    changed = array.copy()
    flat = changed.view(np.uint8)
    flat[data.draw(st.integers(0, len(flat) - 1))] ^= data.draw(st.integers(1, 255))
    assert (hash_rows(array) != hash_rows(changed)).sum() == 1


@given(rows)
def test_rows_have_equal_hashes_exactly_if_their_bytes_are_equal(many):
    hashes = hash_rows(as_rows(many)).tolist()
    assert [hashes.index(hash_) for hash_ in hashes] == [many.index(row) for row in many]


@given(rows, st.integers(0, 20))
def test_the_checksum_of_rows_is_that_of_the_first_plus_that_of_the_others(many, cut):
    hashes = hash_rows(as_rows(many))
    cut = min(cut, len(many))
    parts = sum_hashes(hashes[:cut], 0) + sum_hashes(hashes[cut:], cut)
    assert parts % 2**64 == sum_hashes(hashes, 0)


@given(rows, st.data())
def test_the_checksum_after_replacing_rows_is_told_without_the_others(many, data):
    before = as_rows(many)
    after = before.copy()
    places = np.array(sorted(data.draw(st.sets(st.integers(0, len(many) - 1), min_size=1))))
    after[places] = after[::-1][places]
    gone, come = sum_hashes(hash_rows(before[places]), places), sum_hashes(hash_rows(after[places]), places)
    assert (sum_hashes(hash_rows(before), 0) - gone + come) % 2**64 == sum_hashes(hash_rows(after), 0)


@given(rows, st.data())
def test_rows_in_another_order_have_another_checksum(many, data):
    other = data.draw(st.permutations(many))
    same = sum_hashes(hash_rows(as_rows(many)), 0) == sum_hashes(hash_rows(as_rows(other)), 0)
    assert same == (list(other) == many)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=8), st.data())
def test_blobs_in_another_order_or_cut_otherwise_have_another_checksum(blobs, data):
    other = data.draw(st.permutations(blobs))
    same = sum_hashes(hash_blobs(blobs), 0) == sum_hashes(hash_blobs(other), 0)
    assert same == (list(other) == blobs)
    shifted = [blobs[0] + b"\0", *blobs[1:]]
    assert sum_hashes(hash_blobs(blobs), 0) != sum_hashes(hash_blobs(shifted), 0)


def test_no_rows_have_the_checksum_0():
    assert sum_hashes(hash_rows(np.zeros(0, "V12")), 0) == sum_hashes(hash_blobs([]), 5) == 0


def test_rows_of_an_array_that_is_not_contiguous_have_the_hashes_of_their_bytes():
    array = np.arange(60, dtype=np.uint32).view([("a", "<u4"), ("b", "<u4")])
    assert hash_rows(array[::3]).tolist() == hash_rows(array[::3].copy()).tolist()


# As the program told them before: what stands in the ledgers of day files must be told again.
KNOWN_SUMS = {
    1: 0x24CA7E151F652EF6,
    3: 0x3A3F70D9C3FA9D79,
    4: 0x62F9BB9221479E25,
    7: 0x99B920DB735181E8,
    8: 0x123532CC1734C158,
    22: 0xB7A40AD437B82B4E,
    64: 0xB8BD3B1E573CEDB5,
    1001: 0x61321B3EBF150DF7,
}


@pytest.mark.parametrize("size", KNOWN_SUMS)
def test_checksums_of_rows_are_those_of_day_files_published_before(size):
    content = (np.arange(5 * size) * 7 % 251).astype(np.uint8)
    assert sum_hashes(hash_rows(content.view(f"V{size}")), 3) == KNOWN_SUMS[size]


def test_checksums_of_blobs_are_those_of_day_files_published_before():
    assert sum_hashes(hash_blobs([b"", b"a", b"trace"]), 3) == 0xA80C3DE5DFEB3518


# Real files. Each has a table of slots with an overlap, or a table and its blobs.


@pytest.fixture
def slot_file(muon, work_file):
    work = work_file(muon.day)
    rows = [{"second": muon.start + 256 * slot, "temperature": slot / 7} for slot in range(100)]
    rows += [{"second": muon.start + 256 * slot, "temperature": -1} for slot in (3, 70)]
    work.write(muon.rates, muon.batch("rates", muon.records("rates", rows)))
    work.close()
    return work


@pytest.fixture
def blob_file(school, work_file):
    work = work_file(school.day)
    work.begin()
    events = [(second, second / 3, b"x", b"trace %d" % second, b"") for second in range(20)]
    work.write(school.events, school.make_events(events, numbers=range(0, 40, 2)))
    work.write(school.errors, school.make_errors([(5, b"broken")], numbers=[7]))
    work.close()
    return work


@pytest.mark.parametrize("made", ["slot_file", "blob_file"])
def test_what_is_read_back_has_the_checksums_of_what_was_written(made, request):
    work = request.getfixturevalue(made)
    with tables.open_file(work.path) as file:
        found = {summary.path: (summary.rows, summary.checksum) for summary in survey(file)}
    assert found == work.ledger.checksums
    assert len(found) >= 2
    assert [summary.path for summary in verify(work.path, work.ledger.checksums)] == list(found)


RATES, OVERLAP = "/rates", "/rates_overlap"
EVENTS, BLOBS = "/school/station_7/events", "/school/station_7/blobs"


def change_a_byte(file, path):
    table = file.get_node(path)
    row = table.read(1, 2)
    row.view(np.uint8)[0] ^= 1
    table.modify_rows(1, 2, rows=row)


def swap_rows(file, path):
    table = file.get_node(path)
    table.modify_rows(0, 2, rows=table.read(0, 2)[::-1])


def swap_words_of_a_row(file, path):
    table = file.get_node(path)
    row = table.read(1, 2)
    words = row.view(np.uint8)[: table.rowsize // 4 * 4].view(np.uint32)
    words[[1, -1]] = words[[-1, 1]]
    table.modify_rows(1, 2, rows=row)


def lose_the_last_row(file, path):
    table = file.get_node(path)
    table.truncate(table.nrows - 1)


def lose_a_row_in_the_middle(file, path):
    file.get_node(path).remove_rows(1, 2)


def repeat_a_row(file, path):
    table = file.get_node(path)
    table.append(table.read(1, 2))


def empty_a_row(file, path):
    table = file.get_node(path)
    table.modify_rows(1, 2, rows=np.zeros(1, table.dtype))


def remove_the_node(file, path):
    file.remove_node(path)


DAMAGE = [
    change_a_byte,
    swap_rows,
    swap_words_of_a_row,
    lose_the_last_row,
    lose_a_row_in_the_middle,
    repeat_a_row,
    empty_a_row,
    remove_the_node,
]


@pytest.mark.parametrize("path", [RATES, OVERLAP, EVENTS])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_table_is_noticed_and_named(damage, path, request):
    work = request.getfixturevalue("blob_file" if path == EVENTS else "slot_file")
    with tables.open_file(work.path, "a") as file:
        damage(file, path)
    with pytest.raises(StorageError, match=rf"{path} does not hold what was written"):
        verify(work.path, work.ledger.checksums)


def change_a_blob(blobs):
    blobs[4] = b"TRACE 2"


def swap_blobs(blobs):
    blobs[0], blobs[2] = blobs[2], blobs[0]


def lose_a_blob(blobs):
    del blobs[-1]


def empty_a_blob(blobs):
    blobs[0] = b""


@pytest.mark.parametrize("damage", [change_a_blob, swap_blobs, lose_a_blob, empty_a_blob])
def test_a_damaged_blob_array_is_noticed_and_named(blob_file, damage):
    with tables.open_file(blob_file.path, "a") as file:
        blobs = file.get_node(BLOBS).read()
        damage(blobs)
        file.remove_node(BLOBS)
        array = file.create_vlarray("/school/station_7", "blobs", tables.VLStringAtom())
        for blob in blobs:
            array.append(blob)
    with pytest.raises(StorageError, match=rf"{BLOBS} does not hold what was written"):
        verify(blob_file.path, blob_file.ledger.checksums)


def test_a_file_rewritten_without_damage_passes(blob_file):
    with tables.open_file(blob_file.path, "a") as file:
        table = file.get_node(EVENTS)
        table.modify_rows(0, table.nrows, rows=table.read())
    verify(blob_file.path, blob_file.ledger.checksums)


def test_a_ledger_that_was_not_written_is_noticed(slot_file):
    with tables.open_file(slot_file.path, "a") as file:
        table = file.get_node("/dayfile_ledger/checksums")
        row = table.read(0, 1)
        row["checksum"] += 1
        table.modify_rows(0, 1, rows=row)
    with pytest.raises(StorageError, match="does not hold what was written"):
        verify(slot_file.path, slot_file.ledger.checksums)


@pytest.mark.parametrize("keep", [0, 100, 3000, -1])
def test_a_file_that_was_cut_cannot_be_read_back(slot_file, keep):
    content = slot_file.path.read_bytes()
    slot_file.path.write_bytes(content[:keep])
    with pytest.raises(StorageError, match="cannot be read back"):
        verify(slot_file.path, slot_file.ledger.checksums)


def test_a_file_that_is_gone_cannot_be_read_back(tmp_path):
    with pytest.raises(StorageError, match="cannot be read back"):
        verify(tmp_path / "gone.h5", {})
