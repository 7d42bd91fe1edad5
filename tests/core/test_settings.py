"""Settings: who overrules whom, and where a wrong one was set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from dayfile.errors import SettingsError
from dayfile.settings import from_command_line, from_environment, from_file, resolve


class Muon(BaseModel):
    """Settings of a plugin."""

    threshold: int = Field(5, ge=0)
    mode: Literal["fast", "exact"] = "exact"
    station: int | None = None


MODELS = {"muon": Muon}


@pytest.fixture
def yaml_file(tmp_path):
    def make(text):
        path = tmp_path / "archive.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def of_environment(**variables):
    return from_environment(variables, MODELS)


def test_without_any_setting_there_are_the_defaults():
    settings = resolve(MODELS)
    assert settings.plugins["muon"] == Muon()
    assert settings.core.duplicates == "skip"
    assert settings.core.publish_after == 10


# What is set where, and what must come of it: command line over environment over file over default.
@pytest.mark.parametrize(
    ("command_line", "environment", "file", "threshold"),
    [
        (["muon.threshold=1"], {"DAYFILE_MUON__THRESHOLD": "2"}, "muon: {threshold: 3}", 1),
        ([], {"DAYFILE_MUON__THRESHOLD": "2"}, "muon: {threshold: 3}", 2),
        ([], {}, "muon: {threshold: 3}", 3),
        ([], {}, "", 5),
        (["muon.mode=fast"], {}, "muon: {threshold: 3}", 3),
        (["muon.threshold=1", "muon.threshold=7"], {}, "", 7),
    ],
)
def test_the_command_line_overrules_the_environment_and_that_the_file(
    yaml_file, command_line, environment, file, threshold
):
    layers = (
        from_command_line(command_line),
        of_environment(**environment),
        from_file(yaml_file(file), required=True),
    )
    assert resolve(MODELS, *layers).plugins["muon"].threshold == threshold


def test_the_layers_hold_for_the_core_too(yaml_file):
    file = from_file(yaml_file("duplicates: keep\npublish: {after: 30, growth: 2}\n"), required=True)
    environment = of_environment(DAYFILE_PUBLISH__AFTER="20")
    core = resolve(MODELS, from_command_line(["publish.growth=0.25"]), environment, file).core
    assert (core.duplicates, core.publish_after, core.publish_growth) == ("keep", 20, 0.25)


def test_a_section_can_be_written_with_a_dot(yaml_file):
    file = from_file(yaml_file("publish.after: 30\nmuon.threshold: 3\n"), required=True)
    settings = resolve(MODELS, file)
    assert (settings.core.publish_after, settings.plugins["muon"].threshold) == (30, 3)


def test_blanks_around_a_pair_are_no_part_of_it():
    assert resolve(MODELS, from_command_line([" muon.mode = fast "])).plugins["muon"].mode == "fast"


def test_a_value_may_hold_an_equals_sign():
    assert from_command_line(["muon.mode=a=b"])["muon.mode"].value == "a=b"


@pytest.mark.parametrize("pair", ["muon.threshold", "=5", " =5", ""])
def test_what_is_no_pair_is_refused(pair):
    with pytest.raises(SettingsError, match=r"^--set: .* is not KEY=VALUE"):
        resolve(MODELS, from_command_line([pair]))


def test_everything_that_is_wrong_with_options_is_named_at_once(command, tmp_path):
    command("dayfile", "init", "archive", archive=None)
    wrong = ["publish.after", "publish.afer=1", "disk.wait=maybe", "=5", "log.days=-1"]
    done = command("archive-run", *(word for pair in wrong for word in ("--set", pair)))
    assert done.code == 2
    for words in (
        "--set: 'publish.after' is not KEY=VALUE",
        "--set publish.afer: there is no setting 'publish.afer'; did you mean 'publish.after'?; ",
        "--set disk.wait: disk.wait cannot be 'maybe': ",
        "--set: '=5' is not KEY=VALUE",
        "--set log.days: log.days cannot be '-1': ",
    ):
        assert words in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("muon.treshold", "did you mean 'muon.threshold'?"),
        ("moun.mode", "did you mean 'muon.mode'?"),
        ("publish.afer", "did you mean 'publish.after'?"),
        ("publish_after", "did you mean 'publish.after'?"),
        ("zzz.zzz", "one of duplicates, on_conflict, .* more"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_one_that_was_meant(key, hint):
    with pytest.raises(SettingsError, match=rf"^--set {key}: there is no setting '{key}'; {hint}"):
        resolve(MODELS, from_command_line([f"{key}=1"]))


def test_an_unknown_setting_of_a_file_is_told_with_the_file(yaml_file):
    path = yaml_file("muon: {treshold: 1}\n")
    with pytest.raises(SettingsError, match=r"archive\.yaml:1: there is no setting 'muon\.treshold'; did you mean"):
        resolve(MODELS, from_file(path, required=True))


def test_a_misspelt_variable_of_a_section_that_exists_is_refused():
    with pytest.raises(SettingsError, match=r"DAYFILE_MUON__TRESHOLD.*did you mean"):
        resolve(MODELS, of_environment(DAYFILE_MUON__TRESHOLD="1"))


def test_variables_of_others_are_none_of_ours():
    variables = {"DAYFILE_ARCHIVE": "/tmp/a", "PATH": "/bin", "MUON__THRESHOLD": "1", "DAYFILE_OTHER__X": "1"}  # noqa: S108
    assert of_environment(**variables) == {}


@pytest.mark.parametrize(
    ("layer", "where"),
    [
        (lambda _: from_command_line(["muon.threshold=often"]), r"^--set muon\.threshold: "),
        (lambda _: of_environment(DAYFILE_MUON__THRESHOLD="often"), "^environment variable DAYFILE_MUON__THRESHOLD: "),
        (lambda make: from_file(make("muon: {threshold: often}"), required=True), r"archive\.yaml:1: "),
    ],
    ids=["command line", "environment", "file"],
)
def test_a_wrong_value_is_told_with_the_place_where_it_was_set(yaml_file, layer, where):
    with pytest.raises(SettingsError, match=where + r"muon\.threshold cannot be 'often': .*integer"):
        resolve(MODELS, layer(yaml_file))


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("muon.threshold=-1", r"muon\.threshold cannot be '-1': .*greater than or equal to 0"),
        ("muon.mode=slow", r"muon\.mode cannot be 'slow': .*'fast' or 'exact'"),
        ("publish.after=-1", r"publish\.after cannot be '-1': .*greater than or equal to 0"),
        ("publish.growth=0", r"publish\.growth cannot be '0': .*greater than 0"),
        ("duplicates=drop", r"duplicates cannot be 'drop': .*'skip' or 'keep'"),
        ("sources.keep=never", r"sources\.keep cannot be 'never': .*'until-published' or 'always'"),
    ],
)
def test_an_impossible_value_is_refused_with_what_is_possible(pair, message):
    with pytest.raises(SettingsError, match=message):
        resolve(MODELS, from_command_line([pair]))


@pytest.mark.parametrize(
    "pair", ["publish.after=nan", "publish.growth=nan", "watch.rescan=nan", "watch.settle=nan", "watch.settle=inf"]
)
def test_a_time_that_nobody_can_wait_for_is_refused(pair):
    with pytest.raises(SettingsError, match=pair.replace("=", " cannot be ")[:12]):
        resolve(MODELS, from_command_line([pair]))


def test_an_overruled_wrong_value_harms_nobody(yaml_file):
    file = from_file(yaml_file("muon: {threshold: often}"), required=True)
    assert resolve(MODELS, from_command_line(["muon.threshold=4"]), file).plugins["muon"].threshold == 4


def test_a_file_that_need_not_exist_is_no_settings(tmp_path):
    assert from_file(tmp_path / "archive.yaml", required=False) == {}


def test_a_file_that_was_asked_for_must_exist(tmp_path):
    with pytest.raises(SettingsError, match=r"archive\.yaml: cannot be read: No such file"):
        from_file(tmp_path / "archive.yaml", required=True)


def test_a_directory_is_no_settings_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        from_file(tmp_path, required=False)


@pytest.mark.parametrize("text", ["", "# nothing set\n", "muon: {}\n"])
def test_an_empty_file_sets_nothing(yaml_file, text):
    assert from_file(yaml_file(text), required=True) == {}


@pytest.mark.parametrize(
    "text",
    ["muon: {threshold: 1", "muon: !!python/object/apply:os.getpid []", "when: 2017-02-30", "\tx: 1"],
)
def test_a_file_that_is_no_plain_yaml_is_told(yaml_file, text):
    with pytest.raises(SettingsError, match=r"archive\.yaml(:1)?: this is not YAML: [^\n]+$"):
        from_file(yaml_file(text), required=True)


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "archive.yaml").write_bytes(b"muon: \xff\xfe")
    with pytest.raises(SettingsError, match="this is not YAML"):
        from_file(tmp_path / "archive.yaml", required=True)


@pytest.mark.parametrize("text", ["- muon\n", "muon\n", "5\n"])
def test_a_file_that_is_no_mapping_is_told(yaml_file, text):
    with pytest.raises(SettingsError, match=r"archive\.yaml: settings are a mapping"):
        from_file(yaml_file(text), required=True)


def test_a_section_that_was_left_empty_sets_nothing(yaml_file):
    """``muon:`` with every line below it commented out."""
    file = from_file(yaml_file("muon:\n#  threshold: 1\n"), required=True)
    assert resolve(MODELS, file).plugins["muon"] == Muon()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0501", "'0501' is 321 in YAML 1.1 and 501 in YAML 1.2; write one of these"),
        ("8:30", "'8:30' is 510 in YAML 1.1 and a text in YAML 1.2; write 510"),
        ("1_000", "'1_000' is 1000 in YAML 1.1 and a text in YAML 1.2; write 1000"),
        ("0b1", "'0b1' is 1 in YAML 1.1 and a text in YAML 1.2; write 1"),
        ("8:30.5", "write 510.5"),
        ("-0501", "'-0501' is -321 in YAML 1.1 and -501 in YAML 1.2"),
    ],
)
def test_a_number_that_yaml_1_1_and_1_2_read_differently_is_refused_with_its_line(yaml_file, text, words):
    for written in (f"muon:\n  station: {text}\n", f"publish: {{after: 5}}\nmuon: {{station: {text}}}\n"):
        with pytest.raises(SettingsError) as caught:
            from_file(yaml_file(written), required=True)
        assert str(caught.value.where).endswith("archive.yaml:2")
        assert words in str(caught.value)


@pytest.mark.parametrize(("text", "number"), [("501", 501), ("0x1F5", 501), ("07", 7), ("'0501'", 501), ("08", 8)])
def test_a_number_that_all_readers_of_yaml_agree_on_is_taken(yaml_file, text, number):
    settings = resolve(MODELS, from_file(yaml_file(f"muon: {{station: {text}}}"), required=True))
    assert settings.plugins["muon"].station == number


@pytest.mark.parametrize("text", ["yes", "no", "on", "true", "False"])
def test_yes_and_true_are_no_numbers(yaml_file, text):
    with pytest.raises(SettingsError, match=r"archive\.yaml:1: muon\.station cannot be"):
        resolve(MODELS, from_file(yaml_file(f"muon: {{station: {text}}}"), required=True))


def test_a_text_that_yaml_1_1_takes_for_true_or_false_stays_a_text(yaml_file):
    given = from_file(yaml_file("muon: {mode: no}\nflag: true"), required=True)
    assert (given["muon.mode"].value, given["flag"].value) == ("no", True)


@pytest.mark.parametrize("text", ["publish: " + "[" * 5000 + "]" * 5000, "{a: " * 5000 + "1" + "}" * 5000])
def test_settings_that_are_nested_deep_are_refused_with_their_line(yaml_file, text):
    with pytest.raises(SettingsError, match=r"archive\.yaml:2: nested more than 16 deep"):
        from_file(yaml_file(f"# first\n{text}\n"), required=True)


def test_an_alias_within_itself_ends_in_a_message(yaml_file):
    with pytest.raises(SettingsError):
        resolve(MODELS, from_file(yaml_file("muon: &a {station: [*a]}"), required=True))


def test_everything_that_is_wrong_with_a_file_is_named_at_once_with_its_line(command, tmp_path):
    command("dayfile", "init", "archive", archive=None)
    path = tmp_path / "archive" / "archive.yaml"
    path.write_text(
        "hisparc:\n  station_lst: x.csv\ndisk:\n  wait: maybe\n  least_free: 10 GB\nbogus: 1\nduplicates: no\n"
    )
    done = command("archive-run")
    assert done.code == 2
    for words in (
        ":2: there is no setting 'hisparc.station_lst'; did you mean 'hisparc.station_list'?; ",
        ":4: disk.wait cannot be 'maybe': ",
        ":5: disk.least_free cannot be '10 GB': ",
        ":6: there is no setting 'bogus'",
        ":7: duplicates cannot be 'no': ",
    ):
        assert f"archive.yaml{words}" in done.err
    assert done.err.count("\n") == 1


def test_numbers_that_are_wrong_in_two_ways_are_all_named(yaml_file):
    file = from_file(yaml_file("muon: {station: true, threshold: -1}\nwatch: {settle: true}\n"), required=True)
    with pytest.raises(SettingsError) as caught:
        resolve(MODELS, file)
    assert [part.split()[1] for part in str(caught.value).split("; ")] == [
        "muon.station",
        "muon.threshold",
        "watch.settle",
    ]
    with pytest.raises(SettingsError, match=r"archive.yaml:2: '0501'.*archive.yaml:3: '8:30'"):
        from_file(yaml_file("muon:\n  station: 0501\n  threshold: 8:30\n"), required=True)


def test_a_mistake_of_yaml_is_named_with_its_line_in_one_line(command, tmp_path):
    command("dayfile", "init", "archive", archive=None)
    (tmp_path / "archive" / "archive.yaml").write_text("disk:\n  wait: true\n least_free: 1\n")
    done = command("archive-run")
    assert (done.code, "\\n" in done.err) == (2, False)
    assert re.search(r"archive\.yaml:3: this is not YAML: while parsing a block mapping, expected .*\n$", done.err)


# ---- Paths


class Listed(BaseModel):
    """Settings with a path that need not be set."""

    list_of_roofs: Path | None = None
    title: str = ""


@pytest.mark.parametrize(
    ("given", "expected"), [("roofs.csv", "{file}/roofs.csv"), ("../x.csv", "{file}/../x.csv"), ("/x.csv", "/x.csv")]
)
def test_a_path_in_a_file_is_relative_to_the_file(yaml_file, tmp_path, monkeypatch, given, expected):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = yaml_file(f"roof: {{list_of_roofs: {given}, title: {given}}}\nlog.file: {given}\n")
    monkeypatch.chdir(tmp_path)
    told = from_file(Path(path.name), required=True)
    monkeypatch.chdir(elsewhere)
    settings = resolve({"roof": Listed}, told)
    right = Path(expected.format(file=tmp_path))
    assert (settings.core.log_file, settings.plugins["roof"].list_of_roofs) == (right, right)
    assert settings.plugins["roof"].title == given


def test_a_path_of_the_command_line_or_the_environment_is_relative_to_where_the_command_was_called(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert resolve({}, from_command_line(["log.file=logs/x"])).core.log_file == tmp_path / "logs/x"
    assert resolve({}, from_environment({"DAYFILE_LOG__FILE": "x"}, {})).core.log_file == tmp_path / "x"
    assert resolve({}, from_command_line(["log.file="])).core.log_file is None


def test_a_missing_directory_of_the_log_is_made_where_archive_yaml_says(command, tmp_path):
    command("dayfile", "init", "archive", archive=None)
    (tmp_path / "archive" / "archive.yaml").write_text("log: {file: ../logs/of/dayfile, level: info}\n")
    assert command("archive-run").code == 0
    assert (tmp_path / "logs" / "of" / "dayfile").exists()


def test_a_log_that_cannot_be_written_is_named_with_its_absolute_path(command, tmp_path):
    command("dayfile", "init", "archive", archive=None)
    (tmp_path / "archive" / "archive.yaml").write_text("log: {file: archive.yaml/dayfile}\n")
    done = command("archive-run")
    assert done.code == 2
    assert re.match(f"dayfile: {tmp_path}/archive/archive.yaml.*: log.file cannot be written: ", done.err)
