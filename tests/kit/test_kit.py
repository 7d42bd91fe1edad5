"""The conformance kit: a good plugin passes all of it, and for each rule plugins that break it are caught."""

from __future__ import annotations

import inspect
import itertools
import sys
from pathlib import Path
from typing import ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the plugins of these tests are beside them

from bad_plugins import BAD
from rain import DAY, HEAD, Rain, make_sample
from wind import SilentWind, Wind, make_lines

from dayfile import Instrument
from dayfile.testing import PluginContract
from running import run_python

HERE = Path(__file__).parent
MB = 1_000_000
SAMPLES = (("first.rain", make_sample()), ("second.rain", make_sample(DAY + 200_000, count=90)))
RULES = [name.removeprefix("test_") for name, _ in inspect.getmembers(PluginContract) if name.startswith("test_")]


class RainContract(PluginContract):
    plugin: ClassVar = {"rain": Rain()}
    sources = SAMPLES
    counts: ClassVar = {"second.rain": 90}
    large_bytes = 150 * MB
    memory_bytes = 130 * MB

    def grow(self, source):
        return itertools.chain([HEAD], itertools.repeat(source.content[len(HEAD) :]))


class TestRain(RainContract):
    """The good plugin keeps all rules."""


class TestWind(PluginContract):
    """So does one whose format cannot notice every damage: a flipped bit can make a comment of a line."""

    plugin: ClassVar = {"wind": Wind()}
    sources = (("first.wind", make_lines(DAY + 85_000)), ("second.wind", make_lines(DAY + 200_000, 100)))
    not_large_because = "a file has the lines of one day"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"plugin": ""}, "give the name of the plugin"),
        ({"plugin": "moun"}, "no plugin 'moun' is installed"),
        ({"plugin": {"rain": Instrument("instrument: rain\ntitel: Rain", "rain.yaml")}}, "rain.yaml:2:1"),
        ({"sources": ["gone.rain"]}, "gone.rain: this sample does not exist"),
        ({"settings": {"rain.colour": 1}}, "rain.colour"),
    ],
)
def test_a_plugin_that_cannot_be_tried_is_a_failure_that_says_why(given, words, tmp_path):
    contract = type("Contract", (RainContract,), given)()
    with pytest.raises(pytest.fail.Exception) as caught:
        contract.test_sources_are_recognised(contract.load_subject(tmp_path))
    assert words in str(caught.value)


def test_without_pytest_it_says_what_to_install():
    done = run_python("-c", "import sys; sys.modules['pytest'] = None; from dayfile.testing import PluginContract")
    assert 'PluginContract needs pytest; install it with: pip install "dayfile[testing]"' in done.stderr


@pytest.mark.parametrize("rule", ["truncated_sources_lose_nothing_silently", "flipped_bits_lose_nothing_silently"])
def test_a_plugin_that_leaves_out_lines_is_caught_even_so(rule, tmp_path):
    contract = type("Contract", (TestWind,), {"plugin": {"wind": SilentWind()}})()
    with pytest.raises(pytest.fail.Exception, match="say nothing about the others"):
        getattr(contract, f"test_{rule}")(contract.load_subject(tmp_path))


def test_there_are_bad_plugins_for_every_rule():
    assert sorted(BAD) == sorted(RULES)


@pytest.mark.parametrize(
    ("rule", "kind", "words"),
    [
        pytest.param(rule, kind, words, id=f"{rule}-{kind.__name__}")
        for rule in BAD
        for kind, words in BAD[rule].items()
    ],
)
def test_a_plugin_that_breaks_a_rule_is_caught(rule, kind, words, tmp_path, capsys):
    contract = type("Contract", (RainContract,), {"plugin": {"rain": kind()}})()
    offered = {"subject": contract.load_subject(tmp_path), "capsys": capsys, "record_property": lambda *_: None}
    test = getattr(contract, f"test_{rule}")
    with pytest.raises(pytest.fail.Exception) as caught:
        test(**{name: offered[name] for name in inspect.signature(test).parameters})
    assert words in str(caught.value)
