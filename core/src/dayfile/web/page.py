"""A plain page that names an archive, what it has, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from dayfile.settings import CoreSettings

__all__ = ["PAGE_POLICY", "write_page"]

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may load for the page: nothing."""
PAGE_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;text-align:left;vertical-align:top}"
    "td.n{text-align:right}pre{background:#f3f3f3;padding:1rem;overflow-x:auto}"
)
PageRow = tuple[str, int, int, object, object]
"""A type: its name, days, records, first and last time."""


def write_page(settings: CoreSettings, types: Iterable[PageRow], url: str, example: tuple[str, str, str] | None) -> str:
    """Write the page.

    Parameters
    ----------
    settings : CoreSettings
        ``web.title``, ``web.description`` and ``web.contact``.
    types : iterable of tuple
        Name, days, records, first and last time of each type.
    url : str
        The address of HAPI, as the client has it.
    example : (str, str, str) or None
        A dataset with a start and a stop, if the archive has one.
    """
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td class=n>{days:,}</td><td class=n>{records:,}</td>"
        f"<td>{format_page_time(first)}</td><td>{format_page_time(last)}</td></tr>\n"
        for name, days, records, first, last in types
    )
    return (
        f"<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>{escape(settings.web_title)}</title>\n"
        f"<meta name=viewport content='width=device-width'>\n<style>{PAGE_STYLE}</style>\n"
        f"<h1>{escape(settings.web_title)}</h1>\n"
        + "".join(f"<p>{escape(text)}</p>\n" for text in (settings.web_description,) if text)
        + "<table>\n<tr><th>type<th>days<th>records<th>first (UTC)<th>last (UTC)</tr>\n"
        + f"{rows}</table>\n"
        + "<h2>How to read it</h2>\n<p>By <a href='https://hapi-server.org'>HAPI</a>, which clients in Python, IDL, "
        f"MATLAB, Java and R speak. Its address is <code>{escape(url)}</code>: "
        f"<a href='{escape(url)}/catalog'>datasets</a>, <a href='{escape(url)}/capabilities'>forms</a>, "
        f"<a href='{escape(url)}/about'>server</a>.</p>\n"
        + (write_example(url, *example) if example else "")
        + "".join(f"<p>Contact: {escape(text)}</p>\n" for text in (settings.web_contact,) if text)
        + "</html>\n"
    )


def format_page_time(time: object) -> str:
    """Format a time, or its absence."""
    return "" if time is None else escape(str(time)[:16].replace("T", " "))


def write_example(url: str, dataset: str, start: str, stop: str) -> str:
    """Write how some records are read in Python and by curl."""
    python = (
        f"from hapiclient import hapi\n\nserver = {url!r}\nstart, stop = {start!r}, {stop!r}\n"
        f"data, meta = hapi(server, {dataset!r}, '', start, stop)\n"
    )
    curl = f"curl '{url}/data?dataset={dataset}&start={start}&stop={stop}'\n"
    return f"<pre>{escape(python)}</pre>\n<pre>{escape(curl)}</pre>\n"
