"""The words of the project: what README and tutorial show is what happens, and the reference leaves nothing out."""

from __future__ import annotations

import ast
import doctest
import html
import importlib
import inspect
import os
import pkgutil
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

import dayfile
import dayfile_cris
import dayfile_hisparc
import dayfile_sis
from dayfile import errors, hookspecs
from dayfile.cli import app
from dayfile.formats.registry import CORE_FORMATS
from dayfile.layouts import schema
from dayfile.settings import CoreSettings
from running import run_python

CHECKOUT = Path(__file__).parents[2]
PARTS = ("core", "plugins/hisparc", "plugins/cris", "plugins/sis")
PACKAGES = (dayfile, dayfile_hisparc, dayfile_cris, dayfile_sis)

PAGES_TO_FOLLOW = (
    "README.md",
    "docs/tutorial.md",
    "docs/first_detector.md",
    "docs/formats.md",
    "docs/own_format.md",
    "docs/reading.md",
    "docs/looking.md",
    "docs/instruments/hisparc.md",
    "docs/instruments/ace.md",
    *(f"{part}/README.md" for part in PARTS),
)

# Commands that set up an environment are not run again: the tests run in one already, and need no network.
SETS_UP = re.compile(r"make |python3 -m venv |\. venv/|pip install (?!--quiet \./(muon|radon|tilt|scope)$)")
BLOCK = re.compile(r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``file`` is the path that stands before it, if one does."""

    language: str
    text: str
    file: str


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(match["language"], match["text"], match["file"] or "") for match in found]


class Reader:
    """Somebody who follows a page in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.installed = directory / "installed"
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DAYFILE_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.installed),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def follow(self, block: Block) -> None:
        if block.file:
            path = self.directory / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            session = list(commands_of(block.text))
            for command, shown in session:
                # A block without any output lists commands only.
                self.run(command, shown if any(shown for _, shown in session) else ["..."])
        elif block.language == "python":
            self.execute(block.text)

    def run(self, command: str, shown: list[str]) -> None:
        if SETS_UP.match(command):
            return
        # What the page installs goes into the directory, not into the environment of the tests, and from what is here.
        here = f"{sys.executable} -m pip install --no-index --no-deps --no-build-isolation --target {self.installed}"
        line = command.replace("pip install", here, 1) if command.startswith("pip install") else command
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        real = {normal(text) for text in done.stdout.splitlines()}
        for text in shown:
            assert text == "..." or normal(text) in real, f"$ {command}\n{text!r} is not in\n{done.stdout}"
        if "..." not in shown:
            assert len(shown) == len(done.stdout.splitlines()), f"$ {command}\nshows not all of\n{done.stdout}"

    def execute(self, text: str) -> None:
        if not text.startswith(">>>"):
            exec(compile(text, "page", "exec"), self.names)  # noqa: S102 - it is our own page
            return
        example = doctest.DocTestParser().get_doctest(text, {}, "page", None, 0)
        example.globs = self.names
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        done = runner.run(example, out=report.append, clear_globs=False)
        assert not done.failed, "".join(report)


def commands_of(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, and the lines that are shown after it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


def normal(line: str) -> str:
    """A line without what differs from run to run or from one zlib to another: seconds, sizes, spaces at its end.

    Nor where the reader's directory is, nor the name of an entry in quarantine.
    """
    line = re.sub(r"^made the archive /.*/", "made the archive ", line)
    line = re.sub(r"quarantine/\d{4}-\d\d-\d\d-\w{12}$", "quarantine/DATE-ID", line)
    return re.sub(r"\b\d+\.\d+ ?(s|MB)\b", r"N \1", line.rstrip())


@pytest.mark.parametrize("page", PAGES_TO_FOLLOW)
def test_what_a_page_shows_is_what_happens(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    reader = Reader(tmp_path)
    found = blocks(CHECKOUT / page)
    assert any(block.language == "console" for block in found)
    for block in found:
        reader.follow(block)
    for picture in pictures_in_the_checkout(CHECKOUT / page):
        assert (tmp_path / picture.name).read_bytes() == picture.read_bytes(), f"copy {picture.name} to {picture}"


def pictures_in_the_checkout(page: Path) -> list[Path]:
    """The pictures that a page shows and that are kept; those of the documentation are made when it is built."""
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    return [page.parent / link for link in links if not link.startswith("pictures/")]


def test_the_plugin_table_counts_the_data_types():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for package in (dayfile_hisparc, dayfile_cris, dayfile_sis):
        name = package.__name__.replace("_", "-")
        row = next(line for line in text.splitlines() if line.startswith(f"| [`{name}`]"))
        assert row.split("|")[-2].strip() == str(len(package.instrument.layout.types))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)", (CHECKOUT / page).read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (CHECKOUT / link).exists()]
    assert not missing


def test_the_layout_and_the_complaint_in_the_page_on_layouts_are_real():
    found = blocks(CHECKOUT / "docs" / "layouts.md")
    layout = next(block.text for block in found if block.language == "yaml")
    complaint = next(block.text for block in found if block.text.startswith("muon.yaml:"))
    assert dayfile.Instrument(layout, "muon.yaml").layout.types[0].name == "muon.counts"
    with pytest.raises(dayfile.LayoutError) as caught:
        dayfile.Instrument(layout.replace("uint32", "unit32"), "muon.yaml").layout  # noqa: B018 - compiles it
    assert str(caught.value) == complaint.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The documentation, built from a copy of the pages."""
    copy = tmp_path_factory.mktemp("checkout")
    for pages in ("docs", "deploy"):  # a page shows a file of the latter
        shutil.copytree(CHECKOUT / pages, copy / pages, ignore=shutil.ignore_patterns("_build", "__pycache__"))
    for page in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(CHECKOUT / page, copy)
    done = run_python("-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "built", cwd=copy)
    assert done.returncode == 0, done.stderr
    return copy / "built"


def text_of(page: Path) -> str:
    """What a reader sees of a page, each run of blanks as one."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))).split())


def entries_of(page: Path) -> dict[str, str]:
    """Text of the entries of all definition lists of a page by their term."""
    entries = re.findall(r"<dt>(.*?)</dt>\s*((?:<dd>.*?</dd>\s*)*)", page.read_text(encoding="utf-8"), re.DOTALL)
    return {re.sub(r"<[^>]+>", "", term): re.sub(r"<[^>]+>", "", text).strip() for term, text in entries}


def test_the_generated_pages_are_what_the_code_says():
    directory = CHECKOUT / "docs" / "reference" / "generated"
    pages = {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}
    generated = runpy.run_path(str(CHECKOUT / "docs" / "from_code.py"))["pages"]()
    stale = [name for name in pages.keys() | generated.keys() if pages.get(name) != generated.get(name)]
    assert not stale, "run 'make reference' and commit what it changes"


def test_the_documentation_builds_without_warnings(built):
    assert (built / "index.html").is_file()


def hooks() -> list[str]:
    return [name for name, value in vars(hookspecs).items() if hasattr(value, "dayfile_spec")]


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_documented_with_its_exact_signature(hook, built):
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    assert f"{hook}{signature}" in text_of(built / "reference" / "hooks.html")


def vocabulary() -> list[type[BaseModel]]:
    models = [getattr(schema, name) for name in schema.__all__]
    return [*models, *(each.words for each in CORE_FORMATS if each.words is not None)]


@pytest.mark.parametrize("model", vocabulary())
def test_every_word_of_a_layout_is_documented(model, built):
    entries = entries_of(built / "layouts.html")
    for word in (field.alias or name for name, field in model.model_fields.items()):
        assert entries[word], word


def test_every_setting_is_documented(built):
    entries = entries_of(built / "reference" / "settings.html")
    names = [field.alias or name for name, field in CoreSettings.model_fields.items()]
    names += [f"hisparc.{name}" for name in dayfile_hisparc.HisparcSettings.model_fields]
    for name in names:
        assert entries[name], name


def commands(command, words: tuple[str, ...] = ()) -> Iterator[str]:
    if words:
        yield " ".join(words)
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(app))))
def test_every_command_is_documented(command, built):
    assert f"Usage: dayfile {command}" in text_of(built / "reference" / "commands.html")


def test_every_error_is_documented_with_its_exit_code(built):
    page = (built / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in errors.__all__:
        row = rf"<td><p>{getattr(errors, name).exit_code}</p></td>\s*<td><p><code[^>]*><span[^>]*>{name}</span>"
        assert re.search(row, page), name


def test_every_public_name_is_documented(built):
    page = (built / "reference" / "api.html").read_text(encoding="utf-8")
    for name in dayfile.__all__:
        home = "dayfile.errors" if name in errors.__all__ else "dayfile"
        assert f'id="{home}.{name}"' in page or f"{home}.{name}" in text_of(built / "reference" / "api.html"), name


@pytest.mark.parametrize("package", [dayfile_hisparc, dayfile_cris, dayfile_sis])
def test_every_data_type_is_documented(package, built):
    instrument = package.instrument.layout.words.instrument
    entries = entries_of(built / "instruments" / f"{instrument}.html")
    for data_type in package.instrument.data_types():
        assert data_type.code in entries[data_type.name]


def modules() -> Iterator[str]:
    for package in PACKAGES:
        yield package.__name__
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield found.name


@pytest.mark.parametrize("module", list(modules()))
def test_what_docstrings_show_is_what_happens(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert not done.failed


def imported(path: Path) -> Iterator[str]:
    """Parts of the core that a module imports when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING"
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in for_types and (node.module or "").startswith("dayfile"):
            _, *below = (node.module or "").split(".")
            yield from below[:1] or [alias.name for alias in node.names]


def test_the_core_imports_what_the_architecture_says_and_nothing_else():
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("The core, from the bottom up")[1].split("The one way up")[0]
    told = {
        part: set(re.findall(r"`(\w+)`", rest))
        for part, rest in re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", table, re.MULTILINE)
    }
    core = Path(dayfile.__file__).parent
    found: dict[str, set[str]] = {}
    for path in core.rglob("*.py"):
        part = path.relative_to(core).parts[0].removesuffix(".py")
        found.setdefault(part, set()).update(set(imported(path)) - {"errors", part})
    del found["__init__"], found["errors"]
    assert found.pop("__main__") == {"cli"}
    assert told.pop("testing") == set()  # "all of these", and the command line
    assert found.pop("testing") <= {*found, "cli"}
    assert found == told


CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]*")
REPLACING = {"setattr", "delattr", "setitem", "delitem", "object", "multiple", "dict", "patch"}
"""Functions of monkeypatch and of unittest.mock, whose first or second argument names what they replace."""


def replaced(path: Path) -> Iterator[str]:
    """Constants of dayfile and its plugins that a test replaces, and private configuration that it reaches for."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ours = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).startswith("dayfile")
    }
    for node in ast.walk(tree):
        places: list[str] = []
        if isinstance(node, ast.Attribute) and node.attr == "_configured":
            yield f"{path.name}:{node.lineno}"
        elif isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            places = [ast.unparse(node.value if isinstance(node, ast.Subscript) else node)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in REPLACING and node.args:
            first, *rest = node.args
            named = first.value if isinstance(first, ast.Constant) else ast.unparse(first)
            places = [str(named)] + [f"{named}.{each.value}" for each in rest[:1] if isinstance(each, ast.Constant)]
        for root, *_, name in (place.split(".") for place in places if "." in place):
            if CONSTANT.fullmatch(name) and (root in ours or root.startswith("dayfile")):
                yield f"{path.name}:{node.lineno}"


def test_what_tests_vary_is_a_parameter_and_no_constant_that_they_replace(tmp_path):
    code = "from dayfile.engine import run\n"
    for number, line in enumerate(
        (
            "monkeypatch.setattr(run, 'MOST', 1)",
            "monkeypatch.setattr('dayfile.engine.run.MOST', 1)",
            "with patch.object(run, 'MOST', 1): pass",
            "monkeypatch.setitem(run.WORDS, 'a', 1)",
            "run.MOST = 1",
            "run.WORDS['a'] = 1",
            "archive._configured = 1",
        )
    ):
        path = tmp_path / f"{number}.py"
        path.write_text(code + line, encoding="utf-8")
        assert list(replaced(path)) == [f"{number}.py:2"], line
    found = [each for path in sorted((CHECKOUT / "tests").rglob("*.py")) for each in replaced(path)]
    assert found == []


def test_every_test_that_the_guarantees_name_exists():
    page = (CHECKOUT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in tests] == []
