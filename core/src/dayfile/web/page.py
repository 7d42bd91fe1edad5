"""A plain page that names an archive, what it has, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from dayfile.settings import CoreSettings
from dayfile.web.samples import Example

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


def write_page(settings: CoreSettings, types: Iterable[PageRow], url: str, example: Example | None) -> str:
    """Write the page.

    Parameters
    ----------
    settings : CoreSettings
        ``web.title``, ``web.description`` and ``web.contact``.
    types : iterable of tuple
        Name, days, records, first and last time of each type.
    url : str
        The address of HAPI, as the client has it.
    example : Example or None
        What is read to show how, if the archive has anything.
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
        f"<a href='{escape(url)}/about'>server</a>. A type with keys, such as stations, has a dataset for each.</p>\n"
        + (write_example(url, example) if example else "")
        + "".join(f"<p>Contact: {escape(text)}</p>\n" for text in (settings.web_contact,) if text)
        + "</html>\n"
    )


def format_page_time(time: object) -> str:
    """Format a time, or its absence."""
    return "" if time is None else escape(str(time)[:16].replace("T", " "))


def write_example(url: str, example: Example) -> str:
    """Write how some records are read, and drawn, in Python, and how by curl."""
    where = f"{url}/info?dataset={example.dataset}"
    query = f"dataset={example.dataset}&start={example.start}&stop={example.stop}"
    chosen = f"&parameters={quote(example.parameter, safe='')}" if example.parameter else ""
    python = (
        "import matplotlib.pyplot as plt\nfrom hapiclient import hapi, hapitime2datetime\n\n"
        f"server = {url!r}\nstart, stop = {example.start!r}, {example.stop!r}\n"
        f"data, meta = hapi(server, {example.dataset!r}, {example.parameter!r}, start, stop)\n"
        "time, values = (data[each['name']] for each in meta['parameters'][:2])\n"
        "plt.plot(hapitime2datetime(time), values)\nplt.savefig('values.png')\n"
    )
    curl = f"curl '{url}/data?{query}{chosen}'"
    return (
        f"<p>The parameters of <code>{escape(example.dataset)}</code> and their units are in its "
        f"<a href='{escape(where)}'>description</a>.</p>\n"
        "<pre>pip install hapiclient matplotlib</pre>\n"
        f"<pre>{escape(python)}</pre>\n<pre>{escape(curl)}</pre>\n"
    )
