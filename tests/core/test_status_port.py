"""The port for monitors, the metrics and their file."""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dayfile.archive.root import Root
from dayfile.errors import UsageError
from dayfile.serving.health import find_engine_trouble
from dayfile.serving.status_port import StatusServer
from dayfile.state.engine import EngineRecorder
from dayfile.state.files import ENGINE, StateFile
from dayfile.state.keys import NewestKeys
from dayfile.state.metrics import METRICS
from running import kill, run_command, start_command, until


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    return root


@pytest.fixture
def ask(root):
    """Ask the port for monitors of a watch: status and body."""
    with closing(StatusServer(root, ("127.0.0.1", 0), lambda: find_engine_trouble(root))) as server, server.run():
        yield lambda path, method="GET": fetch(f"{server.address}{path}", method)


def test_it_listens_at_an_address_of_ipv6_too(root):
    with closing(StatusServer(root, ("::1", 0), lambda: "")) as server, server.run():
        assert server.address.startswith("http://[::1]:")
        assert fetch(f"{server.address}/healthz") == (200, "ok\n")


def test_a_monitor_that_goes_away_before_its_answer_is_nothing_to_report(root, capfd):
    with closing(StatusServer(root, ("127.0.0.1", 0), lambda: "")) as server, server.run():
        for _ in range(20):
            with socket.create_connection(server.server.server_address) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not ended
                client.sendall(b"GET /status.json HTTP/1.1\r\n\r\n")
        assert fetch(f"{server.address}/healthz") == (200, "ok\n")
    assert capfd.readouterr().err == ""


def fetch(url, method="GET"):
    request = urllib.request.Request(url, method=method)  # noqa: S310 - of this test
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def read_metrics(text):
    """Samples by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_monitor_is_told_of_a_watch_whether_it_goes_on(root, ask):
    assert ask("/healthz")[0] == 503
    recorder = EngineRecorder(root, "watch")
    recorder.beat("waiting")
    assert ask("/healthz") == (200, "ok\n")
    StateFile(root, ENGINE).write(replace(recorder.state, beat=time.time() - 600, doing="taking 1 source"))
    assert ask("/healthz") == (503, "no sign of life for 10 min; it was taking 1 source\n")
    StateFile(root, ENGINE).write(replace(recorder.state, waits_for="room on the disk"))
    assert ask("/healthz") == (503, "waits for room on the disk\n")
    root.opened = None
    root.prepare()
    root.path.rename(root.path.with_name("elsewhere"))
    assert ask("/healthz")[0] == 503


def test_the_status_is_that_of_the_command_with_ages_from_the_query(root, ask):
    keys = NewestKeys(root)
    keys.note("muon.hits", '{"hall": 1}', round((time.time() - 7200) * 1e9))
    keys.write()
    code, text = ask("/status.json")
    assert (code, json.loads(text)["silence"]["silent"]) == (200, [])
    (silent,) = json.loads(ask("/status.json?max_age=1%20h")[1])["silence"]["silent"]
    assert (silent["name"], silent["key"]) == ("muon", {"hall": 1})
    assert json.loads(ask("/status.json?max_age=1h&retired=90min")[1])["silence"]["retired"] == 1
    assert ask("/status.json?max_age=soon")[0] == 400


def test_what_is_not_there_is_said_so_and_a_head_has_no_body(ask):
    assert ask("/") == (404, "/healthz, /status.json, /metrics\n")
    assert ask("/metrics", "HEAD") == (200, "")
    assert ask("/metrics", "POST")[0] == 501


def test_metrics_say_what_the_status_says(archive, hits, ask):
    archive.drop("MuonHit.be.bin", hits(1, 2))
    archive.drop("nobody's", b"?")
    archive.run(run__unrecognised="quarantine")
    code, text = ask("/metrics")
    found = read_metrics(text)
    assert code == 200
    assert found["dayfile_published_records_total",] == 2
    assert found["dayfile_sources", "quarantined"] == 1
    assert found["dayfile_quarantine_entries",] == 1
    assert found["dayfile_attention", "quarantine_grew"] == 1
    assert found["dayfile_attention", "engine_killed"] == 0
    assert found["dayfile_up", "engine"] == 0
    assert found["dayfile_newest_record_timestamp_seconds", "muon.hits"] == 878256002
    assert {name for name, *_ in found} <= {f"dayfile_{name}" for name in METRICS} | {
        f"dayfile_{name}_total" for name, (kind, _) in METRICS.items() if kind == "counter"
    }


def test_keys_of_different_types_have_labels_of_their_own_and_any_text(root, ask):
    keys = NewestKeys(root)
    keys.note("muon.hits", '{"hall": 1}', 10**9, 2 * 10**9)
    keys.note("school.events", json.dumps({"station": 'a "quoted"\\ \n name'}), 3 * 10**9)
    keys.note("clock.ticks", "{}", 4 * 10**9)
    keys.write()
    found = read_metrics(ask("/metrics")[1])
    newest = {key[1:]: value for key, value in found.items() if key[0].startswith("dayfile_newest_record")}
    assert newest == {("1", "muon.hits"): 1, ('a "quoted"\\ \n name', "school.events"): 3, ("clock.ticks",): 4}
    assert found["dayfile_last_arrival_timestamp_seconds", "1", "muon.hits"] == 2


def test_without_the_extra_only_metrics_are_missing(ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    code, text = ask("/metrics")
    assert (code, "dayfile[metrics]" in text) == (501, True)
    assert ask("/status.json")[0] == 200


def test_a_port_that_is_taken_is_an_error_before_anything_is_done(root):
    with (
        closing(StatusServer(root, ("127.0.0.1", 0), str)) as server,
        pytest.raises(UsageError, match="cannot listen on"),
    ):
        StatusServer(root, server.server.server_address[:2], str)


# ---- The commands


def test_a_run_by_cron_writes_metrics_also_if_it_fails(command, tmp_path):
    assert command("dayfile", "simulate", "cris", "--day", "1997-10-31", "--out", "in", archive=None).code == 0
    assert command("archive-run", "in", "--metrics-file", "cron.prom").code == 0
    found = read_metrics((tmp_path / "cron.prom").read_text())
    assert found["dayfile_failed",] == 0
    assert found["dayfile_sources", "archived"] == 5
    (tmp_path / "archive" / "catalogue.db").unlink()
    (tmp_path / "archive" / "catalogue.db").mkdir()
    failed = command("archive-run", "in", "--metrics-file", "cron.prom")
    assert failed.code == 4
    assert read_metrics((tmp_path / "cron.prom").read_text())["dayfile_failed",] == 1
    assert sorted(path.name for path in tmp_path.glob("*.prom*")) == ["cron.prom"]
    assert command("archive-run", "--metrics-file", "no/such/directory.prom").code == 4


def test_options_for_monitors_that_cannot_be_are_refused(command):
    assert "--status-port is for --watch" in command("archive-run", "--status-port", "9401").err
    assert command("dayfile", "init", "archive", archive=None).code == 0
    done = command("archive-run", "--watch", "--status-port", "nine")
    assert (done.code, done.err) == (2, "dayfile: --status-port: 'nine' is not a port, or HOST:PORT\n")


def find_address(log, word):
    return re.search(rf"^{word} on (http://\S+)$", log.read_text(), re.MULTILINE)


def test_a_watch_and_a_receiver_answer_at_ports_of_their_own_and_say_where(tmp_path):
    archive = tmp_path / "archive"
    run_command("dayfile", "init", archive, check=True)
    (tmp_path / "stations.csv").write_text("501,Amsterdam,secret\n")
    common = ("-a", archive, "--plugins", "hisparc", "--set", f"hisparc.station_list={tmp_path}/stations.csv")
    logs = tmp_path / "watch.log", tmp_path / "serve.log"
    processes = [
        start_command("archive-run", "--watch", *common, "--status-port", "0", log=logs[0]),
        start_command("dayfile", "serve", *common, "--port", "0", "--status-port", "0", "--workers", "2", log=logs[1]),
    ]
    try:
        uploads = until(lambda: find_address(logs[1], "serving"))[1]
        watch, receiver = (until(lambda log=log: find_address(log, "status"))[1] for log in logs)
        until(lambda: fetch(f"{watch}/healthz")[0] == 200)
        assert fetch(f"{receiver}/healthz") == (200, "ok\n") == fetch(f"{uploads}/healthz")
        request = urllib.request.Request(f"{uploads}/", data=b"station_id=9&password=x&data=y&checksum=z")  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            assert answer.read() == b"206"
        until(
            lambda: read_metrics(fetch(f"{receiver}/metrics")[1]).get(
                ("dayfile_uploads_total", "unknown station (206)")
            )
        )
        status = json.loads(fetch(f"{watch}/status.json")[1])
        assert (status["engine"]["alive"], status["receiver"]["alive"]) == (True, True)
        assert status["receiver"]["address"] == uploads
        assert fetch(f"{uploads}/metrics")[0] == 404  # not for everybody who may upload
        for process in processes:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        found = json.loads(run_command("dayfile", "status", "-a", archive, "--json").stdout)
        assert (found["engine"]["alive"], found["receiver"]["alive"], found["receiver"]["killed"]) == (
            False,
            False,
            False,
        )
        assert found["receiver"]["refused"] == {"unknown station (206)": 1}
    finally:
        for process in processes:
            kill(process)


def test_a_log_of_objects_has_no_other_lines_and_says_when_a_watch_and_a_receiver_stop(tmp_path):
    archive = tmp_path / "archive"
    run_command("dayfile", "init", archive, check=True)
    (tmp_path / "stations.csv").write_text("501,Amsterdam,secret\n")
    (archive / "archive.yaml").write_text(
        f"log: {{format: json}}\nhisparc: {{station_list: {tmp_path}/stations.csv}}\n"
    )
    common = ("-a", archive, "--plugins", "hisparc", "--status-port", "0")
    for number, words in enumerate((("archive-run", "--watch"), ("dayfile", "serve", "--port", "0"))):
        log = tmp_path / f"{number}.log"
        process = start_command(*words, *common, log=log)
        try:
            until(lambda log=log: {"watching", "serving"} & {line["event"] for line in read_objects(log)})
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            kill(process)
        events = [line["event"] for line in read_objects(log)]
        assert (events.count("status_port"), events.count("stopped"), events[-1]) == (1, 1, "stopped")


def read_objects(log):
    """Parse every line as an object."""
    return [{"event": ""} | json.loads(line) for line in log.read_text().splitlines()]
