"""A page that a plugin brings: others read it beside HAPI, and the routes by which it receives do not answer there."""

from __future__ import annotations

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asking import call, make_rates, make_reading_site
from dayfile import Instrument, create_archive, open_archive
from instruments import TELESCOPE


class Telescope(Instrument):
    def pages(self, archive):
        async def last(_: Request):
            records = open_archive(archive.root.path).read("muon.rates", fields="quality")
            return PlainTextResponse(f"{records.array[-1]['quality']}")

        return [Route("/muon/last", last)]

    def routes(self):
        return [Route("/upload", lambda _: PlainTextResponse("kept"), methods=["POST"])]


class Broken(Instrument):
    def pages(self):
        raise RuntimeError("out of order")


def test_a_page_of_a_plugin_is_read_and_what_receives_does_not_answer(tmp_path):
    telescope = Telescope(TELESCOPE, "muon.yaml")
    broken = Broken(TELESCOPE.replace("muon", "gauge").replace("MuonRates", "GaugeRates"), "gauge.yaml")
    archive = create_archive(tmp_path / "archive", plugins={"muon": telescope, "gauge": broken})
    records = make_rates(10)[2]
    archive.put("muon.rates", records)
    pages = archive.plugins.pages(archive, archive.settings)
    assert [failure.plugin for failure in archive.plugins.failures] == ["gauge"]
    app = make_reading_site(archive.root.path, pages)
    newest = records[np.argmax(records["second"])]
    assert call(app, "/muon/last").body == str(newest["quality"]).encode()
    assert call(app, "/upload", method="POST").status == 404
    assert call(app, "/hapi/about").code == 1200
