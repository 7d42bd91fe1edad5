"""How ``dayfile serve`` starts, and what it says if it cannot."""

from __future__ import annotations

import io
import sys

from dayfile import create_archive

SETTINGS = "log: {file: logs/serve}\nhisparc: {station_list: stations.csv}\n"


def test_all_that_the_server_lacks_is_named_at_once(tmp_path, command, monkeypatch):
    create_archive(tmp_path / "archive")
    (tmp_path / "archive/archive.yaml").write_text(SETTINGS.replace("logs", "archive.yaml"))
    libraries = {name: sys.modules.get(name) for name in ("uvicorn", "starlette")}
    for name in libraries:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "dayfile_hisparc.server", raising=False)
    done = command("dayfile", "serve", "--plugins", "hisparc")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    root = tmp_path / "archive"
    words = [
        f"{root}/archive.yaml",
        'pip install "dayfile[serve]"',
        f"{root}/stations.csv: the station list",
    ]
    assert [word for word in words if word not in done.err] == []
    (root / "archive.yaml").write_text(SETTINGS)
    (root / "stations.csv").write_text("501,amsterdam,secret\n")
    only = 'dayfile: serving needs an extra; install it with: pip install "dayfile[serve]"\n'
    assert command("dayfile", "serve", "--plugins", "hisparc").err.endswith(only)  # behind what other tests left to log
    for name, library in libraries.items():
        monkeypatch.setitem(sys.modules, name, library)
    (root / "stations.csv").unlink()
    (root / "archive.yaml").write_text(SETTINGS.replace("logs", "archive.yaml"))
    done = command("dayfile", "serve", "--plugins", "hisparc")
    words[1] = "; no other plugin receives anything by HTTP"
    assert [word for word in words if word not in done.err] == []


def test_all_that_the_receiver_under_wsgi_lacks_is_named_at_once(tmp_path, monkeypatch):
    from dayfile_hisparc import wsgi

    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/archive.yaml").write_text(SETTINGS.replace("logs", "archive.yaml"))
    monkeypatch.setenv("DAYFILE_ARCHIVE", str(tmp_path / "archive"))
    wsgi.prepare.cache_clear()
    log = io.StringIO()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz", "wsgi.errors": log, "wsgi.input": io.BytesIO()}
    wsgi.application(environ, lambda *_: None)
    words = ["log.file cannot be written", "this directory is not an archive", "the station list cannot be read"]
    assert [word for word in words if word not in log.getvalue()] == []
    assert len(log.getvalue().splitlines()) == 1
