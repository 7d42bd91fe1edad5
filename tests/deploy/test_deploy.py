"""The files below ``deploy/`` do what they say: each is read, and run with the paths of this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import textwrap
import urllib.request
from pathlib import Path

import pytest

from dayfile import create_archive, open_archive
from running import find_free_port, is_listening, kill, run_command, start_command, stop, until
from watching import STREAM, stream

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
DROP_IN = re.compile(r"systemctl edit (dayfile-\w+@)frome\n(\[Service\]\n.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = "/opt/dayfile/bin"


# ---- systemd


def read_unit(name):
    """The lines of a unit, those that begin with a word and ``=``."""
    lines = (DEPLOY / "systemd" / name).read_text().splitlines()
    return [tuple(line.split("=", 1)) for line in lines if re.match(r"\w+=", line)]


@pytest.fixture
def units(tmp_path):
    """The units in a directory, for instances of this installation."""
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace(PROGRAMS, sysconfig.get_path("scripts")))
    return [tmp_path / name for name in UNITS]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on the PATH")
def test_systemd_finds_nothing_wrong_in_the_units_and_that_they_may_do_little(units):
    done = run_command("systemd-analyze", "verify", "--man=no", *units)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    for unit in units:
        done = run_command("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
        assert done.returncode == 0, done.stdout


def put_here(command, directory):
    """The command of a unit with the paths of this machine, and with an archive in a directory."""
    archive = directory / "frome"
    create_archive(archive)
    (directory / "stations.csv").write_text("501,Amsterdam,secret\n")
    (archive / "archive.yaml").write_text("hisparc: {station_list: ../stations.csv}\n")
    for there, here in {
        PROGRAMS: sysconfig.get_path("scripts"),
        "/var/lib/dayfile/%i": str(archive),
        "${PORT}": str(find_free_port()),
        "${STATUS_PORT}": str(find_free_port()),
        "${WEB_PORT}": str(find_free_port()),
    }.items():
        command = command.replace(there, here)
    assert "%" not in command
    return command


@pytest.mark.parametrize("name", UNITS)
def test_the_command_of_a_unit_reports_that_it_is_ready_and_ends_at_the_signal_of_systemd(tmp_path, name):
    """``Type=notify``: systemd waits for the report, and would end what never sends it."""
    unit = read_unit(name)
    assert ("Type", "notify") in unit
    (command,) = (value for key, value in unit if key == "ExecStart")
    command = put_here(command, tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(120)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        process = start_command(*shlex.split(command), log=tmp_path / "log", environment=environment)
        try:
            assert manager.recv(4096).startswith(b"READY=1\n"), (tmp_path / "log").read_text()
            assert stop(process) == 0
        finally:
            kill(process)


def test_the_unit_of_the_watch_with_the_addition_of_the_page_has_a_network_and_answers_monitors(tmp_path, units):
    name = "dayfile-run@.service"
    page = (CHECKOUT / "docs" / "running.md").read_text(encoding="utf-8")
    added = dict(DROP_IN.findall(page))[name.removesuffix(".service")]
    assert added.strip() in textwrap.dedent((DEPLOY / "README.md").read_text(encoding="utf-8").replace("\n  ", "\n"))
    lines = dict(line.split("=", 1) for line in added.splitlines() if "=" in line)
    network = dict(read_unit(name)) | lines
    assert network["PrivateNetwork"] == "no"
    assert "AF_INET" in network["RestrictAddressFamilies"].split()
    if shutil.which("systemd-analyze"):
        (tmp_path / f"{name}.d").mkdir()
        (tmp_path / f"{name}.d" / "override.conf").write_text(added.replace(PROGRAMS, sysconfig.get_path("scripts")))
        done = run_command("systemd-analyze", "verify", "--man=no", *units)
        assert (done.returncode, done.stderr.strip()) == (0, "")
    before, _ = lines["ExecStart"].split(" --status-port ")
    assert before == dict(read_unit(name))["ExecStart"]
    here = find_free_port()
    process = start_command(*shlex.split(put_here(f"{before} --status-port {here}", tmp_path)), log=tmp_path / "log")
    try:
        until(lambda: is_listening(here))
        assert b"dayfile_disk_free_bytes" in ask(here, "/metrics")
        assert stop(process) == 0
    finally:
        kill(process)


def ask(port, path):
    """The answer of a port of this machine."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.read()


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_again_except_with_wrong_settings(tmp_path, name):
    from dayfile.errors import ArchiveLockedError, SettingsError, StorageError

    unit = dict(read_unit(name))
    assert unit["Restart"] == "on-failure"
    never = {int(code) for code in unit["RestartPreventExitStatus"].split()}
    assert SettingsError.exit_code in never
    assert never.isdisjoint({StorageError.exit_code, ArchiveLockedError.exit_code})


# ---- The quick way of the page

NOT_HERE = re.compile(r"^(?:apt-get|git|/usr/bin/python3|/opt/dayfile/bin/pip|ln|useradd|rm|systemctl) ")
"""Lines that set the machine up, as root; what they make is here already."""


def read_quick_way():
    """The commands of the page, from the first to the last that shows that all works."""
    page = (CHECKOUT / "docs" / "running.md").read_text(encoding="utf-8")
    install, try_it, own = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[:3]
    return install, try_it, own


def test_the_quick_way_of_the_page_makes_a_receiver_that_is_watched(tmp_path):
    """Its lines are run below a directory in place of the root, and the units that it starts by their commands."""
    install, try_it, own = read_quick_way()
    ports = {name: str(find_free_port()) for name in ("PORT", "STATUS_PORT")}
    archive = tmp_path / "var/lib/dayfile/frome"
    for directory in ("etc/systemd/system", "etc/nginx/conf.d", "etc/logrotate.d", "etc/cron.d"):
        (tmp_path / directory).mkdir(parents=True)
    shutil.copytree(DEPLOY, tmp_path / "src" / "deploy")
    (tmp_path / "src" / "stations.csv").write_text("601,Aarhus,secret\n")

    def put_below(text):
        text = re.sub(r"runuser -u dayfile -- |(?<=install).*(?= -m )", lambda m: " -d" * (" -d" in m[0]), text)
        text = text.replace(f"{PROGRAMS}/", f"{sysconfig.get_path('scripts')}/")
        text = re.sub(r"(?<![\w/])/(?=var/|etc/)", f"{tmp_path}/", text)
        text = text.replace("http://127.0.0.1/", f"http://127.0.0.1:{ports['PORT']}/")
        return text.replace(":9402/", f":{ports['STATUS_PORT']}/").replace("sleep 15;", "")

    found = {"PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}

    def follow(lines):
        return [
            run_command("sh", "-ec", put_below(line), cwd=tmp_path / "src", environment=found, check=True).stdout
            for line in lines.splitlines()
            if not NOT_HERE.match(line)
        ]

    def start_units():
        for name in ("dayfile-run@", "dayfile-serve@"):
            assert name in install
            command = put_below(dict(read_unit(f"{name}.service"))["ExecStart"]).replace("%i", "frome")
            for variable, port in ports.items():
                command = command.replace(f"${{{variable}}}", port)
            yield start_command(*shlex.split(command), log=tmp_path / "log")

    follow(install)
    settings = archive / "archive.yaml"
    text = put_below(settings.read_text()).replace("10737418240", "0")  # this machine may have less
    settings.write_text(f"{text}publish: {{after: 1}}\n")
    processes = list(start_units())
    try:
        until(lambda: all(is_listening(int(port)) for port in ports.values()))
        simulated, _, alive = try_it.splitlines()
        assert "answered 100" in follow(simulated)[0]
        until(lambda: list(archive.glob("2*/**/*.h5")))
        until(lambda: not list((archive / "accepted").iterdir()))
        assert follow(alive)[0].count("} 1.0") == 2
        (status,) = follow(try_it.splitlines()[1])
        assert "attention   none needed" in status
        assert {path.name for path in (tmp_path / "var/log/dayfile").iterdir()} == {"frome-run.log", "frome-serve.log"}
        assert [stop(process) for process in processes] == [0, 0]
    finally:
        for process in processes:
            kill(process)
    follow(own)
    assert (archive / "archive.json").exists()
    assert not list(archive.glob("2*"))
    assert (tmp_path / "etc/dayfile/stations.csv").read_text() == "601,Aarhus,secret\n"


# ---- The container


def read_steps():
    """The instructions of the container file with their words, lines that go on put together."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def test_the_steps_of_the_container_file_make_an_installation_that_archives(tmp_path):
    """As a script: arguments are paths here, COPY copies, RUN runs, and CMD is started with the variables of ENV."""
    there = {"PROGRAMS": tmp_path / "programs", "ARCHIVE": tmp_path / "archive", "OWNER": os.geteuid()}
    variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    place = tmp_path / "src"
    place.mkdir()

    def expand(words):
        return re.sub(r"\$\{?(\w+)\}?", lambda name: variables[name[1]], words)

    for step, words in read_steps():
        if step == "ARG":
            name, value = words.split("=", 1)
            variables[name] = str(there.get(name, value.strip('"')))
        elif step == "COPY":
            source, target = words.split()
            copy = shutil.copytree if (CHECKOUT / source).is_dir() else shutil.copy
            copy(CHECKOUT / source, place / target)
        elif step == "RUN":
            done = run_command("sh", "-ec", words, cwd=place, environment=variables)
            assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        elif step == "ENV":
            variables |= {word.split("=", 1)[0]: expand(word.split("=", 1)[1]) for word in shlex.split(words)}
        elif step == "CMD":
            command = json.loads(words)
        else:
            assert step in {"FROM", "WORKDIR", "VOLUME", "USER", "EXPOSE"}
    archive = there["ARCHIVE"]
    assert run_command("sh", "-c", "dayfile init $ARCHIVE", environment=variables).returncode == 0
    (archive / "incoming" / STREAM).write_bytes(stream(1, 2))
    words = ["sh", "-c", f"exec {shlex.join(command)}"]
    process = start_command(*words, log=tmp_path / "log", environment=variables)
    try:
        until(lambda: not list((archive / "incoming").iterdir()))
        assert stop(process) == 0, (tmp_path / "log").read_text()
    finally:
        kill(process)
    assert len(open_archive(archive).read("cris.hskp")) == 2


# ---- logrotate

LOGGING = """
import logging, sys
from dayfile.logs import log_as
from dayfile.settings import CoreSettings

log_as("run", CoreSettings(log_file=sys.argv[1], log_days=0))
for line in sys.stdin:
    logging.getLogger("dayfile").warning("line %s", line.strip())
    print("logged", flush=True)
"""


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not on the PATH")
def test_logrotate_moves_the_log_and_no_line_is_lost(tmp_path):
    logs = tmp_path / "logs"
    text = (DEPLOY / "logrotate.conf").read_text().replace("/var/log/dayfile", str(logs))
    (tmp_path / "conf").write_text(text.replace("    su dayfile dayfile\n", ""))
    (tmp_path / "conf").chmod(0o644)
    script = subprocess.Popen(
        [sys.executable, "-c", LOGGING, logs / "frome-{command}.log"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for number in range(4):
            print(number, file=script.stdin, flush=True)
            assert script.stdout.readline() == "logged\n"
            if number == 1:
                logs.chmod(0o755)
                done = run_command("logrotate", "--force", "--state", tmp_path / "state", tmp_path / "conf")
                assert (done.returncode, done.stderr) == (0, "")
                assert not (logs / "frome-run.log").exists()
    finally:
        kill(script)
    (moved,) = logs.glob("frome-run.log-*")
    assert re.findall(r"line (\d)", moved.read_text()) == ["0", "1"]
    assert re.findall(r"line (\d)", (logs / "frome-run.log").read_text()) == ["2", "3"]


def test_the_files_are_all_named_in_the_readme():
    readme = (DEPLOY / "README.md").read_text()
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.name != "README.md"]
    assert [path.name for path in files if path.name not in readme] == []
