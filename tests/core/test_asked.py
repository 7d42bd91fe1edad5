"""Commands that ask a plugin something: its failure has its name, and is never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from archives import configure, make_settings, make_web_application, run_with
from dayfile import hookimpl
from dayfile.errors import PluginError, SettingsError, UsageError
from dayfile.export.base import Day


@pytest.mark.parametrize("hook", ["simulate", "send"])
def test_a_command_that_asks_one_plugin_names_it_without_a_traceback(
    command_with, plugins_of, offender, tmp_path, hook, manners
):
    loaded = plugins_of(badx=offender(manners, hook))
    where = ["--out", tmp_path / "out"] if hook == "simulate" else ["--upload", "http://localhost:1"]
    done = command_with(loaded, "simulate", "badx", "--day", "2024-05-01", *where)
    codes = {"raises SettingsError": 2, "raises StorageError": 4}
    if (hook, manners) == ("send", "answers nothing"):
        assert done.exit_code == 0
        return
    assert done.exit_code == codes.get(manners, 3), done.output
    assert "dayfile: plugin badx: " in done.output
    assert "Traceback" not in done.output


FILES = {
    "text": ["/nowhere"],
    "file that does not exist": [Path("/nowhere")],
    "directory": [Path("/")],
    "file outside": [Path(__file__)],
    "one path": Path(__file__),
    "None in a list": [None],
    "no file": [],
}


@pytest.mark.parametrize("answer", FILES.values(), ids=FILES)
@pytest.mark.parametrize("hook", ["simulate", "export"])
def test_files_that_a_plugin_names_are_files_that_it_wrote(plugins_of, offender, muon, tmp_path, hook, answer):
    names = {"extends": ["muon"], "export_formats": hookimpl(lambda self: ["x"])}  # noqa: ARG005
    loaded = plugins_of(muon=muon.instrument, badx=offender(lambda: answer, hook, **names))
    with pytest.raises(PluginError, match=rf"plugin badx: {hook} "):
        if hook == "simulate":
            loaded.simulate("badx", np.datetime64("2024-05-01"), 1, tmp_path)
        else:
            day = Day(muon.hits, np.datetime64("2024-05-01"), None)
            loaded.export(*loaded.exporters(muon.hits)["x"], day, tmp_path)


@pytest.mark.parametrize("answer", ["fits", 17, [17], [""], [None], ["a\nb"]], ids=repr)
def test_names_of_formats_are_a_list_of_names(
    archive, hits, muon, telescope, plugins_of, offender, command_with, answer
):
    class Broken(type(telescope)):
        @hookimpl
        def export_formats(self):
            return answer

    loaded = plugins_of(muon=Broken(muon.layout, "muon.yaml"))
    archive.drop("MuonHit.be.bin", hits(0))
    archive.run(plugins=loaded)
    words = ["muon.hits", "--day", "1997-10-31", "--archive", archive.root.path, "--out", archive.path / "out"]
    done = command_with(loaded, "export", *words, "--format", "f")
    assert done.exit_code == 3
    assert "plugin muon: export_formats must return a list of names" in done.output


def test_honest_plugins_simulate_and_send(command_with, telescope, plugins_of, offender, tmp_path):
    loaded = plugins_of(muon=telescope)
    assert command_with(loaded, "simulate", "muon", "--day", "2024-05-01", "--out", tmp_path / "out").exit_code == 0
    done = command_with(loaded, "simulate", "muon", "--upload", "http://localhost:1")
    assert (done.exit_code, done.output) == (0, "sent to http://localhost:1\n")


# ---- what concerns everybody


def test_a_settings_file_is_read_though_a_plugin_cannot_read_it(
    archive, hits, telescope, plugins_of, offender, install, tmp_path, manners
):
    path = tmp_path / "settings.yaml"
    path.write_text("duplicates: keep\n")
    loaded = plugins_of(badx=offender(manners, "read_config"), muon=telescope)
    install(loaded)
    _, _, chosen = configure(archive.root.path, "watch.settle=0", config=path)
    archive.drop("MuonHit.be.bin", hits(0, 0))
    report = run_with(archive.root, loaded, chosen)
    assert (archive.seconds(), report.exit_code) == ([0, 0], 3)
    assert [failure.plugin for failure in report.failures] == ["badx"]
    assert report.failures[0].message.startswith("plugin badx: ")


def test_where_a_settings_file_is_not_yaml_either_the_plugin_that_failed_is_named(
    plugins_of, offender, install, command, tmp_path
):
    path = tmp_path / "config.ini"
    path.write_text("[General\n")
    loaded = plugins_of(badx=offender("raises", "read_config"))
    install(loaded)
    done = command("archive-run", "--config", path)
    assert done.code == SettingsError.exit_code
    assert re.search(r"not YAML(.|\n)*plugin badx: read_config failed: RuntimeError: boom", done.err)


@pytest.mark.parametrize(
    "answer",
    [{"publish.aftr": 5}, {"muon.threshold": 5}, {5: 5}, {"archive": 5}, {}, {"publish.after": "never"}],
    ids=repr,
)
def test_settings_that_a_plugin_makes_up_are_its_failure(telescope, plugins_of, offender, tmp_path, answer):
    loaded = plugins_of(badx=offender(lambda: answer, "read_config"), muon=telescope)
    found, failures = loaded.read_config(tmp_path / "x")
    assert found is None
    assert [failure.plugin for failure in failures] == ["badx"]


def test_a_settings_file_that_two_plugins_take_for_theirs_is_refused_and_both_are_named(plugins_of, offender, tmp_path):
    loaded = plugins_of(**{name: offender(lambda: {"publish.after": 5}, "read_config") for name in ("one", "two")})
    with pytest.raises(SettingsError, match="the plugins one and two both recognise this file"):
        loaded.read_config(tmp_path / "x")


def test_the_receiver_serves_the_others_where_the_routes_of_one_fail(
    archive, telescope, plugins_of, offender, caplog, manners
):
    loaded = plugins_of(badx=offender(manners, "routes"), muon=telescope)
    app = make_web_application(archive.root, loaded, make_settings(loaded))
    assert [route.path for route in app.routes] == ["/healthz", "/muon"]
    if manners == "answers nothing":  # as plugins that receive nothing
        assert loaded.failures == []
        return
    assert [failure.plugin for failure in loaded.failures] == ["badx"]
    assert "plugin badx: " in loaded.failures[0].message
    assert "plugin badx: " in caplog.text


@pytest.mark.parametrize(
    ("manners", "kind"),
    [("raises", PluginError), ("raises SettingsError", UsageError), ("answers nothing", UsageError)],
)
def test_a_receiver_without_routes_says_so(archive, plugins_of, offender, manners, kind):
    loaded = plugins_of(badx=offender(manners, "routes"))
    with pytest.raises(kind, match=r"badx.* receives anything by HTTP"):
        make_web_application(archive.root, loaded, make_settings(loaded))
