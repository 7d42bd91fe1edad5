"""``dayfile init``, ``check``, ``reindex``, ``adopt`` and ``rebuild``: looking after an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.run import ArchiveOption, ConfigOption, PluginsOption, SetOption, tell
from dayfile.messages import plural, printable

if TYPE_CHECKING:
    from dayfile.archive.reindexing import Reindexed
    from dayfile.archive.root import Root

__all__ = ["adopt", "check", "existing", "init", "rebuild", "reindex"]

MOST_NOTES = 100


def existing(archive: Path) -> Root:
    """The root of an archive that is there."""
    from dayfile.api import open_archive

    return open_archive(archive).root


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The archive's directory; made if absent.")],
) -> None:
    """Make an archive; one that exists is left as it is.

    Exit codes: 0 there is an archive, 2 none can be here, 4 it could not be made.
    """
    from dayfile.archive.root import Root

    root = Root(directory)
    known = root.exists()
    root.create()
    typer.echo(printable(f"{root.path} is an archive already" if known else f"made the archive {root.path}"))


def check(
    archive: ArchiveOption = Path("archive"),
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte and compare checksums.")] = False,
) -> None:
    """Check day files, ledgers and catalogue against each other; a run may be working meanwhile.

    Exit codes: 0 all is well, 3 something is wrong.
    """
    from dayfile import discovery
    from dayfile.archive.checking import check_archive, count_without_digest

    root = existing(archive)
    loaded = discovery.load() if discovery.installed() else None
    problems = 0
    for problem in check_archive(root, deep=deep, plugins=loaded):
        problems += 1
        typer.echo(printable(f"{problem.path}: {problem.message}"), err=True)
    files = plural(len(root.list_day_files(lambda *_: None)), "day file")
    typer.echo(f"{files} checked, {plural(problems, 'problem')}, {count_without_digest(root)} without a digest")
    raise typer.Exit(3 if problems else 0)


def reindex(
    archive: ArchiveOption = Path("archive"),
    force: Annotated[
        bool, typer.Option("--force", help="Take the day files as they are: accept losses and changed bytes.")
    ] = False,
) -> None:
    """Rebuild the catalogue from the day files.

    Exit codes: 0 done, 3 some day files are damaged, second copies, gone or hold fewer records than before, 4 not all
    can be seen or read now.
    """
    from dayfile import discovery
    from dayfile.engine.maintenance import reindex as rebuild_catalogue

    root = existing(archive)
    tell_reindexed(rebuild_catalogue(root, discovery.load() if discovery.installed() else None, trust=force))


def adopt(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory with day files of another program.")],
    plugins: PluginsOption = None,
) -> None:
    """Enter day files of another program into a catalogue, without changing a byte of them; DIR becomes an archive.

    Exit codes: 0 done, 3 some day files are damaged or second copies, 4 not all can be seen or read now.
    """
    from dayfile.archive.root import Root
    from dayfile.configuration import chosen_plugins
    from dayfile.engine.maintenance import adopt as take_in
    from dayfile.errors import UsageError

    root = Root(directory)
    if not directory.is_dir():
        raise UsageError("there is no such directory", where=directory)
    tell_reindexed(take_in(root, chosen_plugins(plugins)))


def tell_reindexed(done: Reindexed) -> None:
    """Say what came of rebuilding a catalogue, and end."""
    for problem in done.problems:
        typer.echo(printable(f"dayfile: {problem}"), err=True)
    for note in done.passed_over[:MOST_NOTES]:
        typer.echo(printable(note))
    if len(done.passed_over) > MOST_NOTES:
        typer.echo(f"and {len(done.passed_over) - MOST_NOTES} more of these")
    typer.echo(f"the catalogue lists {plural(done.day_files, 'day file')}")
    raise typer.Exit(3 if done.problems else 0)


def rebuild(
    day_file: Annotated[str, typer.Argument(metavar="DAY_FILE", help="Path of the day file below the archive.")],
    archive: ArchiveOption = Path("archive"),
    plugins: PluginsOption = None,
    set_: SetOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a day file anew from its sources, which the setting sources.keep=always has kept."""
    from dayfile.configuration import configured
    from dayfile.engine.maintenance import rebuild as make_day_file
    from dayfile.errors import UsageError
    from dayfile.logs import log_as

    root = existing(archive)
    path = Path(day_file)
    if path.is_absolute() or path.exists():
        if not path.resolve().is_relative_to(root.path.resolve()):
            raise UsageError("this is not below the archive", where=day_file)
        path = path.resolve().relative_to(root.path.resolve())
    _, loaded, settings = configured(archive, plugins, set_ or [], config)
    log_as("rebuild", settings.core)
    report = make_day_file(root, loaded, settings, path.as_posix())
    tell(report, quiet=False)
    raise typer.Exit(report.exit_code)
