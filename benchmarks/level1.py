"""A Level 1 day in HDF4, read into arrays: ours, and what pyhdf offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import Round, Row, Side, measured, timed
from dayfile.formats.hdf4_structs import read_struct, write_structs
from dayfile_cris import instrument as cris
from dayfile_cris.simulation import sample_day

__all__ = ["read_level1"]

DAY = np.datetime64("1997-12-01")
PEER = "pyhdf, VD.read and SDS"


def read_level1(asked: Round) -> list[Row]:
    """All structs of a simulated day of CRIS, written struct by struct as the generated routines write them."""
    types = {code: kind.form_on(DAY) for code, kind in cris.layout.by_code().items()}
    streams, rest = sample_day(DAY, 1, types)
    structs = {**streams, **rest}
    if asked.small:
        structs = {code: records[:50] for code, records in structs.items()}
    path = asked.place("level1") / "day.hdf"
    write_structs(path, structs)
    total = sum(map(len, structs.values()))

    def ours() -> dict[str, Any]:
        content = path.read_bytes()
        return {code: read_struct(content, code, records.dtype, path.name) for code, records in structs.items()}

    for code, records in ours().items():
        if not np.array_equal(records, structs[code]):
            raise SystemExit(f"{code} is not read as it was written")
    took, peer = measured(
        asked.runs, Side("dayfile", total, timed(ours)), Side(PEER, total, timed(lambda: read_with_pyhdf(path)))
    )
    work = f"read an HDF4 day of CRIS, {path.stat().st_size / 1e6:.0f} MB, {len(structs)} structs"
    return [Row("level1", work, "structs/s", took, peer, 10)]


def read_with_pyhdf(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Records of all structs, as lists, and arrays of the larger fields."""
    from pyhdf.HDF import HDF
    from pyhdf.SD import SD
    from pyhdf.VS import VS  # noqa: F401 - it adds vstart to HDF

    file = HDF(str(path))
    vdatas = file.vstart()
    records: dict[str, list[Any]] = {}
    for name, *_ in vdatas.vdatainfo():
        if name.startswith(("L1", "Browse")):
            vdata = vdatas.attach(name)
            records[name] = vdata.read(vdata.inquire()[0])
            vdata.detach()
    vdatas.end()
    file.close()
    data_sets = SD(str(path))
    arrays = {name: data_sets.select(name).get() for name in data_sets.datasets()}
    data_sets.end()
    return records, arrays
