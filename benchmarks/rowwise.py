"""A plain row-at-a-time PyTables writer of HiSPARC day files: the peer of the side-by-side measurements.

It does what the datastore in production did, in the same order: for each queue file, unpickle it, open the day file,
put one event after the other into its table, flush after each, close. It keeps no year cutoff, makes no checks, and
takes well-formed uploads of the types CIC, SIN, WTR, CFG and ERR only. Nothing of dayfile is used.
"""

from __future__ import annotations

import argparse
import base64
import calendar
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tables

# A line is: upload code, column, type, default if it is not 0. An upload code with # has a digit 1 to 4 for an element
# of the column; a type with @ keeps the value in the blob array and its index there in an int32, -1 for none.
SHOWERS = """
RED data_reduction bool
TRIGPATTERN trigger_pattern uint32
BL# baseline int16 -1
STDDEV# std_dev int16 -1
NP# n_peaks int16 -1
PH# pulseheights int16 -1
IN# integrals int32 -1
TR# traces @base64
EVENTRATE event_rate float32
"""
SINGLES = """
MAS_CH1_LOW mas_ch1_low int32 -1
MAS_CH1_HIGH mas_ch1_high int32 -1
MAS_CH2_LOW mas_ch2_low int32 -1
MAS_CH2_HIGH mas_ch2_high int32 -1
SLV_CH1_LOW slv_ch1_low int32 -1
SLV_CH1_HIGH slv_ch1_high int32 -1
SLV_CH2_LOW slv_ch2_low int32 -1
SLV_CH2_HIGH slv_ch2_high int32 -1
"""
WEATHER = """
WTR_TEMP_INSIDE temp_inside float32
WTR_TEMP_OUTSIDE temp_outside float32
WTR_HUMIDITY_INSIDE humidity_inside int16
WTR_HUMIDITY_OUTSIDE humidity_outside int16
WTR_BAROMETER barometer float32
WTR_WIND_DIR wind_dir int16
WTR_WIND_SPEED wind_speed int16
WTR_SOLAR_RAD solar_rad int16
WTR_UV uv int16
WTR_ET evapotranspiration float32
WTR_RAIN_RATE rain_rate float32
WTR_HEAT_INDEX heat_index int16
WTR_DEW_POINT dew_point float32
WTR_WIND_CHILL wind_chill float32
"""
ERRORS = """
ERRMSG messages @text
"""
CONFIGURATION = """
CFG_GPS_LAT gps_latitude float64
CFG_GPS_LONG gps_longitude float64
CFG_GPS_ALT gps_altitude float64
CFG_MAS_VERSION mas_version @text
CFG_SLV_VERSION slv_version @text
CFG_TRIGLOWSIG trig_low_signals uint32
CFG_TRIGHIGHSIG trig_high_signals uint32
CFG_TRIGEXT trig_external uint32
CFG_TRIGANDOR trig_and_or bool
CFG_PRECTIME precoinctime float64
CFG_CTIME coinctime float64
CFG_POSTCTIME postcoinctime float64
CFG_DETNUM detnum uint16
CFG_PASSWORD password @text
CFG_SPAREBYTES spare_bytes uint8
CFG_USEFILTER use_filter bool
CFG_USEFILTTHRES use_filter_threshold bool
CFG_REDUCE reduce_data bool
CFG_BUFFER buffer @text
CFG_STARTMODE startmode bool
CFG_DELAYSCREEN delay_screen float64
CFG_DELAYCHECK delay_check float64
CFG_DELAYERROR delay_error float64
"""
DEVICE = """
CFG_MAS_CH1THRLOW mas_ch1_thres_low float64
CFG_MAS_CH1THRHIGH mas_ch1_thres_high float64
CFG_MAS_CH2THRLOW mas_ch2_thres_low float64
CFG_MAS_CH2THRHIGH mas_ch2_thres_high float64
CFG_MAS_CH1INTTIME mas_ch1_inttime float64
CFG_MAS_CH2INTTIME mas_ch2_inttime float64
CFG_MAS_CH1VOLT mas_ch1_voltage float64
CFG_MAS_CH2VOLT mas_ch2_voltage float64
CFG_MAS_CH1CURR mas_ch1_current float64
CFG_MAS_CH2CURR mas_ch2_current float64
CFG_MAS_COMPTHRLOW mas_comp_thres_low float64
CFG_MAS_COMPTHRHIGH mas_comp_thres_high float64
CFG_MAS_MAXVOLT mas_max_voltage float64
CFG_MAS_RESET mas_reset bool
CFG_MAS_CH1GAINPOS mas_ch1_gain_pos uint8
CFG_MAS_CH1GAINNEG mas_ch1_gain_neg uint8
CFG_MAS_CH2GAINPOS mas_ch2_gain_pos uint8
CFG_MAS_CH2GAINNEG mas_ch2_gain_neg uint8
CFG_MAS_CH1OFFPOS mas_ch1_offset_pos uint8
CFG_MAS_CH1OFFNEG mas_ch1_offset_neg uint8
CFG_MAS_CH2OFFPOS mas_ch2_offset_pos uint8
CFG_MAS_CH2OFFNEG mas_ch2_offset_neg uint8
CFG_MAS_COMMOFF mas_common_offset uint8
CFG_MAS_INTVOLTAGE mas_internal_voltage uint8
CFG_MAS_CH1ADCGAIN mas_ch1_adc_gain float64
CFG_MAS_CH1ADCOFF mas_ch1_adc_offset float64
CFG_MAS_CH2ADCGAIN mas_ch2_adc_gain float64
CFG_MAS_CH2ADCOFF mas_ch2_adc_offset float64
CFG_MAS_CH1COMPGAIN mas_ch1_comp_gain float64
CFG_MAS_CH1COMPOFF mas_ch1_comp_offset float64
CFG_MAS_CH2COMPGAIN mas_ch2_comp_gain float64
CFG_MAS_CH2COMPOFF mas_ch2_comp_offset float64
"""
CONFIGURATION += DEVICE.strip("\n") + DEVICE.replace("MAS", "SLV").replace("mas", "slv")


@dataclass(frozen=True)
class Column:
    """How the value of an upload code gets into a row."""

    name: str
    indexed: bool
    blob: str
    bits: int
    """Width of an integer, 0 for what is none."""
    signed: bool

    def wrap(self, value: Any) -> Any:  # noqa: ANN401
        """Cut a value to the column's integer, as NumPy 1 did: two's complement, fractions towards zero."""
        if not self.bits:
            return value
        half = 1 << (self.bits - 1) if self.signed else 0
        return (int(value) + half) % (1 << self.bits) - half


@dataclass(frozen=True)
class EventTable:
    """Where the events of one type go."""

    name: str
    title: str
    extended_time: bool
    columns: dict[str, Column]
    description: dict[str, tables.Col]


def event_table(name: str, title: str, text: str, *, extended_time: bool = False) -> EventTable:
    description: dict[str, Any] = {"event_id": tables.UInt32Col(pos=0), "timestamp": tables.Time32Col(pos=1)}
    if extended_time:
        description |= {"nanoseconds": tables.UInt32Col(pos=2), "ext_timestamp": tables.UInt64Col(pos=3)}
    columns = {}
    for line in text.strip().splitlines():
        code, column, kind, *default = line.split()
        indexed = code.endswith("#")
        blob = kind[1:] if kind.startswith("@") else ""
        base = np.dtype("int32" if blob else kind)
        fill = -1 if blob else int(default[0]) if default else 0
        stored = np.dtype((base, (4,))) if indexed else base
        description[column] = tables.Col.from_dtype(stored, dflt=fill, pos=len(description))
        bits = 8 * base.itemsize if base.kind in "iu" else 0
        columns[code.rstrip("#")] = Column(column, indexed, blob, bits, base.kind == "i")
    return EventTable(name, title, extended_time, columns, description)


TABLES = {
    "CIC": event_table("events", "HiSPARC event data", SHOWERS, extended_time=True),
    "SIN": event_table("singles", "HiSPARC single messages", SINGLES),
    "WTR": event_table("weather", "HiSPARC weather data", WEATHER),
    "CFG": event_table("config", "HiSPARC configuration messages", CONFIGURATION),
    "ERR": event_table("errors", "HiSPARC error messages", ERRORS),
}


def as_text(value: Any) -> Any:  # noqa: ANN401
    """Decode the byte strings of a Python 2 pickle, in lists and dicts."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [as_text(item) for item in value]
    if isinstance(value, dict):
        return {as_text(key): as_text(item) for key, item in value.items()}
    return value


def read_upload(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        try:
            upload: dict[str, Any] = pickle.load(stream)
        except UnicodeDecodeError:
            stream.seek(0)
            upload = as_text(pickle.load(stream, encoding="bytes"))
    return upload


def open_day_file(archive: Path, date: Any) -> tables.File:  # noqa: ANN401
    path = archive / f"{date.year}" / f"{date.month}" / f"{date.year}_{date.month}_{date.day}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    return tables.open_file(path, "a")


def station_group(file: tables.File, cluster: str, station: int) -> tables.Group:
    parent = "/"
    for name, title in (
        ("hisparc", "HiSPARC data"),
        (f"cluster_{cluster.lower()}", f"HiSPARC cluster {cluster} data"),
        (f"station_{station}", f"HiSPARC station {station} data"),
    ):
        path = f"{parent.rstrip('/')}/{name}"
        if path not in file:
            file.create_group(parent, name, title)
        parent = path
    return file.get_node(parent)


def store_event(file: tables.File, cluster: str, station: int, event: dict[str, Any]) -> None:
    header = event["header"]
    target = TABLES[header["eventtype_uploadcode"]]
    group = station_group(file, cluster, station)
    if target.name not in group:
        file.create_table(group, target.name, target.description, target.title)
    if "blobs" not in group:
        file.create_vlarray(group, "blobs", tables.VLStringAtom(), "HiSPARC binary data")
    table = file.get_node(group, target.name)
    blobs = file.get_node(group, "blobs")

    row = table.row
    row["event_id"] = table.nrows + 1
    timestamp = calendar.timegm(header["datetime"].utctimetuple())
    row["timestamp"] = timestamp
    if target.extended_time:
        row["nanoseconds"] = header["nanoseconds"]
        row["ext_timestamp"] = timestamp * 1_000_000_000 + header["nanoseconds"]

    values: dict[str, Any] = {}
    for item in event["datalist"]:
        code, value = item["data_uploadcode"], item["data"]
        column = target.columns.get(code) or target.columns[code[:-1]]
        if column.blob:
            blobs.append(base64.b64decode(value) if column.blob == "base64" else value.encode("latin-1"))
            value = blobs.nrows - 1
        else:
            value = column.wrap(value)
        if column.indexed:
            if column.name not in values:
                values[column.name] = row[column.name]
            values[column.name][int(code[-1]) - 1] = value
        else:
            values[column.name] = value
    for name, value in values.items():
        row[name] = value
    row.append()
    table.flush()
    blobs.flush()


def write_uploads(paths: list[Path], archive: Path) -> int:
    """Write queue files into the day files of an archive.

    Parameters
    ----------
    paths : list of Path
        Pickled dicts of ``station_id``, ``cluster``, ``event_list``.
    archive : Path
        Day files are ``<year>/<month>/<year>_<month>_<day>.h5`` below it.

    Returns
    -------
    int
        Number of events written.
    """
    written = 0
    for path in paths:
        upload = read_upload(path)
        file, date = None, None
        for event in upload["event_list"]:
            if event["header"]["datetime"].date() != date:
                if file is not None:
                    file.close()
                date = event["header"]["datetime"].date()
                file = open_day_file(archive, date)
            store_event(file, upload["cluster"], upload["station_id"], event)
            written += 1
        if file is not None:
            file.close()
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description="Write queue files of HiSPARC into day files, row by row.")
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCES", help="queue files")
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="directory of the day files")
    arguments = parser.parse_args()
    start = time.perf_counter()
    written = write_uploads(arguments.sources, arguments.archive)
    seconds = time.perf_counter() - start
    print(f"{written} events in {seconds:.2f} s, {written / seconds:.0f} events/s")


if __name__ == "__main__":
    main()
