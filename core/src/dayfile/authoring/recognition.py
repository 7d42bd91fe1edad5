"""Why a layout recognises a source, or does not: what of its words ``match`` and ``sources`` fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dayfile.formats.registry import CORE_FORMATS
from dayfile.framing.matching import Magic, Pattern, SizeCondition
from dayfile.layouts.reader import Layout
from dayfile.messages import plural
from dayfile.model.batch import Source
from dayfile.stages.base import Order

__all__ = ["Trait", "examine_match"]


@dataclass(frozen=True)
class Trait:
    """One condition that a layout has for its sources.

    Parameters
    ----------
    word : str
        The word of the layout: ``name``, ``magic``, ``size``, or the name of a format.
    fits : bool
        Whether the source fulfils it.
    text : str
        What is wanted, and what the source has.
    pattern : int
        Which of the patterns of ``match`` it belongs to, from 0.
    """

    word: str
    fits: bool
    text: str
    pattern: int = 0


def examine_match(source: Source, layout: Layout) -> list[Trait]:
    """Compare a source with each condition of a layout.

    Parameters
    ----------
    source : Source
        The source, unfolded if it was compressed.
    layout : Layout
        The layout.

    Returns
    -------
    list of Trait
        Those of each pattern of ``match`` in its order, then those of the formats under ``sources``.
    """
    patterns = layout.plan.patterns if layout.plan else ()
    traits = [each for number, pattern in enumerate(patterns) for each in examine_pattern(source, pattern, number)]
    for each in CORE_FORMATS:
        if each.name in layout.words.sources:
            fits = each.recognise(source, layout)
            text = f"{source.name} is {'' if fits else 'not '}one of its sources"
            traits.append(Trait(each.name, fits, text, len(patterns)))
    return traits


def examine_pattern(source: Source, pattern: Pattern, number: int) -> Iterator[Trait]:
    """Compare a source with each condition of one pattern."""
    if pattern.names:
        fits = any(each.capture(source.name) is not None for each in pattern.names)
        wanted = " or ".join(each.text for each in pattern.names)
        yield Trait("name", fits, f"{source.name} {describe_fit(fits)} {wanted}", number)
    if pattern.magic:
        yield examine_magic(source, pattern.magic, number)
    if pattern.contains:
        yield examine_magic(source, {None: pattern.contains}, number)
    if pattern.size:
        fits = pattern.size.holds(source.size)
        text = f"{plural(source.size, 'byte')} {describe_fit(fits)} {describe_size(pattern.size)}"
        yield Trait("size", fits, text, number)


def examine_magic(source: Source, magic: Mapping[Order | None, Magic], number: int) -> Trait:
    """Compare the first bytes of a source with magic bytes, any of which may be there."""
    found = {order: place for order, each in magic.items() if (place := each.find(source)) is not None}
    if found:
        order, place = min(found.items(), key=lambda each: each[1])
        said = f", so it is {order}-endian" if order else ""
        return Trait(
            "magic", fits=True, text=f"{show_bytes(magic[order].content)} at byte {place}{said}", pattern=number
        )
    texts = []
    for each in magic.values():
        wanted = show_bytes(each.content)
        if each.within is not None:
            texts.append(f"{wanted} is not in {plural(each.within, 'byte')} from {each.at} on")
            continue
        there = source.part(each.at, len(each.content))
        texts.append(f"{show_bytes(there) if there else 'nothing'} at byte {each.at}, not {wanted}")
    return Trait("magic", fits=False, text="; ".join(texts), pattern=number)


def describe_fit(fits: bool) -> str:  # noqa: FBT001 - the only argument
    """Say whether something fits."""
    return "fits" if fits else "does not fit"


def describe_size(size: SizeCondition) -> str:
    """Say what the size of a source must be."""
    parts = [f"at least {size.least:,}"] if size.least else []
    parts += [f"at most {size.most:,}"] if size.most is not None else []
    if size.multiple > 1:
        parts.append(f"a multiple of {size.multiple:,}" + (f" and {size.rest:,} more" if size.rest else ""))
    return ", ".join(parts) or "any size"


def show_bytes(content: bytes) -> str:
    """Show bytes in hexadecimal, and as text if they are."""
    text = content.decode("ascii", "replace")
    return content.hex(" ").upper() + (f" ({text!r})" if text.isascii() and text.isprintable() else "")
