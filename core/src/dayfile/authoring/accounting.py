"""Where each byte of a source goes: to records, or rejected, left out, between frames, or in front of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dayfile.decoding.sources import SourceDecoding
from dayfile.formats.framed import ORDER_BYTES, read_head, split_source
from dayfile.framing.matching import recognise
from dayfile.layouts.reader import Layout
from dayfile.model.batch import Source

__all__ = ["count_bytes"]


def count_bytes(source: Source, layout: Layout, rejected: Mapping[str, Collection[int]]) -> dict[str, int]:
    """Count where the bytes of a source go that the words ``match`` and ``frames`` of a layout describe.

    Parameters
    ----------
    source : Source
        The source.
    layout : Layout
        The layout.
    rejected : mapping of str to collection of int
        Numbers of the records that are rejected, by code. A frame of which only rows are rejected is not.

    Returns
    -------
    dict of str to int
        Bytes by where they go, the words of the command; empty if the layout has no frames, or they are not those of
        this source. A rejected frame has the length that it claims, so only bytes that are in no good frame count.
    """
    plan = layout.plan
    match = recognise(source, plan.patterns) if plan else None
    if plan is None or match is None:
        return {}
    known: dict[str, Any] = dict(match.captures)
    order = match.order or plan.framing.find_order(np.frombuffer(source.part(0, ORDER_BYTES), np.uint8))
    head = read_head(source, plan.framing.heads.get(order or plan.byte_order), known)
    decoding = SourceDecoding(plan, source.name, known, source.part, head)
    rows = {kind.data_type.code for kind in plan.kinds if not kind.forms}
    refused = np.array([number for code, each in rejected.items() if code not in rows for number in each], np.int64)
    counts = Counter({"head": len(head)})
    for block, reading in split_source(source, len(head), plan, order or plan.byte_order, known):
        frames = block.frames
        bad = np.isin(decoding.number_next(block), refused)
        _, others, _ = decoding.read(frames, reading)
        counts["records"] += int(frames.lengths[~others & ~bad].sum())
        counts["ignored"] += int(frames.lengths[others & ~bad].sum())
        counts["rejected"] += int(frames.lengths[bad].sum())
        counts["between"] += sum(stretch.length for stretch in block.between)
        counts["around"] += int(block.around.lengths.sum())
        if plan.lines is not None:
            counts["rejected"] += int(block.rejected.lengths.sum())
    # Between good frames is only what was rejected; between lines, there are their ends, blank ones and comments.
    counts["rejected" if plan.lines is None else "ignored"] += source.size - sum(counts.values())
    return {name: counts[name] for name in ("head", "records", "rejected", "ignored", "between", "around")}
