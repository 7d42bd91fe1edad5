"""``dayfile status``: what the programs of an archive do, and what needs attention."""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.cli.output import find_width
from dayfile.cli.run import ArchiveOption
from dayfile.messages import format_age, format_size, plural, printable

if TYPE_CHECKING:
    from dayfile.archive.root import Root
    from dayfile.state.records import LastError
    from dayfile.state.silence import Ages, Silence
    from dayfile.state.status import ArchiveStatus, EngineStatus, ReceiverStatus

__all__ = ["status"]

ATTENTION = 3
REFRESH_SECONDS = 2.0
FRESH_SECONDS = 2.0
"""Age of what was measured from which it is shown."""
LABEL = 12
"""Columns of the word at the beginning of a line."""
AGE, UNBROKEN = re.compile(r"\(\d+ \w+ ago\)"), "\N{NO-BREAK SPACE}"
"""An age in parentheses, and the blank at which it is not broken into two lines."""
MOST_SILENT = 10
SHOWN_CAUSES = 3

MaxAgeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--max-age",
        metavar="LENGTH",
        help="Age of its newest record from which a key is silent: 90 min, 2 h, 1 d; also TYPE=LENGTH.",
        show_default="1 d",
    ),
]
RetiredOption = Annotated[
    str | None,
    typer.Option(
        "--retired", metavar="LENGTH", help="Age from which a silent key is only counted.", show_default="30 d"
    ),
]


def status(
    archive: ArchiveOption = Path("archive"),
    as_json: JsonOption = False,
    max_age: MaxAgeOption = None,
    retired: RetiredOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every 2 seconds, until Ctrl-C.")] = False,
) -> None:
    """Show what runs, what waits and what needs attention.

    It reads what the programs record about themselves, takes no lock and opens no day file.

    Exit codes: 0 all is well, 2 wrong usage, 3 something needs attention, 4 no archive, or its state cannot be read.
    """
    from dayfile.archive.root import Root
    from dayfile.errors import UsageError
    from dayfile.state.silence import parse_ages
    from dayfile.state.status import make_status

    ages = parse_ages(max_age or [], retired or "")
    root = Root(archive)
    if watch and as_json:
        raise UsageError("--watch shows text; leave out --json, or ask again and again without --watch")
    if watch:
        show_again_and_again(root, ages)
        return
    found = make_status(root, ages)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        for line in format_status(found, find_width()):
            typer.echo(printable(line))
    raise typer.Exit(ATTENTION if found.concerns else 0)


def show_again_and_again(root: Root, ages: Ages) -> None:
    """Show the status on a terminal until Ctrl-C."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from dayfile.errors import UsageError
    from dayfile.state.status import make_status

    console = Console()
    if not console.is_terminal:
        raise UsageError("--watch needs a terminal")

    def draw() -> Text:
        lines = [printable(line) for line in format_status(make_status(root, ages), console.width)]
        return Text("\n".join(lines), no_wrap=True)

    try:
        with Live(draw(), console=console, auto_refresh=False, screen=True) as live:
            while True:
                time.sleep(REFRESH_SECONDS)
                live.update(draw(), refresh=True)
    except KeyboardInterrupt:
        pass


def format_status(found: ArchiveStatus, width: int) -> Iterator[str]:
    """Format a status in lines of a width."""
    urgent = [concern.message for concern in found.concerns]
    blocks: dict[str, Iterable[str]] = {
        "archive": [found.archive],
        "disk": format_disk(found),
        "engine": format_engine(found.engine, found.at, urgent),
        "queue": format_queue(found),
        "quarantine": format_quarantine(found),
        "receiver": format_receiver(found.receiver, found.at, urgent),
        "silent": format_silence(found.silence, found.at, width - LABEL),
        "attention": urgent or ["none needed"],
    }
    for label, lines in blocks.items():
        for number, line in enumerate(lines):
            word = "" if number else label
            if line.startswith("  "):  # a row of a table
                yield f"{word:<{LABEL}}{line}"[:width]
                continue
            wrapper = PathWrapper(
                width,
                initial_indent=f"{word:<{LABEL}}",
                subsequent_indent=" " * (LABEL + 2),
                break_on_hyphens=False,
            )
            for part in wrapper.wrap(AGE.sub(lambda age: age[0].replace(" ", UNBROKEN), line)):
                yield part.replace(UNBROKEN, " ")


class PathWrapper(textwrap.TextWrapper):
    """Breaks lines between words, and a path that is longer than a line behind a slash."""

    def _handle_long_word(self, reversed_chunks: list[str], cur_line: list[str], cur_len: int, width: int) -> None:
        path = reversed_chunks[-1]
        end = path.rfind("/", 0, width - cur_len) + 1
        if end:
            cur_line.append(path[:end])
            reversed_chunks[-1] = path[end:]
        elif not (cur_line and "/" in path[:width]):  # else it begins on a line of its own
            super()._handle_long_word(reversed_chunks, cur_line, cur_len, width)


def format_last_error(error: LastError, now: float, urgent: Iterable[str]) -> str:
    """Format an error, in short if its message is among what needs attention."""
    said = any(error.message in message for message in urgent)
    return f"last error {format_since(error.at, now)}: {'see attention' if said else error.message}"


def format_moment(moment: float) -> str:
    """Format a time in UTC, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment))


def format_since(moment: float, now: float) -> str:
    """Format a time, and how long ago that was.

    Examples
    --------
    >>> format_since(0.0, 3600.0)
    '1970-01-01 00:00:00Z (1 h ago)'
    """
    return f"{format_moment(moment)} ({format_age(now - moment)} ago)"


def format_disk(found: ArchiveStatus) -> Iterator[str]:
    """Describe the disk."""
    measured = found.measured
    days = measured.days_left
    fills = f"; full in about {plural(int(days), 'day')}" if days is not None else ""
    yield f"{format_size(measured.free)} free of {format_size(measured.size)}{fills}"


def format_engine(engine: EngineStatus | None, now: float, urgent: Iterable[str]) -> Iterator[str]:
    """Describe what the engine does, or did last."""
    if engine is None:
        yield "no run is recorded yet"
        return
    state = engine.state
    who = f"{state.command}, process {state.process.pid} on {state.process.host}"
    if engine.alive:
        yield f"{who}, since {format_since(state.since, now)}"
        yield f"{state.doing}; last sign of life {format_age(now - state.beat)} ago"
    elif state.ended is not None:
        yield f"{who}, ended {format_since(state.ended, now)}"
    else:
        yield f"{who}, killed after {format_since(state.beat, now)}"
    if state.waits_for:
        yield f"waits for {state.waits_for}"
    published = state.published
    yield f"took {plural(state.taken, 'source')}; published {plural(published.day_files, 'day file')}"
    if published.last is not None:
        yield f"last published {format_since(published.last, now)}"
    if state.unpublished_since is not None:
        yield f"readers do not see {plural(state.waiting, 'source')} yet, for at most " + format_age(
            now - state.unpublished_since
        )
    if state.last_error is not None:
        yield format_last_error(state.last_error, now, urgent)


def format_queue(found: ArchiveStatus) -> Iterator[str]:
    """Describe what waits, and when that was measured, if the engine may have taken some since."""
    age = found.at - found.measured.at
    measured = f"; as of {format_age(age)} ago" if age > FRESH_SECONDS else ""
    for name, place in (("incoming", found.measured.incoming), ("accepted", found.measured.accepted)):
        if place is None:
            yield f"{name}/ may not be listed by this user"
        else:
            oldest = f", the oldest for {format_age(found.at - place.oldest)}" if place.oldest is not None else ""
            yield f"{plural(place.files, 'source')} in {name}/{oldest}{measured}"


def format_quarantine(found: ArchiveStatus) -> Iterator[str]:
    """Describe what went to quarantine."""
    quarantine = found.measured.quarantine
    if quarantine is None:
        yield "may not be listed by this user"
        return
    yield f"{plural(quarantine.entries, 'entry')}, {sum(quarantine.today.values()):,} new today (UTC)"
    causes = sorted(quarantine.today.items(), key=lambda item: -item[1])
    for cause, number in causes[:SHOWN_CAUSES]:
        yield f"{number} x {cause}"
    if len(causes) > SHOWN_CAUSES:
        yield f"and {plural(len(causes) - SHOWN_CAUSES, 'more cause')}"


def format_receiver(receiver: ReceiverStatus | None, now: float, urgent: Iterable[str]) -> Iterator[str]:
    """Describe what the receiver has received today."""
    if receiver is None:
        yield "none is recorded yet"
        return
    if receiver.alive:
        where = f"at {receiver.address}, " if receiver.address else ""
        yield f"{where}{plural(receiver.processes, 'process')}, since {format_since(receiver.since, now)}"
    else:
        yield f"{'killed after' if receiver.killed else 'ended'} {format_since(receiver.beat, now)}"
    yield f"{plural(receiver.stored, 'upload')} today (UTC), {format_size(receiver.bytes)}"
    if receiver.last_stored is not None:
        yield f"last stored {format_since(receiver.last_stored, now)}"
    if receiver.refused:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in receiver.refused.items())
        yield f"refused {sum(receiver.refused.values()):,}: {reasons}"
    if receiver.last_error is not None:
        yield format_last_error(receiver.last_error, now, urgent)


def format_silence(silence: Silence, now: float, width: int) -> Iterator[str]:
    """Describe which keys are silent, a row for each."""
    retired = f"; {silence.retired:,} more for so long that they are only counted" if silence.retired else ""
    since = ", since" if silence.silent else ""
    yield f"{len(silence.silent):,} of {plural(silence.followed, 'key')}{retired}{since}"
    shown = silence.silent[:MOST_SILENT]
    names = [" ".join([each.name, *(f"{key}={value}" for key, value in each.key.items())]) for each in shown]
    longest = max(map(len, names), default=0)
    for each, name in zip(shown, names, strict=True):
        moment = time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(each.since))
        row = f"  {moment}  {format_age(now - each.since):>7}"
        room = min(width - len(row) - 2, longest)
        yield f"  {name if len(name) <= room else f'{name[: room - 1]}…':<{room}}{row}"
    if len(silence.silent) > MOST_SILENT:
        yield f"and {plural(len(silence.silent) - MOST_SILENT, 'more key')}; --json lists all"
