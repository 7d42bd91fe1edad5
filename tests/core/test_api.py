"""An archive as a program opens it: with plugins and settings of its own, or those that are installed."""

from __future__ import annotations

import pytest

from dayfile import create_archive, hookimpl, open_archive
from dayfile.api import Archive
from dayfile.errors import SettingsError, UsageError

WRITTEN, CONFLICT, IDENTICAL = 0, 1, 3


def rates(muon, second, *temperatures):
    return muon.records("rates", [{"second": muon.start + second, "temperature": each} for each in temperatures])


def test_instruments_that_are_not_installed_are_handed_in_as_objects(muon, tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"muon": muon.instrument})
    assert archive.plugins.names == ["muon"]
    assert archive.put("muon.rates", rates(muon, 0, 1)).tolist() == [WRITTEN]
    assert len(open_archive(tmp_path / "archive").read("muon.rates")) == 1


def test_loaded_plugins_are_taken_as_they_are(muon, plugins_of, tmp_path):
    plugins = plugins_of(muon=muon.instrument)
    assert create_archive(tmp_path / "archive", plugins=plugins).plugins is plugins


def test_only_the_plugins_that_are_named_are_loaded(muon, school, tmp_path, installed):
    installed(muon=muon.layout, school=school.layout)
    create_archive(tmp_path / "archive")
    assert {"muon", "school"} <= set(open_archive(tmp_path / "archive").plugins.names)
    chosen = open_archive(tmp_path / "archive", plugins=["school"])
    assert chosen.plugins.names == ["school"]
    with pytest.raises(UsageError, match=r"no installed plugin has the data type 'muon\.rates'"):
        chosen.put("muon.rates", rates(muon, 0, 1))


@pytest.mark.parametrize(
    ("plugins", "message"),
    [(["moun"], "no plugin 'moun' is installed; did you mean 'muon'"), ("muon", r"such as \['muon'\], not a text")],
)
def test_a_plugin_that_is_not_installed_is_refused_and_nothing_made(muon, tmp_path, installed, plugins, message):
    installed(muon=muon.layout)
    with pytest.raises(UsageError, match=message):
        create_archive(tmp_path / "archive", plugins=plugins)
    assert not (tmp_path / "archive").exists()


class Broken:
    @hookimpl
    def data_types(self):
        return 17


def test_what_is_wrong_with_an_object_is_in_the_message_of_a_put(muon, tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"muon": muon.instrument, "broken": Broken()})
    assert [failure.plugin for failure in archive.plugins.failures] == ["broken"]
    with pytest.raises(UsageError, match=r"the data type 'sand\.grains'.*plugin broken failed"):
        archive.put("sand.grains", rates(muon, 0, 1))


def test_settings_go_before_the_environment_and_the_file_and_hold_for_one_object(muon, tmp_path, monkeypatch):
    plugins = {"muon": muon.instrument}
    create_archive(tmp_path / "archive")
    file = tmp_path / "archive" / "archive.yaml"
    file.write_text("on_conflict: overlap\nsources.keep: always\n")
    monkeypatch.setenv("DAYFILE_ON_CONFLICT", "keep")
    other = open_archive(tmp_path / "archive", plugins=plugins)
    archive = open_archive(tmp_path / "archive", plugins=plugins, settings={"on_conflict": "replace"})
    assert archive.put("muon.rates", rates(muon, 0, 1, 2)).tolist() == [WRITTEN, CONFLICT]
    assert archive.settings.core.on_conflict == "replace"
    assert (other.settings.core.on_conflict, other.settings.core.sources_keep) == ("keep", "always")
    assert file.read_text() == "on_conflict: overlap\nsources.keep: always\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"on_conflct": "keep"}, "settings: there is no setting 'on_conflct'; did you mean 'on_conflict'"),
        ({"on_conflict": "both"}, "settings: on_conflict cannot be 'both'"),
        ({"publish.after": True}, "settings: publish.after cannot be True: it must be a number"),
        ({"publish": {"after": 3}}, "settings: there is no setting 'publish'"),
        ({"school.name": "x"}, "settings: there is no setting 'school.name'"),
        ({3: 3}, "settings: there is no setting '3'"),
        (["publish.after=3"], "a mapping of names to values"),
    ],
)
def test_a_wrong_setting_is_refused_at_once_and_nothing_made(muon, tmp_path, settings, message):
    plugins = {"muon": muon.instrument}
    with pytest.raises(SettingsError, match=message):
        create_archive(tmp_path / "archive", plugins=plugins, settings=settings)
    assert not (tmp_path / "archive").exists()
    create_archive(tmp_path / "archive")
    with pytest.raises(SettingsError, match=message):
        open_archive(tmp_path / "archive", plugins=plugins, settings=settings)


def test_the_file_is_read_when_records_are_first_put(muon, tmp_path):
    archive = create_archive(tmp_path / "archive", plugins={"muon": muon.instrument}, settings={"publish.after": 3})
    (archive.root.path / "archive.yaml").write_text("on_conflict: keep\n")
    assert archive.put("muon.rates", rates(muon, 0, 1, 2, 1)).tolist() == [WRITTEN, CONFLICT, IDENTICAL]
    assert (archive.settings.core.on_conflict, archive.settings.core.publish_after) == ("keep", 3.0)


def test_reading_loads_no_plugin(muon, tmp_path):
    create_archive(tmp_path / "archive", plugins={"muon": muon.instrument}).put("muon.rates", rates(muon, 0, 1))
    archive = open_archive(tmp_path / "archive")
    assert len(archive.read("muon.rates")) == 1
    assert "plugins" not in vars(archive)


def test_the_public_names_are_those_of_the_api():
    import dayfile

    assert (dayfile.Archive, dayfile.open_archive) == (Archive, open_archive)
