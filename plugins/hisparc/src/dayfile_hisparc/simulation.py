"""Sample uploads of HiSPARC stations: a day of showers, singles and weather, as station software sends them.

Station software sends lists of 100 events; the receiver keeps each list as a queue file, a pickled dict of
``station_id``, ``cluster`` and ``event_list``. An event is a dict of a ``header`` and a ``datalist`` of upload codes
with their values. The random values follow the ranges of a real four-detector station: per second one message of
singles and 36/64 of a shower, baselines near 29 ADC counts, traces of 80 to 902 samples of 2.5 ns.
"""

from __future__ import annotations

import base64
import pickle
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural

__all__ = ["EVENTS_AN_UPLOAD", "SAMPLE_STATIONS", "simulate_events", "write_queue_files"]

Event = dict[str, Any]
Datalist = list[dict[str, Any]]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SAMPLE_STATIONS: Mapping[int, int] = {501: 4, 502: 4, 510: 2}
"""Stations of a sample, with the number of detectors of each."""

EVENTS_AN_UPLOAD = 100
UPLOADS_A_DAY = 1300
"""Uploads that a station surely fills: it sends about 135,000 events a day, with a random number of showers."""

PROTOCOLS = (0, 2, 3, 4, 5)
SECOND = 1_000_000_000
SECONDS_A_DAY = 86_400
SHOWERS_A_SECOND = 36 / 64
WEATHER_PERIOD = 300
ERROR_PERIOD = 600
EVENTS_AT_ONCE = 1024

LOW_THRESHOLD, HIGH_THRESHOLD = 53, 123
"""Trigger thresholds of 30 and 70 mV, in ADC counts above the baseline."""
FILTER_THRESHOLD = 20
"""ADC counts above the baseline from which on a sample counts towards the integral."""
LARGEST_COUNT = 4095
MIP_HEIGHT, MIP_WIDTH = 270.0, 45.0
"""Most probable pulse height of one particle and the scale of its spectrum, in ADC counts."""
LEAD, PULSE, LARGEST_SPREAD = 26, 54, 822
"""Samples kept before the first pulse, from the last pulse on, and at most between the two: 80 to 902 in all."""

BASELINES = np.array([30.0, 29.0, 29.5, 28.5])
NOISES = np.array([1.25, 1.85, 1.95, 1.55])
SINGLES_A_SECOND = np.array([347, 95, 358, 99, 326, 98, 369, 101])

SHOWER_CODES = (
    *("RED", "EVENTRATE", "TRIGPATTERN"),
    *(f"{quantity}{detector}" for quantity in ("STDDEV", "BL", "NP", "PH", "IN", "TR") for detector in range(1, 5)),
)
SINGLES_CODES = tuple(
    f"{device}_CH{channel}_{level}" for device in ("MAS", "SLV") for channel in (1, 2) for level in ("LOW", "HIGH")
)
# fmt: off
WEATHER_CODES = (
    "WTR_TEMP_INSIDE", "WTR_TEMP_OUTSIDE", "WTR_HUMIDITY_OUTSIDE", "WTR_HUMIDITY_INSIDE", "WTR_BAROMETER",
    "WTR_WIND_DIR", "WTR_WIND_SPEED", "WTR_SOLAR_RAD", "WTR_UV", "WTR_ET", "WTR_RAIN_RATE", "WTR_HEAT_INDEX",
    "WTR_DEW_POINT", "WTR_WIND_CHILL",
)
STATION_SETTINGS: Mapping[str, Any] = {
    "CFG_TRIGLOWSIG": 3, "CFG_TRIGHIGHSIG": 2, "CFG_TRIGEXT": 0, "CFG_TRIGANDOR": True, "CFG_PRECTIME": 1.0,
    "CFG_CTIME": 1.5, "CFG_POSTCTIME": 3.5, "CFG_SPAREBYTES": 0, "CFG_USEFILTER": True, "CFG_USEFILTTHRES": False,
    "CFG_REDUCE": True, "CFG_BUFFER": "", "CFG_STARTMODE": True, "CFG_DELAYSCREEN": 0.1, "CFG_DELAYCHECK": 5.0,
    "CFG_DELAYERROR": 10.0,
}
DEVICE_SETTINGS: Mapping[str, Any] = {
    "CH1THRLOW": 30.0, "CH1THRHIGH": 70.0, "CH2THRLOW": 30.0, "CH2THRHIGH": 70.0, "CH1INTTIME": 1.0,
    "CH2INTTIME": 1.0, "CH1VOLT": 734.0, "CH2VOLT": 741.0, "CH1CURR": 8.1, "CH2CURR": 7.9, "COMPTHRLOW": -58.0,
    "COMPTHRHIGH": 0.57, "MAXVOLT": 1500.0, "RESET": False, "CH1GAINPOS": 127, "CH1GAINNEG": 126, "CH2GAINPOS": 130,
    "CH2GAINNEG": 129, "CH1OFFPOS": 128, "CH1OFFNEG": 127, "CH2OFFPOS": 125, "CH2OFFNEG": 126, "COMMOFF": 131,
    "INTVOLTAGE": 128, "CH1ADCGAIN": 1.0, "CH1ADCOFF": 0.0, "CH2ADCGAIN": 1.0, "CH2ADCOFF": 0.0, "CH1COMPGAIN": 1.0,
    "CH1COMPOFF": 0.0, "CH2COMPGAIN": 1.0, "CH2COMPOFF": 0.0,
}
# fmt: on
ERROR_MESSAGES = ("GPS: no satellites in view", "Buffer: secondary did not answer", "Clock: corrected by 1 second")

DECIMALS = np.array([list(f"{count},".encode().rjust(5, b"\0")) for count in range(LARGEST_COUNT + 1)], np.uint8)
"""Text of each ADC count with the comma after it, padded in front with zero bytes."""


def make_datalist(codes: Sequence[str], values: Sequence[Any]) -> Datalist:
    """Pair upload codes with their values, as they are sent; codes without a value are left out."""
    return [{"data_uploadcode": code, "data": value} for code, value in zip(codes, values, strict=False)]


def draw_pulse_heights(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw heights of pulses in ADC counts: one particle or a few, each with the long upper tail of energy loss.

    Minus the logarithm of a chi-square of one degree of freedom has Moyal's distribution, the usual approximation of
    Landau's.
    """
    return rng.geometric(0.75, shape) * (MIP_HEIGHT - MIP_WIDTH * np.log(rng.chisquare(1, shape)))


def draw_arrivals(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Integers, Integers]:
    """Draw the sample at which the pulse of each detector begins, -1 without a hit, and the length of the traces.

    At least two detectors see a shower. Half of the showers arrive as a thin front; in the others a late particle
    makes the traces longer. Lengths are even.
    """
    showers, detectors = shape
    front, late = rng.uniform(0, 16, showers), rng.exponential(300, showers)
    spread = 2 * (np.where(rng.random(showers) < 0.5, front, late).clip(max=LARGEST_SPREAD) // 2).astype(np.int64)
    rank = rng.random(shape).argsort(axis=1)
    share = rng.random(shape)
    share[rank == 0] = 0
    share[rank == 1] = 1
    begin = LEAD + (share * spread[:, np.newaxis]).astype(np.int64)
    seen = 2 + rng.binomial(detectors - 2, 0.2, showers)
    return np.where(rank < seen[:, np.newaxis], begin, -1), LEAD + spread + PULSE


def digitise(
    rng: np.random.Generator, begins: Integers, lengths: Integers, baselines: Floats, noises: Floats
) -> tuple[npt.NDArray[np.int16], Integers]:
    """Digitise many traces: their ADC counts end to end (int16), and where each trace starts.

    Parameters
    ----------
    begins, lengths : array of int64, shape (traces,)
        Sample at which the pulse begins, -1 for none, and number of samples.
    baselines, noises : array of float64, shape (traces,)
        Mean and standard deviation without a pulse, in ADC counts.
    """
    starts = lengths.cumsum() - lengths
    samples = rng.standard_normal(lengths.sum(), np.float32)
    samples *= noises.astype(np.float32).repeat(lengths)
    samples += baselines.astype(np.float32).repeat(lengths)
    hit = np.flatnonzero(begins >= 0)
    # A pulse rises to its peak in 6 to 9 samples and has decayed 54 samples after it began.
    time = np.arange(PULSE) / rng.uniform(6, 9, (len(hit), 1))
    pulses = draw_pulse_heights(rng, (len(hit), 1)) * time**2 * np.exp(2 - 2 * time)
    samples[(starts + begins)[hit, np.newaxis] + np.arange(PULSE)] += pulses
    return np.rint(samples).clip(0, LARGEST_COUNT).astype(np.int16), starts


def encode_traces(counts: npt.NDArray[np.int16], starts: Integers) -> list[str]:
    """Encode traces as they are sent: base64 of a zlib stream of decimal numbers separated by commas."""
    digits = DECIMALS[counts]
    text = digits[digits > 0].tobytes()
    widths = np.add.reduceat(2 + (counts > 9) + (counts > 99) + (counts > 999), starts)
    ends = widths.cumsum()
    parts = zip((ends - widths).tolist(), (ends - 1).tolist(), strict=True)
    return [base64.b64encode(zlib.compress(text[start:end])).decode() for start, end in parts]


def convert_as_sent(values: Integers, dtype: type[np.unsignedinteger[Any]]) -> list[list[int]]:
    """Convert values of the detectors, shape (showers, detectors), as sent for four; absent detectors are -1.

    Station software unpacks them as unsigned integers, so -1 arrives as 65535 or 4294967295.
    """
    absent = ((0, 0), (0, 4 - values.shape[1]))
    sent: list[list[int]] = np.pad(values, absent, constant_values=-1).astype(dtype).tolist()
    return sent


def draw_showers(rng: np.random.Generator, seconds: Floats, detectors: int) -> Iterator[Datalist]:
    """Draw showers: the measured values of each trace, and the traces.

    The pulse height is that of the highest sample above the baseline, the integral sums the samples at least 20
    counts above it. The trigger pattern has two bits a detector, from bit 0 on: over the low threshold, over the high
    one; the bits above are the condition that was met.
    """
    shape = len(seconds), detectors
    if not len(seconds):
        return
    begins, lengths = draw_arrivals(rng, shape)
    baselines = BASELINES[:detectors] + rng.normal(0, 1, shape)
    noises = NOISES[:detectors] * rng.lognormal(0, 0.15, shape)
    counts, starts = digitise(rng, begins.ravel(), lengths.repeat(detectors), baselines.ravel(), noises.ravel())
    whole_baselines = np.rint(baselines).astype(np.int64)
    above = counts - whole_baselines.astype(np.int16).ravel().repeat(lengths.repeat(detectors))
    heights = np.maximum.reduceat(above, starts).reshape(shape).astype(np.int64)
    integrals = np.add.reduceat(np.where(above >= FILTER_THRESHOLD, above, 0), starts, dtype=np.int64).reshape(shape)
    bits = 1 << 2 * np.arange(detectors)
    patterns = 0x600 + (heights >= LOW_THRESHOLD) @ bits + (heights >= HIGH_THRESHOLD) @ (2 * bits)
    # Events of the last minute per second, a 32-bit number when it leaves the electronics.
    rates = (rng.poisson(60 * SHOWERS_A_SECOND, len(seconds)) / 60).astype(np.float32)
    traces = iter(encode_traces(counts, starts))
    for rate, pattern, *measured in zip(
        rates.tolist(),
        patterns.tolist(),
        convert_as_sent(np.rint(1000 * noises).astype(np.int64), np.uint16),
        convert_as_sent(whole_baselines, np.uint16),
        convert_as_sent((begins >= 0).astype(np.int64), np.uint16),
        convert_as_sent(heights, np.uint16),
        convert_as_sent(integrals, np.uint32),
        strict=True,
    ):
        values = [value for quantity in measured for value in quantity]
        yield make_datalist(SHOWER_CODES, [1, rate, pattern, *values, *islice(traces, detectors)])


def draw_singles(rng: np.random.Generator, seconds: Floats, detectors: int) -> Iterator[Datalist]:
    """Draw singles: pulses over the low and the high threshold in one second; -1 without a secondary."""
    counts = rng.poisson(SINGLES_A_SECOND, (len(seconds), len(SINGLES_CODES)))
    counts[:, 2 * detectors :] = -1
    return (make_datalist(SINGLES_CODES, row) for row in counts.tolist())


def draw_weather(rng: np.random.Generator, seconds: Floats, detectors: int) -> Iterator[Datalist]:  # noqa: ARG001
    """Draw the messages of a weather station without a UV sensor: -999 means not measured."""
    for day_share in (seconds / SECONDS_A_DAY).tolist():
        sun = max(0.0, float(np.sin(2 * np.pi * (day_share - 0.25))))
        outside, inside = np.round([8 + 5 * sun + rng.normal(0, 0.3), 20 + 2 * sun + rng.normal(0, 0.2)], 1).tolist()
        barometer, wind = np.round([1012 + rng.normal(0, 1), rng.gamma(4)], 3).tolist()
        humidity, direction = int(85 - 20 * sun), int(rng.integers(360))
        values = (inside, outside, humidity, 45, barometer, direction, wind, int(600 * sun), -999, 0.0, 0.0)
        yield make_datalist(WEATHER_CODES, (*values, int(outside), round(outside - 3, 1), round(outside - wind / 2, 1)))


def draw_configuration(rng: np.random.Generator, seconds: Floats, detectors: int) -> Iterator[Datalist]:
    """Draw a configuration. A station with two detectors has no secondary: its hardware number is 0."""
    secondary = detectors == 4
    latitude, longitude = rng.normal((52.3559, 4.9510), 0.001).tolist()
    settings = {
        "CFG_GPS_LAT": latitude,
        "CFG_GPS_LONG": longitude,
        "CFG_GPS_ALT": 56.2,
        "CFG_MAS_VERSION": "Hardware: 83 FPGA: 15",
        "CFG_SLV_VERSION": "Hardware: 91 FPGA: 15" if secondary else "Hardware: 0 FPGA: 0",
        **STATION_SETTINGS,
        "CFG_DETNUM": detectors,
        **{f"CFG_MAS_{code}": value for code, value in DEVICE_SETTINGS.items()},
        **{f"CFG_SLV_{code}": value if secondary else type(value)(0) for code, value in DEVICE_SETTINGS.items()},
    }
    return (make_datalist(tuple(settings), tuple(settings.values())) for _ in seconds)


def draw_errors(rng: np.random.Generator, seconds: Floats, detectors: int) -> Iterator[Datalist]:  # noqa: ARG001
    """Draw error messages, of one text each."""
    choices = rng.integers(len(ERROR_MESSAGES), size=len(seconds)).tolist()
    return (make_datalist(("ERRMSG",), (ERROR_MESSAGES[choice],)) for choice in choices)


KINDS = {"CFG": draw_configuration, "CIC": draw_showers, "SIN": draw_singles, "WTR": draw_weather, "ERR": draw_errors}
"""Event type codes, with the functions that draw their data; at the same instant, earlier ones come first."""


def draw_timeline(rng: np.random.Generator) -> tuple[Integers, npt.NDArray[np.str_]]:
    """Draw nanoseconds since midnight and type code of a day's events, in time order; only showers have fractions."""
    times = {
        "CFG": np.zeros(1, np.int64),
        "CIC": rng.integers(SECONDS_A_DAY * SECOND, size=rng.poisson(SECONDS_A_DAY * SHOWERS_A_SECOND)),
        "SIN": np.arange(SECONDS_A_DAY) * SECOND,
        "WTR": np.arange(rng.integers(WEATHER_PERIOD), SECONDS_A_DAY, WEATHER_PERIOD) * SECOND,
        "ERR": (np.arange(0, SECONDS_A_DAY, ERROR_PERIOD) + rng.integers(ERROR_PERIOD, size=144)) * SECOND,
    }
    together = np.concatenate([times[code] for code in KINDS])
    codes = np.repeat(list(KINDS), [len(times[code]) for code in KINDS])
    order = np.argsort(together, kind="stable")
    return together[order], codes[order]


def simulate_events(day: np.datetime64, seed: int, station: int, *, detectors: int = 4) -> Iterator[Event]:
    """Simulate the events of one station from midnight on, in time order, until the day is over (about 135,000).

    Parameters
    ----------
    day : numpy.datetime64
        The day; the station starts at its midnight with a configuration (CFG).
    seed : int
        The same day, seed, station and detectors give the same events.
    station : int
        Station number.
    detectors : {4, 2}
        With two detectors there is no secondary: ``BL3``, ``IN4`` and their like carry the unsigned form of -1 and
        only ``TR1`` and ``TR2`` are sent.

    Yields
    ------
    dict
        ``header`` with ``eventtype_uploadcode`` (CFG, CIC, SIN, WTR or ERR), ``datetime`` (naive, whole seconds),
        ``nanoseconds``, ``date``, ``time``; ``datalist`` of dicts ``data_uploadcode``, ``data``. All values are
        Python's own types.

    Raises
    ------
    UsageError
        No station has this number of detectors.

    Examples
    --------
    >>> first = next(simulate_events(np.datetime64("2024-05-01"), 1, 501))
    >>> first["header"]["eventtype_uploadcode"], first["header"]["time"], first["datalist"][-1]
    ('CFG', '00:00:00', {'data_uploadcode': 'CFG_SLV_CH2COMPOFF', 'data': 0.0})
    """
    if detectors not in (2, 4):
        raise UsageError(f"a station has 2 or 4 detectors, not {detectors}: choose one of them")
    date = day.astype("datetime64[D]")
    # A seed sequence must not have negative numbers.
    rng = np.random.default_rng([number % 2**64 for number in (seed, int(date.astype(np.int64)), station)])
    times, codes = draw_timeline(rng)
    for first in range(0, len(times), EVENTS_AT_ONCE):
        time, code = times[first : first + EVENTS_AT_ONCE], codes[first : first + EVENTS_AT_ONCE]
        data = {kind: draw(rng, time[code == kind] / SECOND, detectors) for kind, draw in KINDS.items()}
        instants = date + (time // SECOND).astype("timedelta64[s]")
        texts = np.datetime_as_string(instants, unit="s").tolist()
        for kind, instant, text, nanoseconds in zip(
            code.tolist(), instants.tolist(), texts, (time % SECOND).tolist(), strict=True
        ):
            header = {
                "eventtype_uploadcode": kind,
                "datetime": instant,
                "nanoseconds": nanoseconds,
                "date": text[:10],
                "time": text[11:],
            }
            yield {"header": header, "datalist": next(data[kind])}


def write_queue_files(
    day: np.datetime64,
    seed: int,
    directory: Path,
    *,
    stations: Mapping[int, int] = SAMPLE_STATIONS,
    cluster: str = "Amsterdam",
    uploads: int = 30,
) -> list[Path]:
    """Write uploads of 100 events as the receiver queues them, taking the stations in turn.

    Parameters
    ----------
    day : numpy.datetime64
        The day of all events.
    seed : int
        The same arguments give the same names and bytes, whatever the hash seed or the time zone. Another version of
        NumPy or zlib may draw or compress differently.
    directory : Path
        Directory for the files; made if missing.
    stations : mapping of int to int
        Number of detectors, 4 or 2, of each station.
    cluster : str
        The cluster of the stations.
    uploads : int
        Number of files over all stations.

    Returns
    -------
    list of Path
        ``<day>_<station>_<number>``, in order of writing. The pickle protocols 0 and 2 to 5 take turns: stations with
        Python 2 send 0, the receiver's own files have Python 3's default.

    Raises
    ------
    UsageError
        The stations send fewer events in a day, or one has neither 2 nor 4 detectors.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> [path.name for path in write_queue_files(np.datetime64("2024-05-01"), 1, Path(mkdtemp()), uploads=2)]
    ['2024-05-01_501_00000', '2024-05-01_502_00000']
    """
    if uploads > UPLOADS_A_DAY * len(stations):
        raise UsageError(
            f"{plural(len(stations), 'station')} cannot fill {plural(uploads, 'upload')} in a day: ask for at most "
            f"{UPLOADS_A_DAY * len(stations)}, or name more stations"
        )
    directory.mkdir(parents=True, exist_ok=True)
    numbers = tuple(stations)
    streams = [simulate_events(day, seed, number, detectors=stations[number]) for number in numbers]
    paths = []
    for upload in range(uploads):
        turn, place = divmod(upload, len(numbers))
        events = list(islice(streams[place], EVENTS_AN_UPLOAD))
        content = {"station_id": numbers[place], "cluster": cluster, "event_list": events}
        path = directory / f"{day.astype('datetime64[D]')}_{numbers[place]}_{turn:05d}"
        path.write_bytes(pickle.dumps(content, PROTOCOLS[(turn + place) % len(PROTOCOLS)]))
        paths.append(path)
    return paths
