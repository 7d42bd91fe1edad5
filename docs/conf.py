"""Sphinx settings. The generated pages are in the checkout; ``make reference`` writes them."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import dayfile

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "dayfile"
author = "the dayfile developers"
version = release = dayfile.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "reference/generated"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
napoleon_google_docstring = False

smartquotes = False  # two hyphens are the beginning of an option

html_theme = "furo"
html_title = f"dayfile {release}"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]


class Verbatim(str):
    """An annotation that is shown as it is written."""

    __slots__ = ()
    __repr__ = str.__str__


def signature_as_written(_app: Sphinx, what: str, _name: str, documented: object, *_: object) -> tuple[str, str] | None:
    """Signature with the annotations as the source has them: Sphinx would expand aliases, an array to a whole line."""
    if what not in {"function", "method", "class", "exception"} or not callable(documented):
        return None
    signature = inspect.signature(documented)
    parameters = [
        parameter.replace(annotation=written(parameter.annotation), default=named(parameter.default))
        for parameter in signature.parameters.values()
        if parameter.name not in {"self", "cls"}
    ]
    returns = signature.return_annotation
    shown = returns if isinstance(returns, str) and what in {"function", "method"} else ""
    return str(inspect.Signature(parameters)), shown


def written(annotation: object) -> object:
    """An annotation without quotes; it is text where annotations are not evaluated."""
    return Verbatim(annotation) if isinstance(annotation, str) else annotation


def named(default: object) -> object:
    """A default; a function by its name, because its address changes from run to run."""
    return Verbatim(default.__name__) if inspect.isfunction(default) else default


def property_without_type(
    _app: Sphinx, what: str, _name: str, documented: object, _options: object, lines: list[str]
) -> None:
    """Restore a property's docstring: napoleon takes the text before a colon for its type."""
    if what == "property" and lines and lines[-1].startswith(":type:"):
        lines[:] = (inspect.getdoc(documented) or "").splitlines()


def make_pictures(_app: Sphinx) -> None:
    """Make the pictures of the page that shows how to look at an archive."""
    runpy.run_path(str(Path(__file__).with_name("pictures.py")))["make_pictures"](Path(__file__).with_name("pictures"))


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", make_pictures)
    app.connect("autodoc-process-signature", signature_as_written)
    app.connect("autodoc-process-docstring", property_without_type, priority=900)
