"""Where the archive keeps the records of a data type: its day files, and its tables in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

__all__ = ["NODE_KEY", "Compression", "CompressionKind", "Node", "Placement"]

CompressionKind = Literal["zlib", "blosc"]

NODE_KEY = re.compile(r"\{([A-Za-z_]\w*)\}")
"""A key in a template of a node, as it is: without a format, so that readers find its value again."""


@dataclass(frozen=True)
class Node:
    """Where in a day file the records are: a path of groups, and titles, filled from a batch's keys.

    Parameters
    ----------
    path : str
        Path of the table, with the names of keys in braces: ``/array/telescope_{telescope}/events``.
    titles : tuple of str
        A title for each part of the path, the table's last; missing ones are empty.
    blobs : str
        Path of the blob array, empty if the type has none.
    blobs_title : str
        Its title.
    main_key : str
        The key in ``path`` that people ask by; empty if the layout names none.
    """

    path: str
    titles: tuple[str, ...] = ()
    blobs: str = ""
    blobs_title: str = ""
    main_key: str = ""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Return the names of the keys of a batch: in the path, the blob array's path and the titles of their groups.

        Examples
        --------
        >>> Node("/array/telescope_{telescope}/events", ("", "Telescope of {name}", "Events")).keys
        ('telescope', 'name')
        """
        # The last title is the table's own; those before it are the groups'. Any further ones are never written.
        groups = max(self.path.count("/"), self.blobs.count("/")) - 1
        templates = (self.path, self.blobs, *self.titles[:-1][:groups])
        return tuple(dict.fromkeys(name for text in templates for name in NODE_KEY.findall(text)))


@dataclass(frozen=True)
class Compression:
    """How the chunks of a table are compressed.

    Parameters
    ----------
    kind : {'zlib', 'blosc'}
        The filter of HDF5: ``zlib``, which every program can read, or ``blosc``, by Zstandard, which takes a plugin.
    level : int
        From 1, the quickest, to 9, the smallest.
    """

    kind: CompressionKind
    level: int


@dataclass(frozen=True)
class Placement:
    """Where the archive keeps the records of a data type.

    Parameters
    ----------
    store : str
        Name of the store: how a day file holds the records; ``append``, ``slots``, ``intervals``, or one that a plugin
        brings.
    path : str
        Template of the day file's path below the archive root, in ``str.format`` syntax: ``{year}``, ``{month:02}``,
        ``{day:02}``, ``{instrument}``, ``{type}`` and ``{suffix}``.
    node : Node
        Where in the day file the records are.
    suffix : str
        Short name of the type for the path.
    base : str
        Name of the environment variable that can name another directory in place of the first one of ``path``; empty
        for none.
    compression : Compression, optional
        How new tables are compressed; not at all if not given.
    chunk : int
        Records in a chunk of new tables; 0 for a number that suits their size.
    """

    store: str
    path: str
    node: Node
    suffix: str = ""
    base: str = ""
    compression: Compression | None = None
    chunk: int = 0
