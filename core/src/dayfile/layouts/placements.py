"""Compile where a layout has the records of a type, and how their tables are stored."""

from __future__ import annotations

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.schema import CompressWords, LayoutWords, TypeWords
from dayfile.messages import plural
from dayfile.model.placement import Compression, Node, Placement

__all__ = ["compile_placement"]

MOST_CHUNK_BYTES = 2**24
"""Bytes of a chunk: it is read, and compressed again, whole."""
DEFAULT_LEVELS = {"zlib": 4, "blosc": 1}
"""Levels of compression beyond which the files of images get little smaller."""


def compile_placement(type_words: TypeWords, words: LayoutWords, name: str, size: int, document: Document) -> Placement:
    """Compile the path, table and store of a type, whose records have this number of bytes."""
    path: Path = ("types", name)
    for word in ("compress", "chunk"):
        if word in type_words.model_fields_set and getattr(type_words, word) is None:
            document.fail((*path, word), EMPTY)
    chunk = type_words.chunk or 0
    if chunk * size > MOST_CHUNK_BYTES:
        problem = f"a chunk would have {plural(chunk * size, 'byte')}; {MOST_CHUNK_BYTES} is the most"
        document.fail((*path, "chunk"), problem)
    node = Node(
        path=words.node.replace("{type}", name),
        titles=(*words.titles, type_words.title),
        blobs=words.blobs.node if words.blobs else "",
        blobs_title=words.blobs.title if words.blobs else "",
        main_key=words.main_key or "",
    )
    return Placement(
        type_words.store,
        words.path,
        node,
        suffix=type_words.suffix or name,
        base=words.base,
        compression=compile_compression(type_words.compress, document, (*path, "compress")),
        chunk=chunk,
    )


def compile_compression(words: CompressWords | None, document: Document, path: Path) -> Compression | None:
    """Compile how tables are compressed; None if they are not."""
    if words is None:
        return None
    if words.level is None and "level" in words.model_fields_set:
        document.fail((*path, "level"), EMPTY)
    if words.kind == "none":
        if words.level is not None:
            document.fail((*path, "level"), "what is not compressed has no level")
        return None
    return Compression(words.kind, words.level or DEFAULT_LEVELS[words.kind])
