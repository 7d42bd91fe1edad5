"""Layout files as plugins: a layout needs no package to be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

from dayfile.contract.answers import describe_package
from dayfile.errors import DayfileError, LayoutError, UsageError
from dayfile.instrument import Instrument
from dayfile.layouts.document import Document
from dayfile.problems import collect_errors, combine

__all__ = ["is_layout_file", "read_layout_files"]

ENDINGS = (".yaml", ".yml")


def is_layout_file(name: str) -> bool:
    """Return whether a plugin is named by the path of a layout file, and not by its name.

    Examples
    --------
    >>> is_layout_file("./muon.yaml"), is_layout_file("muon")
    (True, False)
    """
    return name.lower().endswith(ENDINGS)


def read_layout_files(
    paths: Iterable[Path], installed: Mapping[str, list[EntryPoint]]
) -> dict[str, tuple[Instrument, Path]]:
    """Read layout files as plugins, named after their instruments; what is wrong in them is found when they are loaded.

    Parameters
    ----------
    paths : iterable of Path
        The files; one that is there twice counts once.
    installed : mapping of str to list of EntryPoint
        The installed plugins, whose names are taken.

    Raises
    ------
    UsageError
        A file cannot be read, or two plugins would have one name.
    LayoutError
        A file is not YAML.
    """
    found: dict[str, tuple[Instrument, Path]] = {}
    problems: list[DayfileError] = []
    for path in {path.resolve(): path for path in paths}.values():
        with collect_errors(problems):
            text = read_text(path)
            name = find_instrument(text, path)
            check_layout_name(name, path, found, installed)
            found[name] = Instrument(text, str(path)), path
    if problems:
        raise combine(problems)
    return found


def read_text(path: Path) -> str:
    """Read the text of a layout file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the layout cannot be read ({error.strerror})", where=path) from error
    except UnicodeDecodeError as error:
        raise LayoutError("this is not text in UTF-8; save it as UTF-8", where=path, offset=error.start) from error


def find_instrument(text: str, path: Path) -> str:
    """Find the name of the instrument of a layout; the file's own if the layout has none that is a text."""
    data = Document.parse(text, str(path)).data
    name = data.get("instrument") if isinstance(data, dict) else None
    return name if isinstance(name, str) else path.stem


def check_layout_name(
    name: str, path: Path, found: Mapping[str, tuple[Instrument, Path]], installed: Mapping[str, list[EntryPoint]]
) -> None:
    """Check that the instrument of a layout file is not that of another file, and no installed plugin has its name."""
    if name in found:
        raise UsageError(f"this and {found[name][1]} are both layouts of the instrument {name!r}; use one", where=path)
    if name in installed:
        package = " and ".join(map(describe_package, installed[name]))
        message = f"the plugin {name!r} of {package} is installed; use it by its name, or uninstall it first"
        raise UsageError(message, where=path)
