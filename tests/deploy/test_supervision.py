"""What a watch and a server report to systemd: that they are ready, that they live, what they do, and that they end."""

from __future__ import annotations

import os
import socket

import pytest

from dayfile import create_archive
from dayfile.supervision import Supervisor
from running import Server, find_free_port, kill
from watching import NEVER, Watcher, stream


class Manager:
    """The socket of a service manager, which reads what is reported to it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(60)

    def receive(self):
        """One report: its variables, by name."""
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())

    def receive_until(self, true):
        """Reports up to the first of which something is true; return that."""
        while not true(report := self.receive()):
            assert set(report) <= {"WATCHDOG", "STATUS", "READY"}
        return report


@pytest.fixture
def manager(tmp_path):
    found = Manager(str(tmp_path / "notify"))
    yield found
    found.socket.close()


def environment(tmp_path, seconds=0.2):
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(round(seconds * 1e6))}


def test_a_watch_reports_that_it_is_ready_lives_and_ends(tmp_path, manager):
    """It looks for notices alone, so that it would sleep for an hour: signs of life come all the same."""
    watcher = Watcher(tmp_path, environment=environment(tmp_path), publish__at_most=NEVER)
    try:
        assert manager.receive()["READY"] == "1"
        for _ in range(5):
            assert manager.receive() == {"WATCHDOG": "1", "STATUS": "0 sources archived; all is published"}
        watcher.arrive("1", stream(0, 1))
        report = manager.receive_until(lambda report: report["STATUS"].startswith("1 source archived; 1 day file "))
        assert report["STATUS"].startswith("1 source archived; 1 day file with new records, up to ")
        assert watcher.stop().returncode == 0
        report = manager.receive_until(lambda report: "STOPPING" in report)
        assert report == {"STOPPING": "1", "STATUS": "publishing what was accepted"}
    finally:
        kill(watcher.process)


def test_a_server_reports_that_it_is_ready_lives_and_ends(tmp_path, manager):
    (tmp_path / "stations.csv").write_text("501,Amsterdam,secret\n")
    create_archive(tmp_path / "archive")
    port = find_free_port()
    words = ["dayfile", "serve", "--plugins", "hisparc", "--workers", 2, "--port", port]
    words += ["--archive", tmp_path / "archive", "--set", f"hisparc.station_list={tmp_path / 'stations.csv'}"]
    server = Server(*words, port=port, log=tmp_path / "log", environment=environment(tmp_path))
    assert manager.receive() == {"READY": "1", "STATUS": f"listening on http://127.0.0.1:{port}"}
    assert manager.receive() == {"WATCHDOG": "1", "STATUS": "2 processes answering"}
    assert server.stop() == 0
    assert manager.receive_until(lambda report: "STOPPING" in report)["STATUS"] == "answering what is under way"


def test_an_abstract_socket_is_one_too():
    name = f"dayfile-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    Supervisor({"NOTIFY_SOCKET": f"@{name}"}).report_alive("a\nREADY=1")
    assert manager.receive() == {"WATCHDOG": "1", "STATUS": "a\\nREADY=1"}
    manager.socket.close()


def test_without_a_manager_or_with_one_that_is_gone_nothing_is_sent_and_nothing_fails(tmp_path):
    for given in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "odd"}):
        supervisor = Supervisor(given)
        supervisor.report_ready("x")
        assert (supervisor.interval, supervisor.limit(5)) == (None, 5)


def test_signs_of_life_come_twice_as_often_as_they_are_expected_of_this_process(tmp_path):
    given = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"}
    assert Supervisor(given).limit(3600) == 30
    assert Supervisor({**given, "WATCHDOG_PID": str(os.getpid())}).limit(3600) == 30
    assert Supervisor({**given, "WATCHDOG_PID": "1"}).limit(3600) == 3600
