"""Rebuild the catalogue from the day files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dayfile.archive import disk
from dayfile.archive.catalogue import Catalogue, DamagedCatalogueError
from dayfile.archive.catalogue_rows import CatalogueRow, Publication
from dayfile.archive.digests import Digest
from dayfile.archive.homes import Content, Homes, describe_second_copy
from dayfile.archive.opening import DayFileError, Trouble
from dayfile.archive.root import Root, resolve_links
from dayfile.errors import LossError, StorageError
from dayfile.messages import plural
from dayfile.plugins import Plugins
from dayfile.stores.ledger import NO_SOURCES, Chain

__all__ = ["Reindexed", "make_catalogue"]

SHOWN = 10
NOTHING_THERE = {Trouble.ABSENT, Trouble.NO_FILE, Trouble.NOT_UTF8}
"""Troubles of files that cannot be day files: a dangling link, a pipe, a name that a catalogue cannot list."""


@dataclass
class Reindexed:
    """The result of rebuilding a catalogue.

    Attributes
    ----------
    day_files : int
        Number of listed day files.
    problems : list of str
        Files that are damaged or second copies, which need attention.
    passed_over : list of str
        Files and tables that belong to no data type, with the reason.
    """

    day_files: int = 0
    problems: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Return both lists in one."""
        return [*self.problems, *self.passed_over]


def make_catalogue(root: Root, plugins: Plugins | None, *, trust: bool = False) -> Reindexed:
    """Rebuild the catalogue, without changing a byte of the day files.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins or None
        Their layouts say where the day files of a type belong, and recognise tables that declare no data type.
    trust : bool
        Whether to accept the day files as they are: their digests are renewed, losses are forgotten. Otherwise digests
        stay as they were published, and a catalogue that would list fewer records is refused.

    Raises
    ------
    LossError
        Without ``trust``: day files are missing, or hold fewer records than the catalogue lists. Nothing is changed.
    StorageError
        A directory cannot be listed, or a day file that may be good cannot be read now. Nothing is changed.
    """
    result = Reindexed()
    old = Catalogue(root.catalogue)
    try:
        known, digests, lost = group_by_path(old.rows()), old.digests(), old.list_losses()
        arrivals = old.arrivals()
    except DamagedCatalogueError as error:
        # Nothing can be read from it; its digests and losses are lost.
        cause = error.__cause__
        result.passed_over.append(
            f"the catalogue was damaged ({cause}): kept as catalogue.db.damaged, its digests are lost"
        )
        disk.rename(root.catalogue, root.catalogue.with_name("catalogue.db.damaged"))
        known, digests, lost, arrivals = {}, {}, [], {}
    homes = Homes(plugins)
    found: dict[str, list[CatalogueRow]] = {}
    chains: dict[str, Chain] = {}
    contents = list(read_contents(root, homes, known, result, found, trust=trust))
    for content in choose(root, homes, contents, known, result):
        found[content.path], chains[content.path] = content.rows, content.chain
    if not trust:
        refuse_losses(root, known, found, digests, result)
    place = resolve_links(root.catalogue)  # a link stays one
    making = root.workshop / "catalogue.db"
    catalogue = Catalogue(making)
    catalogue.announce({})
    if trust:
        digests = {path: Digest.of(root.path / path, taken=True) for path in found}
    else:
        moved = follow_moves(root, digests, known, found)
        digests |= {path: digest for path, (_, digest) in moved.items()}
        arrivals |= {path: arrivals[before] for path, (before, _) in moved.items() if before in arrivals}
    catalogue.record(
        {
            path: Publication(rows, digests.get(path), chains.get(path, NO_SOURCES), arrivals.get(path, ()))
            for path, rows in found.items()
        }
    )
    if not trust:
        catalogue.remember_losses(lost)
    making = disk.bring_near(making, place)
    disk.sync(making)
    # A journal that a killed writer left belongs to the old catalogue, and would damage the new one.
    disk.unlink(place.with_name(f"{place.name}-journal"))
    disk.replace(making, place)
    result.day_files = len(found)
    return result


def group_by_path(rows: Iterable[CatalogueRow]) -> dict[str, list[CatalogueRow]]:
    """Group rows of the catalogue by day file."""
    found: dict[str, list[CatalogueRow]] = {}
    for row in rows:
        found.setdefault(row.path, []).append(row)
    return found


def read_contents(
    root: Root,
    homes: Homes,
    known: dict[str, list[CatalogueRow]],
    result: Reindexed,
    kept: dict[str, list[CatalogueRow]],
    *,
    trust: bool,
) -> Iterator[Content]:
    """Read each file that looks like a day file; for a damaged one, keep the rows of the old catalogue."""
    for path in root.list_day_files():
        try:
            content = homes.read(root.path / path, path)
        except DayFileError as error:
            if error.trouble not in {Trouble.DAMAGED, *NOTHING_THERE}:
                raise StorageError(f"{error}; the catalogue was not changed") from error
            result.problems.append(f"{path}: {error.message}")
            if path in known and not trust and error.trouble is Trouble.DAMAGED:
                kept[path] = Catalogue(root.catalogue).read_file_rows(path)
            continue
        if content.rows:
            yield content
        else:
            result.passed_over.append(f"{path}: skipped: it has no records of a known data type")


def choose(
    root: Root, homes: Homes, contents: Iterable[Content], known: dict[str, list[CatalogueRow]], result: Reindexed
) -> Iterator[Content]:
    """Choose the day files: one for each day of a data type, preferably the one at the plugin's path."""
    taken: dict[tuple[str, str], str] = {}

    def rank(content: Content) -> tuple[bool, bool, int, str]:
        in_place = content.path in homes.find_homes(content)
        return not in_place, content.path not in known, content.path.count("/"), content.path

    for content in sorted(contents, key=rank):
        for problem in homes.find_misplaced(content.summaries):
            result.problems.append(f"{content.path}: {problem}")
        other = next((taken[claim] for claim in sorted(content.claims) if claim in taken), None)
        other = other or homes.find_occupied(root, content)
        if other is not None:
            result.problems.append(f"{content.path}: {describe_second_copy(content, other)}")
            continue
        for row in homes.find_foreign(content):
            home = homes.find_home(row.data_type, content.day)
            result.problems.append(f"{content.path}: its records of {row.data_type} belong into {home}; not added")
            content.rows.remove(row)
        taken.update(dict.fromkeys(content.claims, content.path))
        for summary in content.summaries:
            if summary.data_type is None and summary.path not in list_blob_arrays(content):
                rows = plural(summary.rows, "row")
                result.passed_over.append(
                    f"{content.path}: no plugin knows {summary.path} ({rows}); it stays in the file"
                )
        yield content


def list_blob_arrays(content: Content) -> set[str]:
    """List the paths of the blob arrays of the known tables of a file."""
    types = [(summary.path, summary.data_type) for summary in content.summaries if summary.data_type is not None]
    nodes = [(path, data_type.placement.node) for path, data_type in types]
    return {f"{path.rpartition('/')[0]}/{node.blobs.rpartition('/')[2]}" for path, node in nodes if node.blobs}


def follow_moves(
    root: Root, digests: dict[str, Digest], known: dict[str, list[CatalogueRow]], found: dict[str, list[CatalogueRow]]
) -> dict[str, tuple[str, Digest]]:
    """Find the day files that were moved: by their new paths the old ones, and their digests."""
    moved = {}
    gone = {make_claim(row): path for path in digests.keys() - found.keys() for row in known.get(path, [])}
    for path in found.keys() - digests.keys():
        before = next((gone[make_claim(row)] for row in found[path] if make_claim(row) in gone), None)
        if before is not None and digests[before].describes(root.path / path, deep=True):
            moved[path] = before, Digest.of(root.path / path, digests[before].sha256, taken=digests[before].taken)
    return moved


def make_claim(row: CatalogueRow) -> tuple[str, str]:
    """Return the data type and the day of a row."""
    return row.data_type, row.day


def refuse_losses(
    root: Root,
    known: dict[str, list[CatalogueRow]],
    found: dict[str, list[CatalogueRow]],
    digests: dict[str, Digest],
    result: Reindexed,
) -> None:
    """Raise LossError if the new catalogue would list fewer records of a day than the old one.

    For a day file that is just as it was published, the old catalogue was wrong.
    """
    there = {make_claim(row): row for rows in found.values() for row in rows}
    losses: dict[str, str] = {}
    for path, rows in known.items():
        listed = sum(row.records for row in rows)
        now = sum(there[make_claim(row)].records for row in rows if make_claim(row) in there)
        lost = any(row.records > (there[make_claim(row)].records if make_claim(row) in there else 0) for row in rows)
        published = path in found and path in digests and digests[path].describes(root.path / path)
        if lost and not published:
            state = f"has {plural(now, 'record')}" if path in found else "is missing or not a day file of that path"
            losses[path] = f"{path} {state}, and the catalogue lists {listed:,}"
    if losses:
        more = f"; and {len(losses) - SHOWN} more" if len(losses) > SHOWN else ""
        shown = "; ".join(list(losses.values())[:SHOWN])
        message = (
            f"{shown}{more}. The catalogue was not changed: rebuild these day files, restore them "
            "from a backup, or accept the loss with: dayfile reindex --force"
        )
        raise LossError("; ".join([*result.problems, message]), where=root.path)
