"""Commands fit the screen, and what they print can be used by other programs."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import struct
import subprocess
import termios
import tomllib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import typer

from dayfile import Instrument, create_archive
from dayfile.cli import app
from instruments import SCHOOL, Muon
from running import call_command, find_program, run_command

CHECKOUT = Path(__file__).parents[2]


def list_commands(command, words=()):
    """The words of every command."""
    if words:
        yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from list_commands(inner, (*words, name))


COMMANDS = [(), *list_commands(typer.main.get_command(app))]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with an archive of muons and schools."""
    path = tmp_path_factory.mktemp("screens")
    plugins = {"muon": Muon().instrument, "school": Instrument(SCHOOL, "school.yaml")}
    archive = create_archive(path / "archive", plugins=plugins)
    types = archive.plugins.data_types
    hits = np.zeros(30, types["muon.hits"].dtype)
    hits["second"] = Muon.start + np.arange(30) * 60
    hits["energy"], hits["channel"], hits["label"] = np.linspace(0.1, 3, 30), 5, b"hv.ch"
    rates = np.zeros(3, types["muon.rates"].dtype)
    rates["second"] = Muon.start + np.arange(3) * 256
    rates["temperature"], rates["counts"], rates["label"] = 13.07, [1, 2, 3], b"roof"
    events = np.zeros(4, types["school.events"].dtype)
    events["timestamp"], events["traces"] = 878256000 + np.arange(4), -1
    with archive.putting() as put:
        put("muon.hits", hits)
        put("muon.rates", rates)
        for station in (501, 502, 510):
            put("school.events", events, station=station)
    return path


@pytest.fixture
def screen(place, monkeypatch):
    """Call a command in that directory, on a screen of some columns."""
    monkeypatch.chdir(place)

    def call(*words, columns=80, code=0):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = call_command("dayfile", *words)
        assert done.code == code, done.err
        return (done.err if code else done.out).splitlines()

    return call


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("columns", [80, 200])
def test_help_fits_the_screen_and_flags_have_no_type(screen, words, columns):
    lines = screen(*words, "-h", columns=columns)
    assert lines[0].startswith(f"Usage: dayfile {' '.join(words)}".rstrip())
    assert "[[" not in lines[0]
    assert max(map(len, lines)) <= 80
    assert not [
        line for line in lines if "<bool>" in line or "int range" in line or "<str>" in line or "<path>" in line
    ]
    assert not [line for line in lines[1:] if line.endswith(("...", "…")) and "COMMAND" not in line]


def test_help_is_a_command_too(screen):
    assert screen("help", "quarantine", "ls") == screen("quarantine", "ls", "-h")
    assert screen("help")[0] == "Usage: dayfile [OPTIONS] COMMAND [ARGS]..."
    assert "no command 'shwo'; did you mean 'show'?" in screen("help", "shwo", code=2)[0]


LISTINGS = [
    ["check"],
    ["check", "--deep"],
    ["plugins"],
    ["quarantine", "ls"],
    ["coverage", "muon.hits", "--by", "month"],
    ["reindex"],
    ["describe", "cris.events"],
    ["ls"],
    ["ls", "--days"],
    ["ls", "--by", "station"],
    ["show", "muon.hits"],
    ["show", "muon.rates"],
    ["show", "school.events", "--rows", "9"],
    ["describe", "muon.hits", "--archive", "archive"],
    ["coverage", "muon.hits"],
    ["gaps", "muon.hits"],
]


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
@pytest.mark.parametrize("columns", [80, 200])
def test_listings_fit_the_screen(screen, words, columns):
    assert max(map(len, screen(*words, columns=columns))) <= columns


def read_terminal(words, directory, columns):
    """Run one of the programs on a terminal of some columns, and return its screen without colours."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [find_program(words[0]), *words[1:]], cwd=directory, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # as Linux says that the last process has closed a terminal
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
    assert process.returncode in (0, 3), shown
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_messages_are_broken_between_words(tmp_path, columns):
    run_command("dayfile", "simulate", "cris", "--day", "1997-10-31", "--out", "sample", cwd=tmp_path)
    (whole,) = (tmp_path / "sample").glob("*.hdf")
    (tmp_path / "first part of a file.hdf").write_bytes(whole.read_bytes()[:100_000])
    (tmp_path / "and a shorter part of it.hdf").write_bytes(whole.read_bytes()[:50_000])
    sources = sorted(map(str, tmp_path.glob("*.hdf")))
    screens = [
        read_terminal(words, tmp_path, columns)
        for words in (
            ["archive-run", "--plugins", "cris", *sources],
            ["dayfile", "quarantine", "ls"],
            ["dayfile", "quarantine", "ls", "--each"],
            ["dayfile", "check"],
            ["dayfile", "info"],
        )
    ]
    assert "2 quarantined" in "".join(screens[0])
    for lines in screens:
        assert not [line for line in lines if len(line) > columns and " " in line.strip()]
    assert screens[1][-1] == "2 entries; --each lists them"


def test_the_numbers_of_a_run_fit_the_screen(tmp_path):
    done = run_command("dayfile", "simulate", "cris", "--day", "1997-10-31", "--out", "sample", cwd=tmp_path)
    assert done.returncode == 0
    lines = run_command("archive-run", "sample", "--plugins", "cris", cwd=tmp_path).stdout.splitlines()
    assert lines[1].split() == ["records", "written", "identical", "overlap", "rejected"]
    assert max(map(len, lines[1:])) <= 80
    assert lines[-2] == "sources: 5 archived, 0 already, 0 quarantined, 0 held, 0 left"
    assert re.fullmatch(r"10 day files published in [0-9.]+ s", lines[-1])


def test_ls_has_times_to_the_second_where_they_fit(screen):
    assert screen("ls", columns=70)[1].split()[-2:] == ["1997-10-31", "00:29"]
    assert screen("ls", columns=80)[1].split()[-2:] == ["1997-10-31", "00:29:00"]


def test_ls_lists_days_and_types(screen):
    assert screen("ls", "--days", "--type", "muon.hits") == [
        "muon.hits",
        "  day             records  first (UTC)          last (UTC)",
        "  1997-10-31           30  1997-10-31 00:00:00  1997-10-31 00:29:00",
    ]
    days = json.loads("\n".join(screen("ls", "--days", "--json")))
    assert {day["type"]: day["records"] for day in days} == {"muon.hits": 30, "muon.rates": 3, "school.events": 12}
    assert "did you mean 'muon.hits'?" in screen("ls", "--type", "muon.hit", code=2)[0]
    assert "ask for one of them" in screen("ls", "--days", "--by", "station", code=2)[0]


def test_show_prints_numbers_and_texts_as_they_are_meant(screen):
    lines = screen("show", "muon.rates", "--fields", "temperature,label,counts")
    assert lines[1].split() == ["1997-10-31T00:00:00", "13.07", "roof", "[1", "2", "3]"]


def test_wide_records_are_columns_with_units(screen):
    lines = screen("show", "muon.rates", columns=65)
    names = [re.split("  +", line)[0] for line in lines]
    assert names[:3] == ["time (UTC)", "quality", "second [s]"]
    assert lines[-1] == "2 of 3 records; --rows shows more"
    assert max(map(len, lines)) <= 65
    everything = screen("show", "muon.rates", "--rows", "3", columns=65)
    assert everything[-1] == "3 of 3 records"
    assert everything.count("") == 1  # a second block
    assert len(screen("show", "muon.rates", columns=80)) == 5  # a head, a line each, and how many there are


@pytest.mark.parametrize(
    "words", [["--station", "501"], ["--station=501"], ["--key", "station=501"], ["--key=station=501"]]
)
def test_a_key_is_an_option_by_its_name_wherever_it_stands(screen, words):
    expected = screen("show", "school.events", "--csv", "--key", "station=501")
    assert len(expected) == 5
    assert screen("show", "school.events", *words, "--csv") == expected
    assert screen("show", *words, "--csv", "school.events") == expected
    assert screen("coverage", "school.events", *words) == screen("coverage", "school.events", "--key", "station=501")


def test_several_values_of_a_key_have_commas_between(screen):
    assert len(screen("show", "school.events", "--station", "501,510", "--csv")) == 9


def test_an_unknown_option_is_no_key_if_it_is_like_one_of_the_command(screen):
    message = screen("show", "school.events", "--form", "1997", code=2)[0]
    assert message == "dayfile: show has no option --form; did you mean '--from'?"
    assert "did you mean 'station'?" in screen("show", "school.events", "--statoin", "501", code=2)[0]
    assert "no station 999; stations: 501, 502, 510" in screen("show", "school.events", "--station", "999", code=2)[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("show", "show needs TYPE; see 'dayfile show -h'"),
        ("plot muon.hits", "plot needs --out FILE; see 'dayfile plot -h'"),
        ("shwo", "no command 'shwo'; did you mean 'show'?"),
        ("quarantine lss", "no command 'lss'; did you mean 'ls'?"),
        ("ls --bye x", "ls has no option --bye; did you mean '--by'?"),
        ("ls -z", "ls has no option -z; see 'dayfile ls -h'"),
        ("ls more", "got unexpected extra argument"),
        ("coverage muon.hits --by week", "--by: 'week' is not one of 'day', 'month'"),
        ("show muon.hits --rows x", "--rows: "),
        ("show muon.hits --rows", "option '--rows' requires an argument"),
        ("--verison", "dayfile has no option --verison; did you mean '--version'?"),
    ],
)
def test_a_wrong_command_line_is_one_message_like_other_errors(screen, words, message):
    lines = screen(*words.split(), code=2)
    assert len(lines) == 1
    assert lines[0].startswith(f"dayfile: {message}")


def test_long_lists_of_names_are_cut(screen, place):
    fields = "".join(f"      - {{name: field{number}, type: uint8}}\n" for number in range(60))
    wide = SCHOOL.replace("instrument: school", "instrument: wide").replace(
        "    fields:\n", f"    fields:\n{fields}", 1
    )
    assert wide.count("field59") == 1
    many = create_archive(place / "many", plugins={"wide": Instrument(wide, "wide.yaml")})
    (name,) = [each for each in many.plugins.data_types if each.endswith("events")]
    events = np.zeros(1, many.plugins.data_types[name].dtype)
    events["timestamp"], events["traces"] = 878256000, -1
    many.put(name, events, station=501)
    (message,) = screen("show", name, "--fields", "xyz", "--archive", "many", code=2)
    assert len(message) < 300
    assert message.endswith(" more")


def test_show_at_a_time(screen):
    lines = screen("show", "muon.rates", "--at", "1997-10-31T00:05", "--fields", "temperature")
    assert lines[1].split() == ["1997-10-31T00:04:16", "13.07"]
    assert "--at is one time" in screen("show", "muon.rates", "--at", "1997-10-31", "--to", "1998", code=2)[0]


def test_json_and_csv_have_all_records_and_an_empty_place_for_what_is_missing(screen):
    rows = json.loads("\n".join(screen("show", "muon.hits", "--json", "--fields", "energy,label")))
    assert len(rows) == 30
    assert rows[0] == {"time": "1997-10-31T00:00:00.000000000Z", "energy": 0.1, "label": "hv.ch"}
    table = list(csv.DictReader(io.StringIO("\n".join(screen("show", "muon.rates", "--csv")))))
    assert len(table) == 3
    assert [table[0][f"counts[{place}]"] for place in range(3)] == ["1", "2", "3"]
    assert table[0]["temperature"] == "13.07"
    assert len(screen("show", "muon.hits", "--csv", "--rows", "2")) == 3
    assert screen("show", "muon.hits", "--json", "--where", "energy > 99") == ["[]"]
    assert "ask for one of them" in screen("show", "muon.hits", "--json", "--csv", code=2)[0]


def test_a_wrong_field_gets_a_suggestion_and_keys_can_be_chosen(screen):
    assert "did you mean 'energy'?" in screen("show", "muon.hits", "--fields", "enrgy", code=2)[0]
    assert screen("show", "school.events", "--fields", "station", "--csv")[0] == "time,station"


@pytest.mark.parametrize(
    "words", [["plot", "muon.hits", "-o"], ["coverage", "muon.hits", "--png"], ["gaps", "muon.hits", "--png"]]
)
def test_commands_draw_into_files(screen, place, words):
    assert screen(*words, "a.png")[0].startswith("a.png")
    assert (place / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "a picture is a .png, .svg or .pdf file" in screen(*words, "a.gif", code=2)[0]


def test_info_names_versions_and_places_and_no_secret(screen, monkeypatch, place):
    monkeypatch.setenv("DAYFILE_HISPARC__PASSWORD", "secret-of-mine")
    lines = screen("info")
    text = "\n".join(lines)
    for word in ("dayfile", "Python", "HDF5", "numpy", "plugin hisparc", str(place / "archive"), "3 data types"):
        assert word in text
    assert "DAYFILE_HISPARC__PASSWORD" in text
    assert "secret-of-mine" not in text
    assert json.loads("\n".join(screen("info", "--json")))["archive has"] == "3 data types, 45 records"
    assert "nowhere" in "\n".join(screen("info", "--archive", "nowhere"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dayfile show muon.h", "muon.hits"),
        ("dayfile show muon.hits --fields energy,ch", "energy,channel"),
        ("dayfile plot muon.hits --kind hist", "histogram"),
        ("dayfile run --plugins hisparc,cr", "hisparc,cris"),
        ("dayfile simulate si", "sis"),
        ("dayfile describe sis.hs", "sis.hskp"),
        ("dayfile cov", "coverage"),
    ],
)
def test_the_shell_completes_names(place, line, expected):
    words = {"_DAYFILE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = run_command("dayfile", cwd=place, environment=words)
    assert done.stdout.split() == [expected]


def test_nothing_is_completed_and_nothing_said_without_an_archive(tmp_path):
    words = {"_DAYFILE_COMPLETE": "complete_bash", "COMP_WORDS": "dayfile show x", "COMP_CWORD": "2"}
    done = run_command("dayfile", cwd=tmp_path, environment=words)
    assert done.stdout.strip() == done.stderr == ""


def test_the_extra_all_installs_every_other_extra():
    extras = tomllib.loads((CHECKOUT / "core" / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras.pop("all")
    assert set(everything.removeprefix("dayfile[").removesuffix("]").split(",")) == set(extras)
