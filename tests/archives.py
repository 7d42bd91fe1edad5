"""What tests do with an archive in their own process: run, check, and look at what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tables

from dayfile import configuration, discovery, open_archive, settings
from dayfile.archive import disk
from dayfile.archive.catalogue import Catalogue, CatalogueRow
from dayfile.archive.checking import Defect, check_archive
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.reading import Reader
from dayfile.archive.root import Root
from dayfile.archive.workfile import WorkFile
from dayfile.engine import maintenance
from dayfile.engine.executors import run_serial, show_nothing
from dayfile.engine.intake import list_visible
from dayfile.engine.processes import run_processes
from dayfile.engine.tuning import Tuning
from dayfile.engine.watch import run_watch
from dayfile.plugins import Plugins
from dayfile.serving.application import make_application

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from dayfile.archive.entry import Entry
    from dayfile.archive.reindexing import Reindexed
    from dayfile.engine.executors import Progress
    from dayfile.engine.report import Quarantined, Report
    from dayfile.settings import Settings
    from instruments import Muon


def get_root(path: Path) -> Root:
    """Return the directory of an archive, which need not exist: ``get_root(path).create()`` makes it."""
    return Root(path)


def make_plugins(**objects: object) -> Plugins:
    """Return the plugins of a run from objects, taken in as ``load`` takes in what entry points give."""
    plugins = Plugins.make_empty()
    plugins.add_all({name: (plugin, "1.0") for name, plugin in objects.items()})
    return plugins


def load_plugins(*names: str) -> Plugins:
    """Return installed plugins, as a run loads them."""
    return discovery.load(names)


def make_settings(plugins: Plugins, **given: object) -> Settings:
    """Return the settings of a run: by name, with ``__`` for the dot. Files need not settle, if nothing else is given.

    Environment and ``archive.yaml`` are not read.
    """
    pairs = [f"{name.replace('__', '.')}={value}" for name, value in {"watch__settle": 0, **given}.items()]
    return settings.resolve(plugins.settings_models, settings.from_command_line(pairs))


def configure(
    archive: Path, *pairs: str, plugins: str | None = None, config: Path | None = None
) -> tuple[Root, Plugins, Settings]:
    """Choose archive, plugins and settings as a command with ``--plugins``, ``--set`` and ``--config`` does."""
    return configuration.configure(archive, None if plugins is None else [plugins], list(pairs), config)


def run_archive(
    root: Root,
    plugins: Plugins,
    *sources: Path | str,
    workers: int | None = None,
    progress: Progress = show_nothing,
    tuning: Mapping[str, int] | None = None,
    **given: object,
) -> Report:
    """Run once, in this process or with further workers; settings as those of :func:`make_settings`.

    ``tuning`` has bounds of the run by name, such as ``{"group_sources": 1}``.
    """
    chosen = make_settings(plugins, **given)
    return run_with(root, plugins, chosen, *sources, workers=workers, progress=progress, tuning=tuning)


def run_with(
    root: Root,
    plugins: Plugins,
    chosen: Settings,
    *sources: Path | str,
    workers: int | None = None,
    progress: Progress = show_nothing,
    tuning: Mapping[str, int] | None = None,
) -> Report:
    """Run once, as :func:`run_archive`, with settings that were made before."""
    paths, bounds = [Path(path) for path in sources], Tuning(**(tuning or {}))
    if workers is None:
        return run_serial(root, plugins, chosen, paths, progress, tuning=bounds)
    return run_processes(root, plugins, chosen, paths, progress, workers=workers, tuning=bounds)


def make_reader(root: Root, **bounds: int) -> Reader:
    """Return what reads an archive, with bounds of its memory, such as ``read_bytes=100``."""
    return Reader(root, **bounds)


def watch_archive(root: Root, plugins: Plugins, chosen: Settings) -> Report:
    """Archive what arrives until this process is stopped, as ``archive-run --watch``; return the report at its end."""
    return run_watch(root, plugins, chosen)


def make_work_file(directory: Path, day: np.datetime64, name: str = "day.h5", **options: object) -> WorkFile:
    """Return a work file, as a plugin that writes gets it; published, it is below ``published``."""
    workshop = directory / "workshop"
    workshop.mkdir(exist_ok=True, parents=True)
    return WorkFile(directory / "published" / name, workshop / name, day, **options)


def rebuild_day(root: Root, plugins: Plugins, chosen: Settings, path: str) -> Report:
    """Make a day file again from its kept sources, as ``dayfile rebuild``."""
    return maintenance.rebuild(root, plugins, chosen, path)


def reindex(root: Root, plugins: Plugins | None = None, *, trust: bool = False) -> Reindexed:
    """Make the catalogue again from the day files, as ``dayfile reindex``."""
    return maintenance.reindex(root, plugins, trust=trust)


def find_defects(root: Root, *, deep: bool = True, plugins: Plugins | None = None) -> list[Defect]:
    """Return all that is wrong with an archive; as ``dayfile check --deep``."""
    return list(check_archive(root, deep=deep, plugins=plugins))


def make_web_application(root: Root, plugins: Plugins, chosen: Settings) -> Starlette:
    """Return what ``dayfile serve`` serves: the routes of the plugins, and its own."""
    return make_application(root, plugins, chosen)


def put_in_quarantine(root: Root, name: str, content: bytes, reason: dict[str, object]) -> Path:
    """Put a source into quarantine, as a run or the receiver does; return its entry."""
    return Quarantine(root).put(name, content, reason)


def open_quarantine(root: Root) -> Quarantine:
    """Return the quarantine, to requeue or drop an entry as ``dayfile quarantine`` does."""
    return Quarantine(root)


def list_entries(root: Root) -> list[Entry]:
    """Return the entries of the quarantine."""
    return list(Quarantine(root).entries())


def list_catalogue(root: Root, data_type: str | None = None) -> list[CatalogueRow]:
    """Return the rows of the catalogue, of one type or of all."""
    catalogue = Catalogue(root.catalogue)
    return catalogue.rows() if data_type is None else catalogue.rows(data_type)


@dataclass(frozen=True)
class Listed:
    """A source in the ledger of a day file."""

    sha256: str
    name: str
    size: int
    records: int


def read_ledger(path: Path) -> list[Listed]:
    """Return the sources of a day file in their order, as any program reads them."""
    with tables.open_file(path) as file:
        rows = file.get_node("/dayfile_ledger/sources").read()
    return [Listed(row["sha256"].decode(), row["name"].decode(), int(row["size"]), int(row["records"])) for row in rows]


def read_checksums(path: Path) -> dict[str, tuple[int, int]]:
    """Return the number of rows and the checksum of each table and blob array of a day file, by its ledger."""
    with tables.open_file(path) as file:
        rows = file.get_node("/dayfile_ledger/checksums").read()
    return {row["node"].decode(): (int(row["rows"]), int(row["checksum"])) for row in rows}


def list_waiting(directory: Path) -> list[Path]:
    """Return the files below incoming, accepted or the like that a run would take; hidden ones are still written."""
    return list_visible(directory)


def watch_steps(observer: Callable[[str, Path], None]) -> AbstractContextManager[None]:
    """Call an observer before each step that changes the disk, with the kind of the step and a path.

    It can note the steps, or raise what the step shall fail with.
    """
    return disk.watch_steps(observer)


def list_files(directory: Path) -> list[str]:
    """Return the paths of all files below a directory, relative to it."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@dataclass(frozen=True, repr=False)
class MuonArchive:
    """An archive of the muon telescope: ``drop`` a source into incoming, ``run``, look at ``root``.

    Parameters
    ----------
    path : Path
        An empty directory; the archive is ``archive`` in it.
    muon : Muon
        The telescope.
    """

    path: Path
    muon: Muon

    def __post_init__(self) -> None:
        self.root.create()

    @property
    def root(self) -> Root:
        """The directory of the archive."""
        return get_root(self.path / "archive")

    def drop(self, name: str, content: bytes, below: str = "") -> Path:
        """Put a source into incoming, or into a directory there."""
        path = self.root.incoming / below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, *sources: Path | str, plugins: Plugins | None = None, **given: object) -> Report:
        """Run once, with the plugin of the telescope or with others; see :func:`run_archive`."""
        return run_archive(self.root, plugins or make_plugins(muon=self.muon.instrument), *sources, **given)

    def files(self, directory: Path) -> list[str]:
        """Return the paths of all files below a directory, relative to it."""
        return list_files(directory)

    def seconds(self, name: str = "muon.hits") -> list[int]:
        """Return the seconds of the day of the records of a type, in order."""
        return (open_archive(self.root.path).read(name)["second"].astype(np.int64) - self.muon.start).tolist()

    def counts(self, report: Report, name: str = "muon.hits") -> dict[str, int]:
        """Return what became of the records of a type, by the report."""
        return {word: number for word, number in report.records[name].items() if number}

    def set_aside(self, entry: Quarantined) -> tuple[str, bytes]:
        """Return name and content of what an entry of the report holds."""
        (path,) = (path for path in (self.root.path / entry.entry).iterdir() if path.name != "reason.json")
        return path.name, path.read_bytes()


class GoodArchive(MuonArchive):
    """An archive with two sources in incoming, which must be archived whatever else goes on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for second, order in enumerate(("big", "little")):
            records = self.muon.records("hits", [{"second": self.muon.start + second}])
            self.drop(f"MuonHit.{order[0]}e.bin", self.muon.stream("hits", records, order))

    def assert_unharmed(self, report: Report) -> None:
        """The two sources are archived, and nothing is left over."""
        assert report.records["muon.hits"]["written"] == 2
        assert report.sources["archived"] >= 2
        assert len(open_archive(self.root.path).read("muon.hits")) == 2
        assert self.files(self.root.incoming) == self.files(self.root.accepted) == []
