"""Messages count in the right plural: 1 day file, 2 day files."""

from __future__ import annotations

import ast
import datetime as dt
import pickle
import re
from itertools import pairwise
from pathlib import Path

import pytest

import dayfile
import dayfile_cris
import dayfile_hisparc
import dayfile_sis
from dayfile.messages import plural

NOUNS = (
    "records|day files|files|sources|entries|bytes|structs|rows|slots|fields|events|uploads|stations|problems|days|"
    "values|integers|elements|blobs|workers|processes|batches|retries"
)
TEXTS = ("message",)
"""What is a text, not a number."""
COUNTED = re.compile(rf" ({NOUNS})\b")


def counts_in_one_form(path: Path) -> list[str]:
    """Places of a module where a number is followed by a plural whatever the number is; constants are exempt."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for number, text in pairwise(node.values if isinstance(node, ast.JoinedStr) else []):
            if isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant):
                what = ast.unparse(number.value)
                if COUNTED.match(str(text.value)) and not what.isupper() and what not in TEXTS:
                    found.append(f"{path.name}:{number.lineno}: {what}{text.value}")
        if isinstance(node, ast.Constant) and re.search(f"%d{COUNTED.pattern}", str(node.value)):
            found.append(f"{path.name}:{node.lineno}: {node.value}")
    return found


@pytest.mark.parametrize("package", [dayfile, dayfile_hisparc, dayfile_cris, dayfile_sis])
def test_no_message_counts_in_the_plural_only(package):
    modules = Path(package.__path__[0]).rglob("*.py")
    assert [place for path in modules for place in counts_in_one_form(path)] == []


def test_nouns_have_their_plural():
    words = [plural(number, noun) for number in (0, 1, 2) for noun in ("entry", "day", "batch", "day file")]
    assert words == [
        *("0 entries", "0 days", "0 batches", "0 day files"),
        *("1 entry", "1 day", "1 batch", "1 day file"),
        *("2 entries", "2 days", "2 batches", "2 day files"),
    ]


def test_one_of_anything_is_in_the_singular(command, tmp_path):
    event = {"header": {"eventtype_uploadcode": "CIC", "datetime": dt.datetime(2024, 5, 1), "nanoseconds": 5}}
    event["datalist"] = []
    (tmp_path / "up").write_bytes(pickle.dumps({"station_id": 501, "cluster": "A", "event_list": [event]}, 2))
    (tmp_path / "L1CrisHskp.be.bin").write_bytes(b"c")
    runs = [command("archive-run", "up", "--plugins", "hisparc"), command("archive-run", "L1CrisHskp.be.bin")]
    listings = [command("dayfile", *words) for words in (["quarantine", "ls"], ["check"], ["show", "hisparc.events"])]
    text = "".join(done.out + done.err for done in [*runs, *listings])
    assert "1 day file published" in text
    assert "1 of 1 record\n" in text
    assert "1 byte is not a whole number of" in text
    assert "1 entry\n" in text
    assert "1 day file checked" in text
    assert re.findall(rf"(?<![\d,.])1 (?:{NOUNS})\b", text) == []
