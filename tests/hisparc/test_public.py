"""The receiver in public: guessed passwords, proxies, honest answers, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import stat
import sys
import threading
import time
import xmlrpc.client
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from archives import list_waiting
from dayfile import create_archive
from dayfile_hisparc.clients import make_form, make_password
from dayfile_hisparc.passwords import WAITING, Guesses, HashingQueue, Proofs, Verdict, hash_password
from dayfile_hisparc.receiver import Answer, Receiver
from dayfile_hisparc.server import fetch, strip_secrets
from dayfile_hisparc.simulation import simulate_events
from dayfile_hisparc.stations import StationList, parse_list, replace_list
from running import Server, find_free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PATIENCE = 60  # seconds; a busy machine is slow
EVENTS = [event for event, _ in zip(simulate_events(np.datetime64("2024-05-01"), 1, 501), range(10), strict=False)]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALL = xmlrpc.client.dumps((), "system.listMethods").encode()


@contextmanager
def running(command: list[object], port: int, log: Path, **environment: str):
    """Run a server until the end of the block."""
    server = Server(*command, port=port, log=log, environment=environment, patience=PATIENCE)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def receiving(directory: Path, stations: str, *settings: str):
    """Run ``dayfile serve``; its port."""
    (directory / "stations.csv").write_text(stations)
    create_archive(directory / "archive")
    port = find_free_port()
    command = ["dayfile", "serve", "--plugins", "hisparc", "--workers", 1]
    command += ["--archive", directory / "archive", "--port", port]
    for pair in (f"hisparc.station_list={directory / 'stations.csv'}", *settings):
        command += ["--set", pair]
    with running(command, port, directory / "serve.txt"):
        yield port


def ask(port, body=b"", path="/hisparc/upload", method="POST", source="127.0.0.1", **more: str) -> tuple[int, bytes]:
    """Status and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=(source, 0))
    try:
        connection.request(method, path, body, {**FORM, **{name.replace("_", "-"): more[name] for name in more}})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def listing(*numbers: int, clear: bool = True) -> str:
    return "".join(f"{n},Amsterdam,{make_password(n) if clear else hash_password(make_password(n))}\n" for n in numbers)


def guess(number: int, text: str) -> bytes:
    return make_form(number, EVENTS, 2).replace(make_password(number).encode(), text.encode())


# ---- Honest answers


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    source = "hisparc.station_list_source=http://127.0.0.1:1/list"
    with receiving(tmp_path_factory.mktemp("answers"), listing(501), source) as port:
        yield port


@pytest.mark.parametrize("path", ["/", "/hisparc/upload", "/x/y", "/healthz", "/favicon.ico", "//", "/%ff"])
def test_a_post_to_any_path_is_answered_200_and_three_digits(port, path):
    assert ask(port, b"", path) == (200, b"400")
    assert ask(port, b"x=1", path + "?a=b") == (200, b"400")
    assert ask(port, make_form(501, EVENTS, 2), path) == (200, b"100")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
@pytest.mark.parametrize(
    ("path", "status"), [("/", 404), ("/metrics", 404), ("/healthz/x", 404), ("/hisparc/upload", 405), ("/RPC2", 405)]
)
def test_another_method_is_answered_404_or_405(port, method, path, status):
    if (method, path) == ("PROPFIND", "/RPC2"):
        status = 404
    answered, body = ask(port, b"", path, method)
    assert (answered, body) == (status, b"")


def test_healthz_says_whether_uploads_can_be_stored(port):
    assert ask(port, path="/healthz", method="GET") == (200, b"ok\n")
    assert ask(port, path="/healthz", method="HEAD") == (200, b"")


def test_healthz_asks_of_the_disk_no_more_than_the_longest_body_or_the_setting(tmp_path):
    for number, (least, expected) in enumerate({0: 200, 2**60: 503}.items()):
        place = tmp_path / str(number)
        place.mkdir()
        with receiving(place, listing(501), f"serve.body_limit={2**60}", f"disk.least_free={least}") as port:
            assert ask(port, path="/healthz", method="GET")[0] == expected


def test_healthz_is_answered_503_where_incoming_is_missing(tmp_path):
    with receiving(tmp_path, listing(501)) as port:
        (tmp_path / "archive" / "incoming").rmdir()
        status, reason = ask(port, path="/healthz", method="GET")
        assert status == 503
        assert reason.startswith(b"incoming/ cannot be reached")
        assert ask(port, make_form(501, EVENTS, 2)) == (200, b"500")


# ---- Proxies


def test_who_may_renew_the_list_is_the_true_client(tmp_path):
    settings = ("hisparc.station_list_source=http://127.0.0.1:1/l", "hisparc.reload_from=192.0.2.7,2001:DB8::1")
    with receiving(tmp_path, listing(501), *settings) as port:
        assert ask(port, CALL, "/RPC2", X_Forwarded_For="192.0.2.7")[0] == 403
        assert ask(port, CALL, "/RPC2", Forwarded="for=192.0.2.7")[0] == 403
    with receiving(tmp_path, listing(501), *settings, "serve.proxies=127.0.0.1,10.0.0.0/8") as port:
        assert ask(port, CALL, "/RPC2", X_Forwarded_For="192.0.2.7")[0] == 200
        assert ask(port, CALL, "/RPC2", X_Forwarded_For="192.0.2.7, 10.1.2.3")[0] == 200
        assert ask(port, CALL, "/RPC2", Forwarded='for="[2001:db8:0::1]:99"')[0] == 200
        assert ask(port, CALL, "/RPC2", X_Forwarded_For="192.0.2.7, 198.51.100.1")[0] == 403
        assert ask(port, CALL, "/RPC2", X_Forwarded_For="192.0.2.7, nobody")[0] == 403
        assert ask(port, CALL, "/RPC2", source="127.0.0.2", X_Forwarded_For="192.0.2.7")[0] == 403
        ask(port, guess(501, "x"), X_Forwarded_For="192.0.2.9")
    assert "192.0.2.9: wrong password" in (tmp_path / "serve.txt").read_text()


NGINX = """
daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log; worker_processes 1;
events {{ }}
http {{
    access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f;
    uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
    {server}
}}
"""


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not on the PATH")
def test_behind_nginx_uploads_of_any_size_arrive_and_the_client_is_the_true_one(tmp_path):
    settings = ("hisparc.station_list_source=http://127.0.0.1:1/l", "hisparc.reload_from=127.0.0.5")
    with receiving(tmp_path, listing(501), *settings, "serve.proxies=127.0.0.1") as upstream:
        port = find_free_port()
        server = (DEPLOY / "nginx.conf").read_text().replace("listen 80;", f"listen 127.0.0.1:{port};")
        server = server.replace("http://127.0.0.1:8000;", f"http://127.0.0.1:{upstream};")
        (tmp_path / "nginx.conf").write_text(NGINX.format(here=tmp_path, server=server))
        command = ["nginx", "-e", tmp_path / "error.log", "-c", tmp_path / "nginx.conf", "-p", tmp_path]
        with running(command, port, tmp_path / "nginx.txt"):
            filler = b"&x=" + b"a" * (4 * 2**20)  # nginx takes 1 MB where nothing is set
            assert ask(port, make_form(501, EVENTS, 2) + filler) == (200, b"100")
            assert ask(port, CALL, "/RPC2", source="127.0.0.5")[0] == 200
            for forged in ({"X_Forwarded_For": "127.0.0.5"}, {"Forwarded": "for=127.0.0.5"}):
                assert ask(port, CALL, "/RPC2", source="127.0.0.6", **forged)[0] == 403
            assert ask(port, guess(501, "x"), source="127.0.0.9") == (200, b"203")
            assert ask(port, path="/healthz", method="GET") == (200, b"ok\n")
    assert "127.0.0.9: wrong password" in (tmp_path / "serve.txt").read_text()


UWSGI_INI = """
[uwsgi]
module = dayfile_hisparc.wsgi:application
http-socket = 127.0.0.1:{port}
master = true
processes = 2
http-timeout = 60
socket-timeout = 60
buffer-size = 16384
"""


UWSGI = shutil.which("uwsgi", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.mark.skipif(UWSGI is None, reason="uwsgi is neither in this environment nor on the PATH")
def test_under_uwsgi_uploads_of_any_size_arrive_and_the_client_is_the_true_one(tmp_path):
    port = find_free_port()
    (tmp_path / "stations.csv").write_text(listing(501) + listing(502, clear=False))
    (tmp_path / "uwsgi.ini").write_text(UWSGI_INI.format(port=port))
    environment = {
        "DAYFILE_ARCHIVE": str(tmp_path / "archive"),
        "DAYFILE_HISPARC__STATION_LIST": str(tmp_path / "stations.csv"),
        "DAYFILE_SERVE__PROXIES": "127.0.0.1",
    }
    command = [UWSGI, "--die-on-term", "--virtualenv", sys.prefix, "--ini", tmp_path / "uwsgi.ini"]
    with running(command, port, tmp_path / "uwsgi.txt", **environment):
        assert ask(port, make_form(501, EVENTS, 2)) == (200, b"500")  # there is no archive yet
        assert ask(port, path="/healthz", method="GET")[0] == 503
        create_archive(tmp_path / "archive")
        filler = b"&x=" + b"a" * (4 * 2**20)
        for number in (501, 502):
            assert ask(port, make_form(number, EVENTS, 2) + filler) == (200, b"100")
        assert ask(port, guess(501, "x"), X_Forwarded_For="192.0.2.7") == (200, b"203")
        assert ask(port, path="/healthz", method="GET") == (200, b"ok\n")
        assert ask(port, path="/healthz", method="HEAD") == (200, b"")
        assert ask(port, path="/", method="GET")[0] == 404
        assert ask(port, method="GET")[0] == 405
        assert ask(port, path="/healthz") == (200, b"400")
    log = (tmp_path / "uwsgi.txt").read_text()
    assert "no archive is here" in log
    assert "192.0.2.7: wrong password" in log
    assert "Traceback" not in log


# ---- Passwords


def test_a_right_password_is_hashed_once_and_a_wrong_one_not_at_all_from_then_on(monkeypatch):
    stored, computed = hash_password("secret"), []
    derive = Proofs.prove
    monkeypatch.setattr(Proofs, "prove", lambda *words: computed.append(words) or derive(*words))
    proofs = Proofs()
    assert proofs.judge(stored, "secret") is Verdict.UNKNOWN
    assert proofs.prove(stored, "x") is Verdict.WRONG
    assert proofs.judge(stored, "secret") is Verdict.UNKNOWN
    assert proofs.prove(stored, "secret") is Verdict.RIGHT
    assert proofs.judge(stored, "secret") is Verdict.RIGHT
    assert proofs.judge(stored, "x") is Verdict.WRONG
    assert proofs.judge(hash_password("secret"), "secret") is Verdict.UNKNOWN  # another salt, in a new list
    proofs.keep(set())
    assert proofs.judge(stored, "secret") is Verdict.UNKNOWN
    assert "secret" not in repr(vars(proofs))


@pytest.mark.parametrize("stored", ["pbkdf2_sha256$x$a$b", "pbkdf2_sha256$0$a$b", "pbkdf2_sha256$1$é\udcff$é"])
def test_a_hash_that_is_none_lets_nobody_in(stored):
    assert Proofs().prove(stored, "x") is Verdict.WRONG


def test_good_stations_wait_no_longer_while_40_clients_guess(tmp_path):
    """Neither one whose password is known nor one that comes for the first time."""
    with receiving(tmp_path, listing(501, 502, 503, clear=False)) as port:

        def seconds(number: int, expected: bytes = b"100") -> float:
            begin = time.monotonic()
            assert ask(port, make_form(number, EVENTS, 2)) == (200, expected)
            return time.monotonic() - begin

        first, known = seconds(502), min(seconds(502) for _ in range(3))
        stop = threading.Event()

        def work(number: int) -> None:
            while not stop.is_set():
                with suppress(OSError, http.client.HTTPException):
                    assert ask(port, guess(501, f"g{number}"), source=f"127.0.0.{2 + number}")[1] in {b"203", b"500"}

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(40)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(2)
            busy = sorted(seconds(502) for _ in range(5))[2]
            new = seconds(503)
            own = seconds(501)
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert busy < max(2 * known, 1.0)
        assert new < max(5 * first, 5.0)  # a busy machine is slow; in turn it would be 40 times
        assert own < max(8 * first, 8.0)


def test_a_right_password_is_taken_however_often_its_address_was_wrong(tmp_path):
    (tmp_path / "stations.csv").write_text(listing(501, clear=False) + listing(502))
    root = create_archive(tmp_path / "archive").root
    receiver = Receiver(root, StationList(tmp_path / "stations.csv"))
    for number in range(30):
        assert receiver.examine(guess(502, f"g{number}"), "", "192.0.2.7/32") is Answer.WRONG_PASSWORD
    assert receiver.examine(make_form(502, EVENTS, 2), "", "192.0.2.7/32") is Answer.STORED
    for number in range(30):
        claim = receiver.examine(guess(501, f"g{number}"), "", "192.0.2.7/32")
        assert claim.wrong == number
        assert receiver.settle(claim, Verdict.WRONG) is Answer.WRONG_PASSWORD
    # Where too many wait, one that has guessed is answered as if it were wrong, another one comes again.
    assert receiver.settle(claim, Verdict.UNKNOWN) is Answer.WRONG_PASSWORD
    assert receiver.settle(receiver.examine(make_form(501, EVENTS, 2)), Verdict.UNKNOWN) is Answer.NOT_STORED
    claim = receiver.examine(make_form(501, EVENTS, 2), "", "192.0.2.7/32")
    verdict = receiver.stations.proofs.prove(claim.station.password, claim.password)
    assert receiver.settle(claim, verdict) is Answer.STORED
    assert receiver.guesses.count("192.0.2.7/32", 501) == 0


def test_wrong_passwords_are_counted_by_address_and_station_and_forgotten_in_time():
    clock = [0.0]
    guesses = Guesses(lambda: clock[0])
    for _ in range(3):
        guesses.note("a", 1)
    guesses.note("", 1)
    assert [guesses.count(*pair) for pair in (("a", 1), ("a", 2), ("b", 1), ("", 1))] == [3, 0, 0, 0]
    clock[0] = 1000.0
    assert guesses.count("a", 1) == 0
    for number in range(20_000):
        guesses.note(str(number), 1)
    assert len(guesses.wrong) == 10_000


class Slow(Proofs):
    """Hashes nothing, notes the order, and takes a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def judge(self, stored: str, password: str) -> Verdict:
        return Verdict.UNKNOWN

    def prove(self, stored: str, password: str) -> Verdict:
        self.order.append(password)
        time.sleep(0.01)
        return Verdict.WRONG


def hash_all(proofs: Proofs, *asked: tuple[int, str, int, int]) -> list[Verdict]:
    """Let a queue hash passwords that wait together."""

    async def work() -> list[Verdict]:
        queue = HashingQueue(proofs, 1000)
        return await asyncio.gather(*(queue.ask(number, "", *rest) for number, *rest in asked))

    return asyncio.run(work())


def test_stations_take_turns_and_who_was_wrong_before_comes_last():
    proofs = Slow()
    asked = [(1, "a7", 7, 0), (1, "a0", 0, 0), (1, "b0", 0, 0), (1, "c9", 9, 0), (2, "d5", 5, 0), (3, "e0", 0, 0)]
    assert set(hash_all(proofs, *asked)) == {Verdict.WRONG}
    assert proofs.order == ["b0", "d5", "e0", "a0", "a7", "c9"]


def test_of_too_many_passwords_those_of_the_longest_queue_that_were_wrong_most_are_not_looked_at():
    asked = [(1, f"a{number}", number, 0) for number in range(WAITING + 10)] + [(2, "b", 100, 0)]
    verdicts = hash_all(Slow(), *asked)
    assert verdicts.count(Verdict.UNKNOWN) == 11
    assert verdicts[-1] is Verdict.WRONG
    assert Verdict.UNKNOWN not in verdicts[: WAITING - 2]


def test_uploads_that_wait_for_a_hash_do_not_fill_the_memory():
    verdicts = hash_all(Slow(), (1, "a", 0, 900), (2, "b", 0, 900), (3, "c", 0, 100), (4, "d", 0, 2000))
    assert verdicts.count(Verdict.UNKNOWN) == 2
    assert verdicts[2] is Verdict.WRONG
    assert hash_all(Slow(), (4, "d", 0, 2000)) == [Verdict.WRONG]


# ---- The station list


def test_a_renewed_list_keeps_mode_owner_and_group_and_is_never_readable_to_others(tmp_path, monkeypatch):
    path = tmp_path / "stations.csv"
    path.write_text(listing(501))
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 4711, 4712)
    before = path.stat()
    modes = []
    rename = Path.replace
    chmod = Path.chmod
    monkeypatch.setattr(Path, "chmod", lambda p, mode: modes.append(stat.S_IMODE(p.stat().st_mode)) or chmod(p, mode))
    monkeypatch.setattr(Path, "replace", lambda p, to: modes.append(stat.S_IMODE(p.stat().st_mode)) or rename(p, to))
    replace_list(path, b"new")
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert modes == [0o600, 0o640]
    assert [entry.name for entry in tmp_path.iterdir()] == ["stations.csv"]


def test_a_renewed_list_whose_group_cannot_be_kept_is_no_other_groups_to_read(tmp_path, monkeypatch):
    path = tmp_path / "stations.csv"
    path.write_text(listing(501))
    path.chmod(0o664)

    def refused(*_):
        raise PermissionError

    old = path.stat()
    monkeypatch.setattr(os, "chown", refused)
    monkeypatch.setattr(Path, "stat", with_group(Path.stat, path, old.st_gid + 1))
    replace_list(path, b"new")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o604  # noqa: PTH116 - the real one


def with_group(real, path: Path, group: int):
    """``stat`` by which one file is of another group."""

    def answer(self, **options):
        found = list(real(self, **options))
        if self == path:
            found[stat.ST_GID] = group
        return os.stat_result(found)

    return answer


def test_a_list_that_is_a_link_stays_one_and_a_new_one_is_private(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "list").write_text("old")
    (tmp_path / "real" / "list").chmod(0o600)
    (tmp_path / "link").symlink_to("real/list")
    replace_list(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "list").read_bytes() == b"new"
    replace_list(tmp_path / "first", b"new")
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("first", "real/list")} == {0o600}


def test_no_password_is_in_a_log_or_an_answer(tmp_path, caplog):
    secret = "correct-horse"  # noqa: S105 - of no station
    rows = [f"{secret},Amsterdam,501", f"501,{secret}", f'"{secret},x,y', f"9999999999,a,{secret}", f"1,a,{secret}"]
    stations, problems = parse_list("\n".join(rows))
    assert len(problems) == 4
    assert secret not in f"{stations} {problems}"
    assert secret not in strip_secrets(f"https://me:{secret}@example.org/list?key={secret}")
    with pytest.raises(ValueError, match="could not be fetched") as failed:
        fetch(f"http://me:{secret}@127.0.0.1:1/list")
    assert secret not in f"{failed.value}{caplog.text}"
    with receiving(tmp_path, listing(501) + f"502,Amsterdam,{secret}\n", "log.level=debug") as port:
        for body in (guess(501, secret), guess(503, secret), guess(502, secret) + b"&x=" + secret.encode()):
            ask(port, body, f"/x?password={secret}")
        ask(port, b"", f"/?password={secret}", "GET")
    log = (tmp_path / "serve.txt").read_text()
    assert "wrong password for station 501" in log
    assert secret not in log


def test_nothing_of_an_upload_that_waits_is_stored_before_its_password_is_known(tmp_path):
    (tmp_path / "stations.csv").write_text(listing(501, clear=False))
    root = create_archive(tmp_path / "archive").root
    receiver = Receiver(root, StationList(tmp_path / "stations.csv"))
    claim = receiver.examine(guess(501, "x"))
    assert not list_waiting(root.incoming)
    assert receiver.settle(claim, Verdict.WRONG) is Answer.WRONG_PASSWORD
    assert not list_waiting(root.incoming)


def test_a_password_that_looks_like_an_unknown_hash_is_taken_as_it_is_with_a_warning():
    rows = [
        "501,Amsterdam,scrypt:abc",
        "502,Amsterdam,$2b$12$x",
        f"503,Amsterdam,{hash_password('x')}",
        "504,Amsterdam,x",
    ]
    stations, problems = parse_list("\n".join(rows))
    assert [problem.split(":")[0] for problem in problems] == ["line 1", "line 2"]
    assert "abc" not in "".join(problems)
    assert list(stations) == [501, 502, 503, 504]
