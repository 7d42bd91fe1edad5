"""What an archive in public is safe from: words of all kinds, too many requests, and giving away what is not asked."""

from __future__ import annotations

import gzip
import json
import logging
from base64 import b64encode
from email.utils import formatdate

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asking import WHOLE, ask_hapi, call, make_rates, make_reading_site
from dayfile import Instrument, create_archive, open_archive
from instruments import TELESCOPE
from running import until

TOKEN = "s3cret token"  # noqa: S105 - of a test
WORDS = ["dataset", "id", "start", "stop", "time.min", "time.max", "parameters", "format", "include", "depth", "x"]
VALUES = [
    *("muon.rates", "muon.rates/1", "1997-10-31", "1997-304T12:00Z", "1997-11-01", "1997-11", "csv", "binary", "json"),
    *("header", "Time", "good", "counts,grid", "all", "", "%00", "../../etc/passwd", "'; DROP TABLE types; --"),
    *("<script>alert(1)</script>", "1e999", "-1", "9" * 400, "muon.rates\r\nX: y"),
]
TEXT = st.text(max_size=30)
QUERY = st.lists(st.tuples(st.sampled_from(WORDS) | TEXT, st.sampled_from(VALUES) | TEXT), max_size=7)


def make_query(pairs):
    """The query of some words, each escaped."""
    from urllib.parse import quote_from_bytes

    return "&".join("=".join(quote_from_bytes(each.encode()) for each in pair) for pair in pairs).encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.sampled_from(["about", "capabilities", "catalog", "info", "data", "nothing", "data/"]), QUERY)
def test_every_query_is_answered_or_refused_with_a_code(telescope, word, pairs):
    reply = call(make_reading_site(telescope), f"/hapi/{word}", make_query(pairs))
    assert reply.status in (200, 400, 404)
    if reply.status != 200:
        assert 1400 <= reply.code < 1500
    assert str(telescope).encode() not in reply.body
    assert all("\n" not in value and str(telescope) not in value for value in reply.headers.values())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["info", "data", "catalog"]))
def test_any_bytes_for_a_query_are_answered_or_refused(telescope, query, word):
    reply = call(make_reading_site(telescope), f"/hapi/{word}", query)
    assert reply.status in (200, 400, 404)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_path_is_answered_or_refused(telescope, path):
    reply = call(make_reading_site(telescope), f"/{path}")
    assert reply.status in (200, 400, 404)
    assert str(telescope).encode() not in reply.body


def test_names_that_would_be_markup_are_text_on_the_page(telescope):
    words = {"web_title": "<b>A&B</b>", "web_contact": "<i>us</i>", "web_description": "'\"><script>"}
    app = make_reading_site(telescope, **words)
    reply = call(app, "/", headers={"Host": "<script>alert(1)</script>"})
    page = reply.body.decode()
    assert "&lt;b&gt;A&amp;B&lt;/b&gt;" in page
    assert "<script" not in page
    assert "muon.rates" in page
    assert str(telescope) not in page
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")


def test_what_goes_wrong_is_in_the_log_and_not_in_the_answer(tmp_path, caplog):
    path = tmp_path / "archive"
    create_archive(path)
    app = make_reading_site(path)
    path.rename(tmp_path / "moved")
    with caplog.at_level(logging.ERROR):
        for reply in (ask_hapi(app, "catalog"), ask_hapi(app, "data", dataset="muon.rates", **WHOLE)):
            assert (reply.status, reply.code) == (500, 1500)
            assert b"archive" not in reply.body
        health = call(app, "/healthz")
    assert health.status == 503
    assert str(tmp_path).encode() not in health.body
    assert str(path) in caplog.text
    assert caplog.text.count("a request could not be answered") == 2


def test_nothing_can_be_written(telescope):
    app = make_reading_site(telescope)
    before = sorted((each, each.stat().st_mtime_ns) for each in telescope.rglob("*.h5"))
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/", "/hapi/data", "/hapi/catalog", "/healthz"):
            assert call(app, path, method=method).status == 405
    assert sorted((each, each.stat().st_mtime_ns) for each in telescope.rglob("*.h5")) == before


@pytest.mark.parametrize(
    ("given_", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic !", 401),
        ("Basic " + b64encode(b"me:wrong").decode(), 401),
        ("Negotiate abc", 401),
        (f"Bearer {TOKEN}", 200),
        ("Basic " + b64encode(f"anybody:{TOKEN}".encode()).decode(), 200),
    ],
)
def test_with_a_token_only_those_who_have_it_read(telescope, given_, status):
    app = make_reading_site(telescope, web_token=TOKEN)
    headers = {"Authorization": given_} if given_ else {}
    for path in ("/", "/hapi/catalog", "/hapi/data", "/elsewhere"):
        reply = call(app, path, headers=headers)
        assert (reply.status == 401) == (status == 401)
        assert TOKEN.encode() not in reply.body
    assert call(app, "/healthz").status == 200


def test_a_token_may_have_any_letters(telescope):
    app = make_reading_site(telescope, web_token="s3crét")  # noqa: S106 - of a test
    assert call(app, "/hapi/about", headers={"Authorization": "Bearer s3crét"}).status == 200
    assert call(app, "/hapi/about", headers={"Authorization": "Bearer s3cret"}).status == 401


def test_records_are_refused_in_an_http_that_cannot_say_where_they_end(telescope):
    words = b"dataset=muon.rates&start=1997-304&stop=1997-305"
    assert call(make_reading_site(telescope), "/hapi/data", words, version="1.0").status == 505


def test_a_client_that_asks_too_often_has_to_wait_and_others_have_not(telescope):
    app = make_reading_site(telescope, web_requests_per_minute=5)
    statuses = [call(app, "/hapi/about").status for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    assert call(app, "/hapi/about").headers["retry-after"]
    assert call(app, "/hapi/about", client="203.0.113.10").status == 200
    assert [call(app, "/hapi/about", client="127.0.0.1").status for _ in range(8)] == [200] * 8


def test_behind_a_proxy_the_client_that_it_names_is_counted(telescope):
    app = make_reading_site(telescope, web_requests_per_minute=2, serve_proxies=("127.0.0.1",))
    for client in ("198.51.100.1", "198.51.100.2"):
        headers = {"X-Forwarded-For": client}
        assert [call(app, "/hapi/about", headers=headers, client="127.0.0.1").status for _ in range(3)] == [
            200,
            200,
            429,
        ]


def test_behind_a_proxy_clients_whose_addresses_it_does_not_tell_are_limited_together(telescope):
    app = make_reading_site(telescope, web_requests_per_minute=4, serve_proxies=("127.0.0.1",))
    asked: list[dict[str, str]] = [
        {"X-Forwarded-For": "garbage"},
        {"X-Forwarded-For": "203.0.113.8, unknown"},
        {"X-Forwarded-For": "203.0.113.8,"},
        {"X-Forwarded-For": "203.0.113.8", "Forwarded": "for=203.0.113.9"},
    ]
    statuses = [call(app, "/hapi/about", headers=headers, client="127.0.0.1").status for headers in asked * 2]
    assert statuses == [200] * 4 + [429] * 4
    assert [call(app, "/hapi/about", client="127.0.0.1").status for _ in range(8)] == [200] * 8


@pytest.mark.parametrize(("name", "unpack"), [("gzip", gzip.decompress), ("zstd", zstandard.decompress)])
def test_answers_are_compressed_if_the_client_accepts_that(telescope, name, unpack):
    app = make_reading_site(telescope)
    for word, words in (("info", {}), ("data", {**WHOLE, "format": "binary"}), ("data", {**WHOLE, "format": "json"})):
        plain = ask_hapi(app, word, dataset="muon.rates", **words)
        packed = ask_hapi(app, word, {"Accept-Encoding": name}, dataset="muon.rates", **words)
        assert packed.headers["content-encoding"] == name
        assert unpack_all(name, packed.body, unpack) == plain.body
        assert packed.headers["etag"] != plain.headers["etag"]
        assert len(packed.body) < len(plain.body)


def unpack_all(name, body, unpack):
    """The whole content: a stream of zstd does not say how long it is."""
    return zstandard.ZstdDecompressor().decompressobj().decompress(body) if name == "zstd" else unpack(body)


def test_what_a_client_has_already_is_not_sent_again(telescope):
    app = make_reading_site(telescope)
    for word, words in (
        ("catalog", {}),
        ("info", {"dataset": "muon.rates"}),
        ("data", {"dataset": "muon.rates", **WHOLE}),
    ):
        until(lambda word=word, words=words: "last-modified" in ask_hapi(app, word, **words).headers)
        first = ask_hapi(app, word, **words)
        tag, changed = first.headers["etag"], first.headers["last-modified"]
        assert ask_hapi(app, word, {"If-None-Match": f'"x", W/{tag}'}, **words).status == 304
        assert ask_hapi(app, word, {"If-Modified-Since": changed}, **words).status == 304
        assert ask_hapi(app, word, {"If-None-Match": '"x"', "If-Modified-Since": changed}, **words).status == 200
        assert ask_hapi(app, word, {"If-Modified-Since": "nonsense"}, **words).status == 200
    other = ask_hapi(app, "data", dataset="muon.rates", parameters="good", **WHOLE)
    assert other.headers["etag"] != tag


def test_what_a_client_has_is_sent_again_if_a_newer_day_says_that_it_means_something_else(tmp_path):
    """The unit and scale of all days are those that the newest day file declares."""
    layout = TELESCOPE.replace("unit: hPa, missing: [-1]}", "physical: {scale: 0.1, unit: hPa}}")
    _, _, records = make_rates(5)
    app, words = make_reading_site(tmp_path / "archive"), {"dataset": "muon.rates", "parameters": "pressure", **WHOLE}
    create_archive(tmp_path / "archive")
    replies = []
    for scale in ("0.1", "0.2"):
        instrument = Instrument(layout.replace("scale: 0.1", f"scale: {scale}"), "muon.yaml")
        open_archive(tmp_path / "archive", plugins={"muon": instrument}).put("muon.rates", records)
        until(lambda: "last-modified" in ask_hapi(app, "data", **words).headers)
        had = replies[-1].headers if replies else {"etag": '"x"', "last-modified": "Fri, 31 Oct 1997 00:00:00 GMT"}
        for header, name in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
            assert ask_hapi(app, "data", {header: had[name]}, **words).status == 200
        replies.append(ask_hapi(app, "data", **words))
        records["second"] += 86400
    assert replies[0].body != replies[1].body


def test_records_that_are_published_within_a_second_are_not_taken_for_known(tmp_path):
    instrument, _, records = make_rates(20)
    archive = create_archive(tmp_path / "archive", plugins={"muon": instrument})
    app, words = make_reading_site(archive.root.path), {"dataset": "muon.rates", "parameters": "good", **WHOLE}
    since: dict[str, str] = {}
    for part, there in ((records[:10], 10), (records[10:], 20)):
        archive.put("muon.rates", part)
        reply = ask_hapi(app, "data", since, **words)
        assert (reply.status, len(reply.body.splitlines())) == (200, there)
        since = {"If-Modified-Since": formatdate(usegmt=True)}


def test_the_header_of_records_can_be_asked_for_alone(telescope):
    reply = call(
        make_reading_site(telescope), "/hapi/data", b"dataset=muon.rates&start=1997-304&stop=1997-305", method="HEAD"
    )
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["etag"]
    assert "content-length" not in reply.headers


def test_pages_of_other_origins_may_read_if_the_setting_says_so(telescope):
    asked = {"Origin": "https://elsewhere.example"}
    assert ask_hapi(make_reading_site(telescope), "about", asked).headers["access-control-allow-origin"] == "*"
    one = make_reading_site(telescope, web_cors="https://ours.example")
    assert "access-control-allow-origin" not in ask_hapi(one, "about", asked).headers
    asked |= {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "if-none-match"}
    assert call(make_reading_site(telescope), "/hapi/data", method="OPTIONS", headers=asked).status == 200
    ours = ask_hapi(one, "about", {"Origin": "https://ours.example"})
    assert ours.headers["access-control-allow-origin"] == "https://ours.example"


def test_each_request_is_a_line_in_the_log_whatever_is_in_it(telescope, caplog):
    from dayfile.logs import JsonLines, Lines

    with caplog.at_level(logging.INFO, logger="dayfile.web.protection"):
        call(make_reading_site(telescope), "/hapi/a\nb\x1b[31m", b"x=%0a\n<b>")
    (record,) = [each for each in caplog.records if each.name == "dayfile.web.protection"]
    shown = Lines().format(record)
    assert "\n" not in shown
    assert "\x1b" not in shown
    content = json.loads(JsonLines().format(record))
    assert (content["event"], content["status"], content["client"]) == ("request", 404, "203.0.113.9")
    assert content["cut"] is False
