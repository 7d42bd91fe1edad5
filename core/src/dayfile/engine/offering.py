"""Sources that are not files: bytes of a program, or a pipe. They are accepted before anything of them is archived."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dayfile.archive import disk
from dayfile.engine.accepting import accept_each
from dayfile.engine.intake import Arrival, list_given
from dayfile.engine.reading import READ_BLOCK
from dayfile.engine.run import Run
from dayfile.errors import SourceError, UsageError
from dayfile.messages import plural
from dayfile.model.batch import Source
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings

__all__ = [
    "Offered",
    "accept_offered",
    "add_keys",
    "add_keys_to_all",
    "convert_given",
    "find_given",
    "list_offers",
    "offer_bytes",
    "offer_pipe",
]

NAME_BYTES = 240
"""Bytes of the longest name of a source: file systems allow 255."""


@dataclass(frozen=True)
class Offered:
    """A source that is not a file.

    Parameters
    ----------
    name : str
        Its name, by which formats may recognise it.
    parts : iterable of bytes
        Its bytes, in parts; iterated over once.
    """

    name: str
    parts: Iterable[bytes] = field(repr=False)

    def __post_init__(self) -> None:
        name = self.name
        if not isinstance(name, str) or not name or name.startswith(".") or "/" in name or not name.isprintable():
            raise UsageError(f"{name!r} cannot be the name of a source: give a plain file name")
        if len(name.encode()) > NAME_BYTES:
            raise UsageError(f"the name {name[:40]}… is too long for a source ({NAME_BYTES} bytes)")


def offer_bytes(content: bytes, name: str | None = None) -> Offered:
    """Offer bytes; without a name, they get one from their SHA-256.

    Examples
    --------
    >>> offer_bytes(b"abc").name
    'bytes-ba7816bf8f01cfea'
    """
    return Offered(f"bytes-{hashlib.sha256(content).hexdigest()[:16]}" if name is None else name, [content])


def offer_pipe(stream: BinaryIO, name: str) -> Offered:
    """Offer what a stream gives until it ends."""
    return Offered(name, read_pipe(stream))


def read_pipe(stream: BinaryIO) -> Iterator[bytes]:
    """Read a stream in parts; SourceError if that fails."""
    try:
        while part := stream.read(READ_BLOCK):
            yield part
    except OSError as error:
        raise SourceError(f"standard input cannot be read ({error.strerror or error})") from error


def list_offers(sources: object) -> list[Path | Offered]:
    """List what a program gives as sources: a path, bytes, or (name, bytes), or an iterable of these.

    Raises
    ------
    UsageError
        Something else was given, or a name that cannot be that of a source.
    """
    if isinstance(sources, str | os.PathLike):
        if not os.fspath(sources):
            raise UsageError("an empty text is not the path of a source")  # to Path, the current directory
        return [Path(sources)]
    if isinstance(sources, bytes | bytearray | memoryview):
        return [offer_bytes(bytes(sources))]
    match sources:
        case (str() as name, bytes() | bytearray() | memoryview() as content):
            return [offer_bytes(bytes(content), name)]
    # The lines of an open file are no sources, nor are the words of a dict.
    if not isinstance(sources, Iterable) or isinstance(sources, Mapping) or hasattr(sources, "read"):
        raise UsageError(f"a source is a path, bytes, or (name, bytes), not {type(sources).__name__}")
    return list(chain.from_iterable(map(list_offers, sources)))


def find_given(given: Iterable[Path | Offered]) -> list[Arrival | Offered]:
    """Find the files of given paths, and leave everything else as it is; UsageError if a path does not exist."""
    return [each for item in given for each in ([item] if isinstance(item, Offered) else list_given([item]))]


def convert_given(keys: Mapping[str, object]) -> dict[str, str | int]:
    """Convert keys to texts and integers of Python; UsageError if one is neither."""
    found: dict[str, str | int] = {}
    for name, value in keys.items():
        if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
            raise UsageError(f"the key {name} must be a text or a whole number, not {value!r}")
        found[name] = str(value) if isinstance(value, str) else int(value)
    return found


def add_keys_to_all(
    given: Sequence[Arrival | Offered], plugins: Plugins, settings: Settings, keys: Mapping[str, str | int]
) -> Iterator[Arrival | Offered]:
    """Offer sources together with keys, as :func:`add_keys`: the first one now, and each other when it is its turn."""
    add = partial(add_keys, plugins=plugins, settings=settings, keys=keys)
    return chain([add(each) for each in given[:1]], map(add, given[1:]))


def add_keys(
    each: Arrival | Offered, plugins: Plugins, settings: Settings, keys: Mapping[str, str | int]
) -> Arrival | Offered:
    """Offer a source together with keys, so that what is archived and kept says them; a file that is too large stays.

    Raises
    ------
    UsageError, SettingsError
        No plugin takes a key, or its value is impossible.
    UsageError
        The file cannot be read.
    """
    if isinstance(each, Offered):
        source = Source(Path(each.name), each.name, b"".join(each.parts))
    else:
        try:
            if each.path.stat().st_size > settings.core.sources_largest:
                return each
            source = Source.read(each.path)
        except OSError as error:
            raise UsageError(f"cannot be read ({error.strerror})", where=each.path) from error
    name, content = plugins.add_keys(source, settings, keys)
    return Offered(name, [content])


def accept_offered(run: Run, given: Iterable[Arrival | Offered]) -> Iterator[Arrival]:
    """Accept what is not a file; it is on disk, in ``accepted/``, when it is yielded. Files stay where they are.

    Parameters
    ----------
    run : Run
        The run; a source of more than ``sources.largest`` bytes is one of the failures in its report.
    given : iterable of Arrival or Offered
        The sources; their order is kept.

    Raises
    ------
    StorageError
        The archive cannot be written.
    """
    for offered, group in groupby(given, lambda each: isinstance(each, Offered)):
        if not offered:
            yield from (each for each in group if isinstance(each, Arrival))
            continue
        written = [write_offered(run, each) for each in group if isinstance(each, Offered)]
        for arrival in accept_each(run.root, [path for path in written if path is not None], run.hold):
            yield replace(arrival, origin=None)  # which is not in incoming/


def write_offered(run: Run, offered: Offered) -> Path | None:
    """Write a source into a directory of its own in the workshop; None, and a failure, if it cannot be read whole."""
    path = run.root.workshop / f"offered-{secrets.token_hex(8)}" / offered.name
    with disk.storage_errors("write", path.parent):
        path.parent.mkdir(mode=disk.PRIVATE_DIRECTORY)
    try:
        disk.write(path, limit_parts(offered.parts, run.pipeline.settings.core.sources_largest), private=True)
    except SourceError as error:
        disk.unlink(path)
        run.report.failures.append(Failure("dayfile", f"{offered.name}: {error.message}", SourceError.__name__))
        return None
    return path


def limit_parts(parts: Iterable[bytes], largest: int) -> Iterator[bytes]:
    """Yield the parts of a source; SourceError once they are more than ``largest`` bytes."""
    size = 0
    for part in parts:
        size += len(part)
        if size > largest:
            limit = f"{plural(largest, 'byte')}, the largest source that is read (sources.largest)"
            raise SourceError(f"more than {limit}")
        yield part
