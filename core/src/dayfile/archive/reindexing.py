"""The catalogue rebuilt from the day files, which it is derived from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dayfile.archive import disk
from dayfile.archive.catalogue import Catalogue, CatalogueRow, DamagedCatalogueError, Publication
from dayfile.archive.digests import Digest
from dayfile.archive.homes import Content, Homes, second_copy
from dayfile.archive.opening import DayFileError, Trouble
from dayfile.archive.root import Root, real
from dayfile.errors import LossError, StorageError
from dayfile.messages import plural
from dayfile.plugins import Plugins

__all__ = ["Reindexed", "make_catalogue"]

SHOWN = 10
NOTHING_THERE = {Trouble.ABSENT, Trouble.NO_FILE, Trouble.NOT_UTF8}
"""Troubles of what is no day file, and hides none: a link to nowhere, a pipe, a name that no catalogue can list."""


@dataclass
class Reindexed:
    """What came of rebuilding a catalogue.

    Attributes
    ----------
    day_files : int
        How many it lists.
    problems : list of str
        Files that are damaged, or that are second copies: somebody has to do something about them.
    passed_over : list of str
        Files and tables that belong to no data type, and why each was passed over.
    """

    day_files: int = 0
    problems: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Both lists in one."""
        return [*self.problems, *self.passed_over]


def make_catalogue(root: Root, plugins: Plugins | None, *, trust: bool = False) -> Reindexed:
    """Rebuild the catalogue, without changing a byte of the day files.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins or None
        Whose layouts say where the day files of a type belong, and what a table is that does not say it itself.
    trust : bool
        Whether the day files are taken as they are: their digests are renewed, losses are forgotten. Otherwise digests
        stay as they were published, and a catalogue that would list fewer records is refused.

    Raises
    ------
    LossError
        Without ``trust``: day files are gone, or hold fewer records than the catalogue lists. Nothing is changed.
    StorageError
        A directory cannot be listed, or a day file that may be good cannot be read now. Nothing is changed.
    """
    result = Reindexed()
    old = Catalogue(root.catalogue)
    try:
        known, digests, lost = rows_by_path(old.rows()), old.digests(), old.losses()
    except DamagedCatalogueError as error:
        # Nothing can be learnt from it; what it remembered is lost with it.
        cause = error.__cause__
        result.passed_over.append(
            f"the catalogue was damaged ({cause}): kept as catalogue.db.damaged, its digests are lost"
        )
        disk.rename(root.catalogue, root.catalogue.with_name("catalogue.db.damaged"))
        known, digests, lost = {}, {}, []
    homes = Homes(plugins)
    found: dict[str, list[CatalogueRow]] = {}
    contents = list(look_through(root, homes, known, result, found, trust=trust))
    for content in choose(root, homes, contents, known, result):
        found[content.path] = content.rows
    if not trust:
        refuse_losses(root, known, found, digests, result)
    place = real(root.catalogue)  # which may be a link, and stays one
    making = root.workshop / "catalogue.db"
    catalogue = Catalogue(making)
    catalogue.announce({})
    if trust:
        digests = {path: Digest.of(root.path / path, taken=True) for path in found}
    else:
        digests |= follow_moves(root, digests, known, found)
    catalogue.record({path: Publication(rows, digests.get(path)) for path, rows in found.items()})
    if not trust:
        catalogue.remember_losses(lost)
    making = disk.bring_near(making, place)
    disk.sync(making)
    # What a killed writer left to be undone is for the old catalogue, and would damage the new one.
    disk.unlink(place.with_name(f"{place.name}-journal"))
    disk.replace(making, place)
    result.day_files = len(found)
    return result


def rows_by_path(rows: Iterable[CatalogueRow]) -> dict[str, list[CatalogueRow]]:
    """Rows of the catalogue by day file."""
    found: dict[str, list[CatalogueRow]] = {}
    for row in rows:
        found.setdefault(row.path, []).append(row)
    return found


def look_through(
    root: Root,
    homes: Homes,
    known: dict[str, list[CatalogueRow]],
    result: Reindexed,
    kept: dict[str, list[CatalogueRow]],
    *,
    trust: bool,
) -> Iterator[Content]:
    """What each file has that looks like a day file; of a damaged one, what the catalogue knew is kept."""
    for path in root.day_files():
        try:
            content = homes.read(root.path / path, path)
        except DayFileError as error:
            if error.trouble not in {Trouble.DAMAGED, *NOTHING_THERE}:
                raise StorageError(f"{error}; the catalogue was not changed") from error
            result.problems.append(f"{path}: {error.message}")
            if path in known and not trust and error.trouble is Trouble.DAMAGED:
                kept[path] = known[path]
            continue
        if content.rows:
            yield content
        else:
            result.passed_over.append(f"{path}: passed over: it has no records of a known data type")


def choose(
    root: Root, homes: Homes, contents: Iterable[Content], known: dict[str, list[CatalogueRow]], result: Reindexed
) -> Iterator[Content]:
    """The day files among the files: one for each day of a data type, that at the plugin's path if there is one."""
    taken: dict[tuple[str, str], str] = {}

    def rank(content: Content) -> tuple[bool, bool, int, str]:
        in_place = content.path in homes.homes(content)
        return not in_place, content.path not in known, content.path.count("/"), content.path

    for content in sorted(contents, key=rank):
        for problem in homes.misplaced(content.summaries):
            result.problems.append(f"{content.path}: {problem}")
        other = next((taken[claim] for claim in sorted(content.claims) if claim in taken), None)
        other = other or homes.occupied(root, content)
        if other is not None:
            result.problems.append(f"{content.path}: {second_copy(content, other)}")
            continue
        for row in homes.foreign(content):
            home = homes.home(row.data_type, content.day)
            result.problems.append(f"{content.path}: its records of {row.data_type} belong into {home}; not taken in")
            content.rows.remove(row)
        taken.update(dict.fromkeys(content.claims, content.path))
        for summary in content.summaries:
            if summary.data_type is None and summary.path not in blob_arrays(content):
                rows = plural(summary.rows, "row")
                result.passed_over.append(
                    f"{content.path}: no plugin knows {summary.path} ({rows}); it stays in the file"
                )
        yield content


def blob_arrays(content: Content) -> set[str]:
    """Paths of the blob arrays of the known tables of a file."""
    types = [(summary.path, summary.data_type) for summary in content.summaries if summary.data_type is not None]
    nodes = [(path, told.placement.node) for path, told in types]
    return {f"{path.rpartition('/')[0]}/{node.blobs.rpartition('/')[2]}" for path, node in nodes if node.blobs}


def follow_moves(
    root: Root, digests: dict[str, Digest], known: dict[str, list[CatalogueRow]], found: dict[str, list[CatalogueRow]]
) -> dict[str, Digest]:
    """The digests of day files that were moved, by their new paths."""
    moved = {}
    gone = {claim(row): path for path in digests.keys() - found.keys() for row in known.get(path, [])}
    for path in found.keys() - digests.keys():
        before = next((gone[claim(row)] for row in found[path] if claim(row) in gone), None)
        if before is not None and digests[before].describes(root.path / path, deep=True):
            moved[path] = Digest.of(root.path / path, digests[before].sha256, taken=digests[before].taken)
    return moved


def claim(row: CatalogueRow) -> tuple[str, str]:
    """The data type and the day of a row."""
    return row.data_type, row.day


def refuse_losses(
    root: Root,
    known: dict[str, list[CatalogueRow]],
    found: dict[str, list[CatalogueRow]],
    digests: dict[str, Digest],
    result: Reindexed,
) -> None:
    """LossError where a new catalogue would list fewer records of a day than the one there is.

    Of a day file that is just as it was published, the catalogue was wrong.
    """
    there = {claim(row): row for rows in found.values() for row in rows}
    losses: dict[str, str] = {}
    for path, rows in known.items():
        listed = sum(row.records for row in rows)
        now = sum(there[claim(row)].records for row in rows if claim(row) in there)
        lost = any(row.records > (there[claim(row)].records if claim(row) in there else 0) for row in rows)
        published = path in found and path in digests and digests[path].describes(root.path / path)
        if lost and not published:
            state = f"has {plural(now, 'record')}" if path in found else "is missing or not a day file of its place"
            losses[path] = f"{path} {state}, and the catalogue lists {listed:,}"
    if losses:
        more = f"; and {len(losses) - SHOWN} more" if len(losses) > SHOWN else ""
        shown = "; ".join(list(losses.values())[:SHOWN])
        message = (
            f"{shown}{more}. The catalogue was not changed: rebuild these day files, take them "
            "from a backup, or accept the loss with: dayfile reindex --force"
        )
        raise LossError("; ".join([*result.problems, message]), where=root.path)
