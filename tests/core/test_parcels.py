"""Parcels, the core's own format of sources: any records come back, and any damage is one clear error."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archives import open_quarantine
from dayfile import Batch, Source, create_archive
from dayfile.errors import SourceError
from dayfile.formats.parcels import decode_parcel, is_parcel, write_records


@pytest.fixture
def opened(school, tmp_path):
    return create_archive(tmp_path / "archive", plugins={"school": school.instrument})


def parcel(school, rows, station=5):
    """A parcel of events, and its batch."""
    batch = school.make_events(rows, station=station)
    return Source(None, *write_records(school.events, batch.records, batch.keys, batch.blobs)), batch


def test_the_same_records_give_the_same_bytes(school):
    assert parcel(school, [(1, 1.0, b"a", b"x")])[0].sha256 == parcel(school, [(1, 1.0, b"a", b"x")])[0].sha256


BYTES = st.none() | st.binary(max_size=20)
ROW = st.tuples(st.integers(0, 80000), st.floats(width=32), st.binary(max_size=4), BYTES, BYTES)


@given(
    rows=st.lists(ROW, max_size=12), station=st.integers(-(2**63), 2**63 - 1) | st.sampled_from(["roof", "a b", "é"])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_records_come_back_from_a_parcel(school, rows, station):
    source, batch = parcel(school, rows, station)
    assert is_parcel(source)
    (found,) = decode_parcel(source, {"school.events": school.events})
    assert isinstance(found, Batch)
    assert (found.records.tobytes(), dict(found.keys)) == (batch.records.tobytes(), {"station": station})
    assert list(found.blobs.values) == list(batch.blobs.values)
    assert found.blobs.owners.tolist() == batch.blobs.owners.tolist()


@given(rows=st.lists(ROW, min_size=1, max_size=3), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_a_parcel_is_one_clear_error(school, rows, data):
    source, _ = parcel(school, rows)
    content = source.content
    place = data.draw(st.integers(0, len(content) - 1))
    kinds = [content[:place], content + b"\0", content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]]
    damaged = Source(None, source.name, data.draw(st.sampled_from(kinds)))
    if not is_parcel(damaged):
        return
    with pytest.raises(SourceError, match=r"school\.events\.parcel: this parcel is truncated or damaged"):
        decode_parcel(damaged, {"school.events": school.events})


FORGED = [
    b"[]", b"{}", b'{"size":1e400}', b'{"size":0,"kind":"records","type":"school.events"}',
    b'{"size":0,"type":"school.events","fields":[["a","O",[]]],"keys":{},"records":0,"blobs":0}',
    b'{"size":0,"type":"school.events","fields":[["a","(1",[]]],"keys":{},"records":0,"blobs":0}',
    b'{"size":0.0,"kind":"source","name":"a","keys":{}}',
    b'{"size":0,"type":"school.events","fields":[["timestamp","<i4",[-1]]],"keys":{},"records":-1,"blobs":0}',
]  # fmt: skip


@pytest.mark.parametrize("head", FORGED)
def test_a_forged_parcel_goes_to_quarantine(opened, head):
    content = b"\x89dayfile 1\r\n" + len(head).to_bytes(4, "little") + head
    content += zlib.crc32(content).to_bytes(4, "little")
    report = opened.ingest(("forged", content))
    assert (report.sources["quarantined"], report.exit_code) == (1, 3)
    assert "failed" not in report.quarantine[0].reason
    assert open_quarantine(opened.root).find("forged", content)


def test_a_parcel_of_a_type_that_no_plugin_of_the_run_has_is_not_recognised(opened, school, muon):
    source, _ = parcel(school, [(1, 1.0, b"a", b"x")])
    report = opened.ingest((source.name, source.content), plugins={"muon": muon.instrument})
    assert "no plugin of this run recognises it" in report.quarantine[0].reason
    assert opened.ingest((source.name, source.content)).records["school.events"]["written"] == 1


def test_a_large_parcel_is_decoded_in_blocks(opened, school):
    """More than one block, each with its own blobs."""
    number, size = 40, 2**20
    rows = [(second, 1.0, b"a", bytes([second]) * size, b"%d" % second) for second in range(number)]
    source, _ = parcel(school, rows)
    assert opened.ingest((source.name, source.content)).records["school.events"]["written"] == number
    found = opened.read("school.events").all_blobs("traces")
    assert [each[:1] + label for each, label in found.tolist()] == [b"%c%d" % (n, n) for n in range(number)]
