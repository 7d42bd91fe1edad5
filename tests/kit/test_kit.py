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

from dayfile.testing import PluginContract

HERE = Path(__file__).parent
MB = 1_000_000
SAMPLES = (("first.rain", make_sample()), ("second.rain", make_sample(DAY + 200_000, count=90)))
RULES = [name.removeprefix("test_") for name, _ in inspect.getmembers(PluginContract) if name.startswith("test_")]


class RainContract(PluginContract):
    plugin: ClassVar = {"rain": Rain()}
    sources = SAMPLES
    large_bytes = 150 * MB
    memory_bytes = 130 * MB

    def grow(self, source):
        return itertools.chain([HEAD], itertools.repeat(source.content[len(HEAD) :]))


class TestRain(RainContract):
    """The good plugin keeps all rules."""


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
