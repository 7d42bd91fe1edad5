"""The receiver: the answer to every upload, and that what is answered 100 is on disk."""

# ruff: noqa: S106 - passwords of no station

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import logging
import pickle
import threading
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archives import configure, list_entries, list_waiting, run_with, watch_steps
from dayfile import create_archive, open_archive
from dayfile.errors import SettingsError, StorageError
from dayfile_hisparc.pickles import read_upload, write_upload
from dayfile_hisparc.receiver import Answer, Receiver, make_queue_file, parse_form, unquote
from dayfile_hisparc.server import receive
from dayfile_hisparc.stations import Station, StationList, hash_password, parse_list, replace_list

STATION = Station(501, "Amsterdam", "secret")
MOMENT = dt.datetime(2024, 5, 1, 12, 0, 3)


def error(text: object, moment: object = MOMENT) -> dict[str, object]:
    """An event: an error message, the shortest there is."""
    header = {"eventtype_uploadcode": "ERR", "datetime": moment, "nanoseconds": 0}
    return {"header": header, "datalist": [{"data_uploadcode": "ERRMSG", "data": text}]}


EVENTS = [error("GPS: no satellites in view"), error("Öresund, 5 µs", dt.datetime(2024, 5, 1, 23, 59, 59))]
TRACE = "eJxtkFkOAyEMQy/kD7KH+1+sBmZppUoZCI+MQ6wT+kT/5vfRxopD3rzeygMvfojBFTkhllA3WDVC+/0="


class Form(dict):
    """The four fields of an upload; ``but`` changes some, ``body`` is what is posted."""

    def __init__(self, payload: bytes | None = None, **fields: object) -> None:
        payload = pickle.dumps(EVENTS) if payload is None else payload
        checksum = hashlib.md5(payload, usedforsecurity=False).hexdigest()
        given = {"station_id": 501, "password": "secret", "data": payload.decode("latin-1"), "checksum": checksum}
        super().__init__({**given, **fields})

    @property
    def body(self) -> bytes:
        return urllib.parse.urlencode(self).encode()


@pytest.fixture
def root(tmp_path):
    return create_archive(tmp_path / "archive").root


@pytest.fixture
def stations(tmp_path) -> Path:
    path = tmp_path / "stations.csv"
    path.write_text("501,Amsterdam,secret\n502,Science Park,a&b=c+d%41 é\n", encoding="utf-8")
    return path


@pytest.fixture
def receiver(root, stations) -> Receiver:
    return Receiver(root, StationList(stations))


def queued(root) -> list[Path]:
    return sorted(root.incoming.iterdir())


# ---- Answers


def test_an_upload_of_a_station_is_stored_as_the_queue_file_of_its_cluster(receiver, root):
    assert receiver.answer(Form().body) is Answer.STORED
    (path,) = queued(root)
    assert pickle.loads(path.read_bytes()) == {"station_id": 501, "cluster": "Amsterdam", "event_list": EVENTS}


def test_answers_are_three_digits_without_a_line_end():
    assert [answer.body for answer in Answer] == [b"400", b"206", b"203", b"201", b"208", b"100", b"500"]


WRONG = {"checksum": "0" * 32, "password": "Secret", "station_id": "999", "data": ""}
JUNK = b"aaaaa"


def test_checks_come_in_the_order_of_the_protocol(receiver, root):
    """Each upload has every fault that is looked for later."""
    faults = [dict(list(WRONG.items())[:count]) for count in range(len(WRONG) + 1)]
    answers = [receiver.answer(Form(JUNK, **fields).body).value for fields in faults]
    assert answers == [208, 201, 203, 206, 400]
    assert queued(root) == []


@pytest.mark.parametrize("name", ["station_id", "password", "data", "checksum"])
def test_a_field_that_is_missing_or_empty_is_answered_400(receiver, name):
    form = Form()
    without = {key: value for key, value in form.items() if key != name}
    assert receiver.answer(urllib.parse.urlencode(without).encode()) is Answer.MISSING
    assert receiver.answer(Form(**{name: ""}).body) is Answer.MISSING
    assert receiver.answer(form.body.replace(f"{name}=".encode(), name.encode())) is Answer.MISSING


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"&", b"=", b"&&==&", b"\0", b"\xff\xfe", b"GET / HTTP/1.1\r\n\r\n", b"[]", b"%", b"a=%"),
        b'--x\r\nContent-Disposition: form-data; name="station_id"\r\n\r\n501\r\n--x--\r\n',
    ],
)
def test_a_body_that_is_no_such_form_is_answered_400(receiver, body):
    assert receiver.answer(body) is Answer.MISSING


@pytest.mark.parametrize(
    "number", ["x", "50 1", "501.0", "0x1f5", "501\0", "-", " ", "9" * 5000, "\uff15\uff10\uff11x"]
)
def test_a_station_number_that_is_no_integer_is_answered_400(receiver, number):
    assert receiver.answer(Form(station_id=number).body) is Answer.MISSING


@pytest.mark.parametrize("number", ["503", "-501", "0", "9" * 100])
def test_a_station_that_is_not_listed_is_answered_206(receiver, number):
    assert receiver.answer(Form(station_id=number).body) is Answer.UNKNOWN_STATION


@pytest.mark.parametrize("number", [" 501 ", "0501"])
def test_blanks_around_a_station_number_pass(receiver, number):
    assert receiver.answer(Form(station_id=number).body) is Answer.STORED


@pytest.mark.parametrize("password", ["Secret", "secret ", " secret", "secre", "secret\0", "geheim", "é"])
def test_another_password_is_answered_203(receiver, password):
    assert receiver.answer(Form(password=password).body) is Answer.WRONG_PASSWORD


@pytest.mark.parametrize("checksum", ["x", "0" * 32, str(Form()["checksum"]).upper(), "é"])
def test_another_checksum_is_answered_201(receiver, checksum):
    assert receiver.answer(Form(checksum=checksum).body) is Answer.WRONG_CHECKSUM


NO_LISTS = [
    *(JUNK, b"\0", b".", b"\x80\x04.", pickle.dumps(EVENTS)[:-1], pickle.dumps(EVENTS)[:40]),
    *map(pickle.dumps, ["text", 5, None, {}, {"events": []}, b"bytes"]),
    write_upload(501, "Amsterdam", []),
    write_upload(777, "Aarhus", EVENTS),
    pickle.dumps(EVENTS) + b"\n",
    b"cno.such.module\nname\n.",
]


@pytest.mark.parametrize("payload", NO_LISTS, ids=range(len(NO_LISTS)))
def test_what_is_no_pickled_list_of_events_is_answered_208_and_kept_once(receiver, root, payload):
    for _ in range(3):
        assert receiver.answer(Form(payload).body) is Answer.UNREADABLE
    assert queued(root) == []
    (entry,) = list_entries(root)
    assert entry.content.read_bytes() == payload
    assert entry.reason["source"] == "upload of station 501"


def test_a_character_that_is_no_byte_is_answered_208_and_kept_once(receiver, root):
    for _ in range(3):
        assert receiver.answer(Form(data="(lp0\nV€\na.").body) is Answer.UNREADABLE
    (entry,) = list_entries(root)
    assert entry.content.read_bytes() == "(lp0\nV€\na.".encode()


@pytest.mark.parametrize("name", ["station_id", "password", "data"])
def test_bytes_that_are_no_utf_8_are_answered_400(receiver, root, name):
    body = Form(**{name: "@@"}).body.replace(b"%40%40", b"%FF%C3")
    assert receiver.answer(body) is Answer.MISSING
    assert queued(root) == []


def test_a_binary_pickle_that_is_percent_encoded_byte_by_byte_is_answered_400(receiver):
    payload = pickle.dumps(EVENTS, 2)
    body = Form(payload, data="@@").body.replace(b"%40%40", urllib.parse.quote(payload).encode())
    assert receiver.answer(body) is Answer.MISSING


# ---- Forms


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_arrives_as_it_was_whatever_bytes_are_in_it(receiver, root, protocol):
    events = [error("".join(map(chr, range(256))) + "+%41&=;\r\n€"), error(TRACE)]
    assert receiver.answer(Form(pickle.dumps(events, protocol)).body) is Answer.STORED
    assert read_upload(queued(root)[0].read_bytes(), where="").events == events


def test_a_body_may_hold_line_feeds(receiver, root):
    """A client that does not encode what a form allows: a text pickle has a line for every opcode."""
    payload = pickle.dumps([error("x")], 0)
    text = payload.decode("latin-1").encode().replace(b"%", b"%25").replace(b"+", b"%2B")
    body = Form(payload, data="@@").body.replace(b"%40%40", text)
    assert body.count(b"\n") > 10
    assert receiver.answer(body) is Answer.STORED
    assert read_upload(queued(root)[0].read_bytes(), where="").events == [error("x")]


def test_of_a_field_given_twice_the_first_counts(receiver):
    assert receiver.answer(Form().body + b"&password=x&station_id=999&data=x&checksum=x") is Answer.STORED
    assert receiver.answer(b"password=x&" + Form().body) is Answer.WRONG_PASSWORD
    assert receiver.answer(b"password=&" + Form().body) is Answer.STORED


def test_fields_nobody_asked_for_are_ignored(receiver):
    assert receiver.answer(b"a=1&&b&=2&" + Form().body + b"&c=%00&d") is Answer.STORED


ESCAPES = [b"%41", b"%2B", b"%00", b"%0A", b"%3d", b"%25", b"%ff"]
WELL_ENCODED = st.lists(st.sampled_from([*ESCAPES, b"a", b"0", b"+", b"_", b" "])).map(b"".join)
ENCODED = st.lists(st.sampled_from([*(bytes([byte]) for byte in b"%+0aAfFg=\r\n\xff"), *ESCAPES])).map(b"".join)


@given(st.binary() | ENCODED | WELL_ENCODED)
@example(b"%\n")  # a line that goes on, in quoted-printable
@example(b"%%%41%")
@example(b"%4\r1%41")
@example(b"=41%x")
def test_percent_encoding_is_undone_as_python_does_it(text):
    assert unquote(text) == urllib.parse.unquote_to_bytes(text.replace(b"+", b" "))


@given(st.binary())
def test_what_urlencode_makes_of_any_bytes_is_had_back(content):
    assert unquote(urllib.parse.quote_plus(content).encode()) == content


@given(st.text("ab=&+%41\n "))
def test_fields_are_those_that_python_finds(text):
    found: dict[str, str] = {}
    for name, value in urllib.parse.parse_qsl(text, encoding="latin-1"):
        found.setdefault(name, value)
    assert {
        name.decode("latin-1"): value.decode("latin-1") for name, value in parse_form(text.encode()).items()
    } == found


# ---- What is stored


def datastore_queue_file(station: int, cluster: str, payload: bytes) -> bytes:
    """What the receiver of the datastore wrote: the events read, and pickled again with two more keys."""
    return pickle.dumps({"station_id": station, "cluster": cluster, "event_list": pickle.loads(payload)})


@pytest.mark.parametrize("as_tuple", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 200])
@pytest.mark.parametrize("protocol", range(6))
def test_a_queue_file_holds_what_the_datastore_wrote(protocol, count, as_tuple):
    events = [error(f"{number} {TRACE}") for number in range(count)]
    payload = pickle.dumps(tuple(events) if as_tuple else events, protocol)
    made = make_queue_file(Station(2**31 - 1, "Science Park ü", "x"), payload)
    expected = pickle.loads(datastore_queue_file(2**31 - 1, "Science Park ü", payload))
    assert pickle.loads(made) == expected
    assert pickle._loads(made) == expected  # Python's own unpickler counts the bytes of frames
    assert read_upload(made, where="").events == events


# What Python 2 sends: byte strings, of which those of the datetime are no text.
PYTHON_2 = rb"""(lp1
(dp2
S'header'
p3
(dp4
S'eventtype_uploadcode'
p5
S'ERR'
p6
sS'datetime'
p7
cdatetime
datetime
p8
(S'\x07\xe8\x05\x01\x0c\x00\x03\x00\x00\x00'
p9
tRp10
sS'nanoseconds'
p11
I0
ssS'datalist'
p12
(lp13
(dp14
S'data_uploadcode'
p15
S'ERRMSG'
p16
sS'data'
p17
S'\xc3\x96resund'
p18
sasa."""


def test_a_queue_file_of_python_2_holds_the_same_events(receiver, root):
    assert receiver.answer(Form(PYTHON_2).body) is Answer.STORED
    upload = read_upload(queued(root)[0].read_bytes(), where="")
    assert (upload.station, upload.cluster, upload.events) == (501, "Amsterdam", [error("Öresund")])


@pytest.mark.parametrize("empty", [[], ()])
def test_no_events_are_an_upload(receiver, root, empty):
    assert receiver.answer(Form(pickle.dumps(empty)).body) is Answer.STORED
    assert read_upload(queued(root)[0].read_bytes(), where="").events == []


@pytest.mark.parametrize(
    "behind",
    [
        b"X\n\0\0\0station_idM\x09\x03X\n\0\0\0event_list",
        b"X\7\0\0\0clusterX\6\0\0\0AarhusX\n\0\0\0event_list",
        b"X\1\0\0\0xNX\1\0\0\0y",
        b"N",
    ],
    ids=["station", "cluster", "keys", "odd"],
)
def test_a_pickle_that_leaves_more_than_its_list_cannot_speak_for_another_station(receiver, root, behind):
    """Read alone it is the list on top; set between other opcodes, what lies below would be keys of the queue file."""
    payload = b"]" + behind + b"]."
    assert pickle.loads(payload) == []
    assert receiver.answer(Form(payload).body) is Answer.UNREADABLE
    assert queued(root) == []


def nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("payload", [pickle.dumps(nested(15), 2), b"]" + b"]a" * 299_999 + b"."], ids=["deep", "many"])
def test_what_is_answered_100_can_be_read_by_a_run(receiver, root, payload):
    """The queue file is one level deeper, and a dict more, than what the station sent."""
    answer = receiver.answer(Form(payload).body)
    for path in queued(root):
        read_upload(path.read_bytes(), where="")
    assert answer is (Answer.STORED if queued(root) else Answer.UNREADABLE)


def archived(root, stations: Path):
    """Archive what lies in incoming/."""
    return run_with(*configure(root.path, "watch.settle=0", plugins="hisparc"))


def test_old_and_dateless_events_are_answered_100_and_kept_by_the_run_that_archives_the_others(
    receiver, root, stations
):
    bad = [error("a", dt.datetime(2019, 4, 6)), error("b", dt.datetime(1900, 1, 1)), error("c", None), "no event", {}]
    assert receiver.answer(Form(pickle.dumps([EVENTS[0], *bad, EVENTS[1]])).body) is Answer.STORED
    assert receiver.answer(Form(pickle.dumps(bad)).body) is Answer.STORED
    archived(root, stations)
    assert len(open_archive(root.path).read("hisparc.errors")) == 2
    kept = [entry.content.read_bytes() for entry in list_entries(root)]
    events = [event for content in kept for event in read_upload(content, where="").events]
    assert all(event in events for event in bad)
    assert all(event not in events for event in EVENTS)
    assert list_waiting(root.incoming) == list_waiting(root.accepted) == []


def test_numpy_values_of_pysparc_are_archived(receiver, root, stations):
    header = {"eventtype_uploadcode": "CIC", "datetime": MOMENT, "nanoseconds": np.int64(7)}
    values = {"PH1": np.uint16(64537), "IN1": np.uint32(4294966297), "RED": np.bool_(True), "TR1": TRACE}
    event = {"header": header, "datalist": [{"data_uploadcode": code, "data": values[code]} for code in values]}
    for protocol in (2, 4):
        assert receiver.answer(Form(pickle.dumps([event], protocol)).body) is Answer.STORED
    archived(root, stations)
    (record,) = open_archive(root.path).read("hisparc.events", station=501).array
    assert (record["pulseheights"][0], record["integrals"][0], record["nanoseconds"]) == (-999, -999, 7)


# ---- Hostile pickles


class Attack:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_names_os_system_is_refused_and_kept_once_and_never_run(
    receiver, root, stations, tmp_path, protocol
):
    mark = tmp_path / "mark"
    payload = pickle.dumps([Attack(mark)], protocol)
    for _ in range(3):
        assert receiver.answer(Form(payload).body) is Answer.UNREADABLE
    (entry,) = list_entries(root)
    assert entry.content.read_bytes() == payload
    archived(root, stations)
    assert not mark.exists()


# ---- On disk before the answer


def test_100_is_answered_after_file_and_directory_are_on_disk(receiver, root):
    steps: list[tuple[str, str]] = []
    synced: list[bytes] = []

    def seen(kind: str, path: Path) -> None:
        steps.append((kind, "incoming" if path == root.incoming else "hidden" if path.name[0] == "." else "file"))
        if kind == "rename":
            (making,) = root.incoming.iterdir()
            synced.append(making.read_bytes())

    with watch_steps(seen):
        assert receiver.answer(Form().body) is Answer.STORED
    assert steps == [("write", "hidden"), ("fsync", "hidden"), ("rename", "file"), ("fsync", "incoming")]
    assert synced == [queued(root)[0].read_bytes()]


@pytest.mark.parametrize("number", range(4))
def test_what_cannot_be_stored_is_answered_500_with_nothing_half_in_incoming(receiver, root, number, caplog):
    """The station sends it again; once the disk is mended it is stored, and archived once."""
    count = 0

    def full(kind: str, path: Path) -> None:
        nonlocal count
        count += 1
        if count > number:
            if kind in ("write", "fsync") and path.is_file():
                path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with watch_steps(full):
        assert receive(receiver, Form().body, "10.0.0.1") is Answer.NOT_STORED
        with pytest.raises(StorageError):
            receiver.answer(Form().body)
    whole = make_queue_file(STATION, pickle.dumps(EVENTS))
    assert [path.read_bytes() for path in list_waiting(root.incoming) if path.read_bytes() != whole] == []
    assert "No space left on device" in caplog.text
    assert "; input stays where it is until this is fixed" in caplog.text
    assert "run again" not in caplog.text
    assert receiver.answer(Form().body) is Answer.STORED
    archived(root, receiver.stations.path)
    assert len(open_archive(root.path).read("hisparc.errors")) == 2


@pytest.mark.parametrize("number", range(3))
def test_a_disk_that_fails_again_and_again_is_not_filled_with_what_was_not_stored(receiver, root, number):
    count = 0

    def failing(kind: str, path: Path) -> None:
        nonlocal count
        count += kind != "unlink"
        if kind != "unlink" and count % 4 > number:
            raise OSError(errno.EIO, "Input/output error")

    for _ in range(3):
        count = 0
        with watch_steps(failing):
            assert receive(receiver, Form().body, "") is Answer.NOT_STORED
    assert queued(root) == []


def test_uploads_of_many_threads_are_all_stored(receiver, root):
    def upload(number: int) -> None:
        for turn in range(20):
            assert receiver.answer(Form(pickle.dumps([error(f"{number} {turn}")])).body) is Answer.STORED

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = {pickle.loads(path.read_bytes())["event_list"][0]["datalist"][0]["data"] for path in queued(root)}
    assert len(texts) == 160


def test_the_same_junk_at_the_same_time_is_kept_once(root, stations):
    """A station repeats what was refused, and a site may run several receivers."""
    receivers = [Receiver(root, StationList(stations)) for _ in range(8)]
    answers: list[Answer] = []

    def upload(receiver: Receiver) -> None:
        answers.extend(receive(receiver, Form(b"junk %d" % turn).body, "") for turn in range(10))

    threads = [threading.Thread(target=upload, args=(receiver,)) for receiver in receivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [Answer.UNREADABLE] * 80
    assert len(list_entries(root)) == 10


# ---- Passwords


@pytest.mark.parametrize(
    "password", ["a&b=c+d%41 é", "€", " ", '"quoted", with commas', "pbkdf2_sha256$", "$$", "\x7f\x01"]
)
def test_a_password_may_have_any_characters(root, tmp_path, password):
    path = tmp_path / "stations.csv"
    path.write_text(f'501,Amsterdam,"{password.replace(chr(34), 2 * chr(34))}"\n', encoding="utf-8")
    receiver = Receiver(root, StationList(path))
    assert receiver.answer(Form(password=password).body) is Answer.STORED
    assert receiver.answer(Form(password=password + ".").body) is Answer.WRONG_PASSWORD


def test_a_password_may_be_hashed_in_the_list(root, tmp_path):
    path = tmp_path / "stations.csv"
    kept = hash_password("sécret")
    path.write_text(f"501,Amsterdam,{kept}\n", encoding="utf-8")
    receiver = Receiver(root, StationList(path))
    for _ in range(2):
        assert receiver.answer(Form(password="sécret").body) is Answer.STORED
        assert receiver.answer(Form(password="secret").body) is Answer.WRONG_PASSWORD
    assert receiver.answer(Form(password=kept).body) is Answer.WRONG_PASSWORD
    assert "sécret" not in kept
    assert kept != hash_password("sécret")


def test_a_hashed_password_that_changes_in_the_list_no_longer_lets_the_old_one_in(root, tmp_path):
    path = tmp_path / "stations.csv"
    path.write_text(f"501,Amsterdam,{hash_password('old')}\n")
    receiver = Receiver(root, StationList(path))
    assert receiver.answer(Form(password="old").body) is Answer.STORED
    path.write_text(f"501,Amsterdam,{hash_password('new')}\n\n")
    assert receiver.answer(Form(password="old").body) is Answer.WRONG_PASSWORD
    assert receiver.answer(Form(password="new").body) is Answer.STORED


def test_no_password_is_ever_logged(receiver, stations, caplog):
    caplog.set_level(logging.DEBUG)
    passwords = ["secret", "Wr0ng-one", "0ther-secret"]
    for payload in (pickle.dumps(EVENTS), JUNK, pickle.dumps([Attack(Path("/nonexistent/x"))])):
        for password in passwords:
            for changes in ({}, {"station_id": 999}, {"station_id": "x"}, {"checksum": "x"}, {"data": "€"}):
                receiver.answer(Form(payload, password=password, **changes).body, "10.0.0.1")
    stations.write_text("501,Amsterdam,0ther-secret,too many\n502\nx,y,0ther-secret\n'7,\"Wr0ng-one\n501,A,secret\n")
    receiver.answer(Form().body, "10.0.0.1")
    assert len(caplog.records) > 40
    logged = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert [password for password in passwords if password in logged] == []


# ---- The station list


def test_the_list_is_read_again_when_it_changes(receiver, stations):
    form = Form(station_id=503, password="new")
    assert receiver.answer(form.body) is Answer.UNKNOWN_STATION
    stations.write_text("503,Aarhus,new\n")
    assert receiver.answer(form.body) is Answer.STORED
    assert receiver.answer(Form().body) is Answer.UNKNOWN_STATION
    replace_list(stations, b"503,Aarhus,old\n")
    assert receiver.answer(form.body) is Answer.WRONG_PASSWORD


def test_a_list_that_goes_away_stays_known_until_it_is_back(receiver, stations, caplog):
    content = stations.read_bytes()
    stations.unlink()
    assert receiver.answer(Form().body) is Answer.STORED
    assert "cannot be read" in caplog.text
    stations.write_bytes(content)
    assert receiver.answer(Form().body) is Answer.STORED


def test_a_server_without_a_list_does_not_start(tmp_path):
    with pytest.raises(SettingsError, match="station list"):
        StationList(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    "row",
    ["x,Aarhus,y", "502", "502,Aarhus", "502,Aarhus,y,z", ",,", "-1,a,b", "502.0,a,b", "9" * 5000 + ",a,b", "'5,a,b",
     '502,"Aarhus,y', '5"02,a,b', "5\uff101,a,b", f"{2**31},a,b", "\0,a,b", "\udc80,a,b", "²,a,b"],
)  # fmt: skip
def test_one_bad_row_costs_that_row(row):
    found, problems = parse_list(f"501,Amsterdam,secret\n{row}\n503,Aarhus,other\n")
    assert found == {501: STATION, 503: Station(503, "Aarhus", "other")}
    (problem,) = problems
    assert problem.startswith("line 2: ")
    assert "left out" in problem


def test_bytes_that_are_no_utf_8_cost_no_other_row(root, tmp_path):
    path = tmp_path / "stations.csv"
    path.write_bytes(b"501,Amsterdam,secret\n502,\xff\xfe,x\n503,Aarhus,new\n")
    receiver = Receiver(root, StationList(path))
    for number, password in ((501, "secret"), (502, "x"), (503, "new")):
        assert receiver.answer(Form(station_id=number, password=password).body) is Answer.STORED
    for queue in queued(root):
        read_upload(queue.read_bytes(), where="")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("501,a,b\r\n502,c,d\r\n", {501: ("a", "b"), 502: ("c", "d")}),
        ("501,a,b", {501: ("a", "b")}),
        ("\n\n501,a,b\n\n\n", {501: ("a", "b")}),
        ('501,"a, b","c""d"\n', {501: ("a, b", 'c"d')}),
        ("501, a , b \n", {501: (" a ", " b ")}),
        (" 501 ,a,b\n0502,c,d\n", {501: ("a", "b"), 502: ("c", "d")}),
        ("", {}),
    ],
    ids=["CRLF", "no line end", "empty lines", "quoting", "blanks", "numbers", "empty"],
)
def test_the_list_is_read_as_the_datastore_reads_it(text, expected):
    found, problems = parse_list(text)
    assert ({number: (station.cluster, station.password) for number, station in found.items()}, problems) == (
        expected,
        [],
    )


def test_the_last_row_of_a_station_counts_as_in_the_datastore_and_a_warning_names_both():
    found, problems = parse_list("501,a,b\n502,x,y\n501,c,d\n")
    assert (found[501].cluster, found[501].password) == ("c", "d")
    assert problems == ["line 3: station 501 is in line 1 too; this row counts"]


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_only_line_ends_end_a_row(mark):
    """Text has more line ends than a CSV file; a password may hold them."""
    found, problems = parse_list(f"501,Amsterdam,se{mark}cret\n")
    assert (problems, found[501].password) == ([], f"se{mark}cret")


def test_a_list_is_replaced_in_one_step(stations):
    lists = [b"".join(b"%d,Cluster %d,x\n" % (number, turn) for number in range(2000)) for turn in range(2)]
    replace_list(stations, lists[0])
    ended = threading.Event()

    def replace() -> None:
        for turn in range(40):
            replace_list(stations, lists[turn % 2])
        ended.set()

    thread = threading.Thread(target=replace)
    thread.start()
    seen = set()
    while not ended.is_set():
        seen.add(stations.read_bytes())
    thread.join()
    assert seen <= set(lists)
    assert [path.name for path in stations.parent.iterdir() if path.name.startswith(".stations")] == []


@pytest.mark.parametrize("text", ["5_01", "+501", "5 01", "\u0665\u0660\u0661", "501.0", "--501", "", "0x1f5"])
def test_a_station_number_that_is_not_of_digits_0_to_9_is_refused(text):
    from dayfile_hisparc.receiver import parse_station_number

    assert parse_station_number(b"501") == 501
    with pytest.raises(ValueError, match=r".*"):
        parse_station_number(text.encode())
