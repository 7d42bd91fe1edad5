"""The page "Read from elsewhere": what it shows is what happens; and nginx in front."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from importlib.util import find_spec
from pathlib import Path

import pytest

from running import find_free_port, is_listening, run_command, run_python, start_command, stop, until

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/elsewhere.md").read_text()
ADDRESS = "http://127.0.0.1:8080"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CLIENTS = CHECKOUT / "build" / "clients" / "bin" / "python"
PYTHON = [text for language, text in BLOCKS if language == "python"]
NGINX = """
daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log; worker_processes 1;
events {{ }}
http {{
    access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f;
    uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
    {server}
}}
"""


def test_the_page_has_the_lines_that_it_promises():
    languages = {language for language, _ in BLOCKS}
    assert languages >= {"python", "sh", "js", "matlab", "yaml"}
    assert len(PYTHON) == 4


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_the_python_of_the_page_runs(simulated_day, start_web, tmp_path, number):
    text = PYTHON[number]
    environment = {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path), "SPEDAS_DATA_DIR": str(tmp_path)}
    python = None
    if "pyspedas" in text:
        if not CLIENTS.exists():
            pytest.skip("PySPEDAS is not here: make clients")
        python = CLIENTS
    elif "hapiclient" in text and find_spec("hapiclient") is None:
        pytest.skip("hapiclient is not installed; pip cannot get it here")
    server = start_web(simulated_day)
    script = text.replace(ADDRESS, f"http://127.0.0.1:{server.port}")
    if python is None:
        done = run_python("-c", script, environment=environment, cwd=tmp_path)
    else:
        done = run_command(python, "-c", script, environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or (tmp_path / "day.png").stat().st_size > 10_000


@pytest.mark.skipif(find_spec("hapiclient") is None, reason="hapiclient is not installed; pip cannot get it here")
def test_what_the_page_of_a_server_shows_leads_to_a_picture(simulated_day, start_web, tmp_path):
    server = start_web(simulated_day)
    _, page = server.ask(path="/", method="GET")
    shown = [unescape(text) for text in re.findall("<pre>(.*?)</pre>", page.decode(), re.DOTALL)]
    script = next(text for text in shown if "import" in text)
    environment = {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path), "MPLBACKEND": "agg"}
    done = run_python("-c", script, environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "values.png").stat().st_size > 10_000
    for address in re.findall("href='(http://127[^']*)'", page.decode()):
        assert server.ask(path=unescape(address).partition(str(server.port))[2], method="GET")[0].status == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on the PATH")
def test_the_lines_for_curl_are_answered(simulated_day, start_web, tmp_path):
    server = start_web(simulated_day)
    lines = re.findall(r"^\$ (curl .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        command = line.replace(ADDRESS, f"http://127.0.0.1:{server.port}").replace("curl ", "curl --fail --silent ", 1)
        done = run_command("bash", "-c", command, cwd=tmp_path)
        assert done.returncode == 0, line
        assert done.stdout or (tmp_path / "day.csv").stat().st_size > 10_000


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH")
def test_the_javascript_of_the_page_runs(simulated_day, start_web, tmp_path):
    server = start_web(simulated_day)
    (text,) = [text for language, text in BLOCKS if language == "js"]
    (tmp_path / "day.mjs").write_text(text.replace(ADDRESS, f"http://127.0.0.1:{server.port}"))
    done = run_command("node", tmp_path / "day.mjs")
    assert done.returncode == 0, done.stderr
    assert "1997-10-31T12:00" in done.stdout


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not on the PATH")
def test_behind_nginx_records_arrive_and_the_client_is_the_true_one(simulated_day, start_web, tmp_path):
    upstream = start_web(simulated_day, "--set", "serve.proxies=127.0.0.1", "--set", "log.format=json")
    port = find_free_port()
    server = (CHECKOUT / "deploy/nginx-web.conf").read_text().replace("listen 80;", f"listen 127.0.0.1:{port};")
    server = server.replace("http://127.0.0.1:8080;", f"http://127.0.0.1:{upstream.port};")
    (tmp_path / "nginx.conf").write_text(NGINX.format(here=tmp_path, server=server))
    words = ["nginx", "-e", tmp_path / "error.log", "-c", tmp_path / "nginx.conf", "-p", tmp_path]
    nginx = start_command(*words, log=tmp_path / "nginx.txt")
    try:
        until(lambda: is_listening(port) or nginx.poll() is not None)
        query = "dataset=cris.summary&start=1997-304&stop=1997-305&format=binary"
        url = f"http://127.0.0.1:{port}/hapi/data?{query}"
        done = run_command("curl", "--fail", "--silent", "--interface", "127.0.0.9", url, text=False)
        assert done.returncode == 0, (tmp_path / "error.log").read_text()
        assert len(done.stdout) == 85496 * 99
    finally:
        stop(nginx)
    until(lambda: '"event": "request"' in upstream.log.read_text())
    lines = [json.loads(line) for line in upstream.log.read_text().splitlines()]
    assert [line["client"] for line in lines if line.get("event") == "request"] == ["127.0.0.9"]
