"""Sphinx settings; what the code can tell of itself is written into pages before each build."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import dayfile

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

project = "dayfile"
author = "the dayfile developers"
version = release = dayfile.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "reference/generated"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"dayfile {release}"
html_show_copyright = False


class Verbatim(str):
    """An annotation that is shown as it is written."""

    __slots__ = ()
    __repr__ = str.__str__


def write_pages(app: Sphinx) -> None:
    """Write the pages that are made from the code."""
    import from_code

    from_code.write(Path(app.srcdir) / "reference" / "generated")


def signature_as_written(_app: Sphinx, what: str, _name: str, documented: object, *_: object) -> tuple[str, str] | None:
    """Signature with the annotations of the source: Sphinx writes out what they stand for, a line for an array."""
    if what not in {"function", "method", "class", "exception"} or not callable(documented):
        return None
    signature = inspect.signature(documented)
    parameters = [
        parameter.replace(annotation=written(parameter.annotation), default=named(parameter.default))
        for parameter in signature.parameters.values()
        if parameter.name not in {"self", "cls"}
    ]
    returns = signature.return_annotation
    told = returns if isinstance(returns, str) and what in {"function", "method"} else ""
    return str(inspect.Signature(parameters)), told


def written(annotation: object) -> object:
    """An annotation without quotes; it is text where annotations are not evaluated."""
    return Verbatim(annotation) if isinstance(annotation, str) else annotation


def named(default: object) -> object:
    """A default; a function by its name, as its address is another each time."""
    return Verbatim(default.__name__) if inspect.isfunction(default) else default


def property_without_type(
    _app: Sphinx, what: str, _name: str, documented: object, _options: object, lines: list[str]
) -> None:
    """Undo that napoleon takes what stands before a colon in a property's docstring for its type."""
    if what == "property" and lines and lines[-1].startswith(":type:"):
        lines[:] = (inspect.getdoc(documented) or "").splitlines()


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-signature", signature_as_written)
    app.connect("autodoc-process-docstring", property_without_type, priority=900)
