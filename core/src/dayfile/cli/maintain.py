"""``dayfile init``, ``check``, ``reindex``, ``adopt`` and ``rebuild``: maintain an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.output import say
from dayfile.cli.run import ArchiveOption, ConfigOption, PluginsOption, SetOption, report_run
from dayfile.messages import plural

if TYPE_CHECKING:
    from dayfile.archive.reindexing import Reindexed
    from dayfile.archive.root import Root

__all__ = ["adopt", "check", "init", "open_existing", "rebuild", "reindex"]

MOST_NOTES = 100


def open_existing(archive: Path) -> Root:
    """Return the root of an existing archive."""
    from dayfile.api import open_archive

    return open_archive(archive).root


def init(
    directory: Annotated[
        Path, typer.Argument(readable=False, metavar="DIR", help="The archive's directory; made if absent.")
    ],
) -> None:
    """Make an archive; an existing one is left as it is.

    Exit codes: 0 the archive exists, 2 an archive cannot be here, 4 it could not be made.
    """
    from dayfile.archive.root import Root

    root = Root(directory)
    known = root.exists()
    root.create()
    say(f"{root.path} is an archive already" if known else f"made the archive {root.path}")


def check(
    archive: ArchiveOption = Path("archive"),
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte and compare checksums.")] = False,
) -> None:
    """Compare day files, ledgers and catalogue with each other.

    A run may be working meanwhile.

    Exit codes: 0 no problem, 3 problems were found.
    """
    from dayfile import discovery
    from dayfile.archive.checking import check_archive, count_without_digest

    root = open_existing(archive)
    loaded = discovery.load() if discovery.installed() else None
    problems = 0
    for problem in check_archive(root, deep=deep, plugins=loaded):
        problems += 1
        say(f"{problem.path}: {problem.message}", err=True)
    files = plural(len(root.list_day_files(lambda *_: None)), "day file")
    typer.echo(f"{files} checked, {plural(problems, 'problem')}, {count_without_digest(root)} without a digest")
    raise typer.Exit(3 if problems else 0)


def reindex(
    archive: ArchiveOption = Path("archive"),
    force: Annotated[
        bool, typer.Option("--force", help="Accept the day files as they are, with losses and changed bytes.")
    ] = False,
) -> None:
    """Rebuild the catalogue from the day files.

    Exit codes: 0 done, 3 some day files are damaged, second copies, missing or hold fewer records than before, 4 some
    cannot be seen or read now.
    """
    from dayfile import discovery
    from dayfile.engine.maintenance import reindex as rebuild_catalogue

    root = open_existing(archive)
    report_reindexed(rebuild_catalogue(root, discovery.load() if discovery.installed() else None, trust=force))


def adopt(
    directory: Annotated[
        Path, typer.Argument(readable=False, metavar="DIR", help="Directory with day files of another program.")
    ],
    plugins: PluginsOption = None,
) -> None:
    """Enter day files of another program into a catalogue.

    Not a byte of them is changed. DIR becomes an archive.

    Exit codes: 0 done, 3 some day files are damaged or second copies, 4 some cannot be seen or read now.
    """
    from dayfile.archive.root import Root
    from dayfile.configuration import load_named_plugins
    from dayfile.engine.maintenance import adopt as adopt_directory
    from dayfile.errors import UsageError

    root = Root(directory)
    if not directory.is_dir():
        raise UsageError("this directory does not exist", where=directory)
    report_reindexed(adopt_directory(root, load_named_plugins(plugins)))


def report_reindexed(done: Reindexed) -> None:
    """Print the result of rebuilding a catalogue, and exit."""
    for problem in done.problems:
        say(f"dayfile: {problem}", err=True)
    for note in done.passed_over[:MOST_NOTES]:
        say(note)
    if len(done.passed_over) > MOST_NOTES:
        typer.echo(f"and {len(done.passed_over) - MOST_NOTES} more")
    typer.echo(f"the catalogue lists {plural(done.day_files, 'day file')}")
    raise typer.Exit(3 if done.problems else 0)


def rebuild(
    day_file: Annotated[str, typer.Argument(metavar="DAY_FILE", help="Path of the day file below the archive.")],
    archive: ArchiveOption = Path("archive"),
    plugins: PluginsOption = None,
    set_: SetOption = None,
    config: ConfigOption = None,
) -> None:
    """Rebuild a day file from its sources.

    The setting sources.keep=always keeps them.
    """
    from dayfile.configuration import configure
    from dayfile.engine.maintenance import rebuild as make_day_file
    from dayfile.errors import UsageError
    from dayfile.logs import log_as

    root = open_existing(archive)
    path = Path(day_file)
    if path.is_absolute() or path.exists():
        if not path.resolve().is_relative_to(root.path.resolve()):
            raise UsageError("this is not below the archive", where=day_file)
        path = path.resolve().relative_to(root.path.resolve())
    _, loaded, settings = configure(archive, plugins, set_ or [], config)
    log_as("rebuild", settings.core)
    report = make_day_file(root, loaded, settings, path.as_posix())
    report_run(report, quiet=False)
    raise typer.Exit(report.exit_code)
