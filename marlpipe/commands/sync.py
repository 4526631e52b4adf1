"""The command line: reads all runs, asks W&B, sends what it lacks, and says what became of each run."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from marlpipe.errors import UserError, unknown
from marlpipe.runs.find import find_folders
from marlpipe.runs.text import printable
from marlpipe.wandb.run import NAME
from marlpipe.wandb.sync.local_run import LocalRun, read_local_run
from marlpipe.wandb.sync.sending import IncompleteRun, Options, SyncResult, compare_with_server, send
from marlpipe.wandb.sync.server import Server
from marlpipe.wandb.sync.sessions import move_empty_sessions

HELP = """\
python -m marlpipe sync FOLDER [FOLDER…] [--dry-run] [--project NAME] [--entity NAME]

Sends to W&B what it lacks of all runs in and below some folders, such as those that were trained without network, and
then asks W&B whether it has all of it. A run that was interrupted and went on is one run there, with each row once.
It can be repeated: what is there is not sent again, and what a run has added since is.

  --dry-run        say what would be done, without network and without a change
  --project NAME   send to this project of W&B, instead of the one that the runs were trained for
  --entity NAME    the same, for the team or person

Runs that are being trained are left alone. Logs of killed runs that hold nothing are put aside, into wandb/empty/.

Exit status: 0 if W&B has all of all runs, or after --dry-run; 1 if some run is left alone, or not all of it is there; 2
if there is no such folder or option, nobody is logged in, or W&B does not answer.
"""


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for an option that does not exist, for a name that W&B cannot have, and for no folder at all."""
    folders: list[Path] = []
    names: dict[str, str] = {}
    dry_run = False
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if not flag.startswith("-"):
            folders.append(Path(word))
        elif flag == "--dry-run" and not equals:
            dry_run = True
        elif flag in ("--project", "--entity"):
            names[flag] = value if equals else next(words, "")
            if not NAME.fullmatch(names[flag]):
                raise UserError(f"{flag} cannot be '{names[flag]}'.\n  valid: a name as W&B knows it, such as my-study")
        else:
            raise unknown("the option", word, ("--dry-run", "--project", "--entity"))
    if not folders:
        raise UserError("which runs?\n  next: give a folder of runs, such as multirun/, or of one run; see --help")
    return Options(folders=folders, dry_run=dry_run, project=names.get("--project"), entity=names.get("--entity"))


NOTHING_KEPT = """\
none of the {runs} runs has kept anything for W&B.
  next: train with logger=wandb, which keeps it where there is no network or login"""


def run(arguments: Sequence[str]) -> int:
    """Prints what becomes of every run; `HELP` says what the number means. UserError for what is to be mended first."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    options = parsed(arguments)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    with progress(console) as bar:
        looks = [read_local_run(folder) for folder in bar.track(find_folders(options.folders), description="reading")]
    if not any(one.for_wandb for one in looks):
        raise UserError(NOTHING_KEPT.format(runs=len(looks)))
    for one in looks:
        for warning in one.warnings:
            console.print(f"{one.name}: warning: {warning}", style="yellow")
    if options.dry_run:
        for one in looks:
            console.print(f"{one.name}: {intended(one)}")
        return 0
    for one in looks:
        if one.empty:
            with suppress(UserError):  # a folder that may be read only
                move_empty_sessions(one.folder, one.empty)
                console.print(f"{one.name}: {len(one.empty)} empty logs put into {one.folder.wandb / 'empty'}")
    outcomes = [SyncResult(one.name, "not sent", one.reason) for one in looks if one.reason]
    for outcome in outcomes:
        tell(console, outcome)
    outcomes += sent([one for one in looks if one.history], options, console)
    return conclude(console, looks, outcomes)


def sent(looks: Sequence[LocalRun], options: Options, console: Console) -> list[SyncResult]:
    """What became of each run; told as it comes. UserError if W&B cannot be asked."""
    if not looks:
        return []
    server = Server(project=options.project, entity=options.entity)
    outcomes: list[SyncResult] = []
    lacking: list[IncompleteRun] = []
    with progress(console) as bar:
        for one in bar.track(looks, description="asking W&B"):
            assert one.history is not None
            found = compare_with_server(one.name, one.history, server)
            if isinstance(found, IncompleteRun):
                lacking.append(found)
            else:
                outcomes.append(found)
                tell(console, found)
        task = bar.add_task("sending", total=len(lacking), visible=bool(lacking))
        for outcome in send(lacking, server, options, lambda: bar.advance(task)):
            outcomes.append(outcome)
            tell(console, outcome)
    return outcomes


def conclude(console: Console, looks: Sequence[LocalRun], outcomes: Sequence[SyncResult]) -> int:
    """All runs in one line, and the next step; the exit status."""
    counts = Counter(outcome.kind for outcome in outcomes)
    parts = [f"{number} {kind}" for kind, number in counts.items()]
    if unmeant := sum(not one.for_wandb for one in looks):
        parts.append(f"{unmeant} not meant for W&B")
    console.print(f"{len(looks)} run{'s' * (len(looks) != 1)}: {', '.join(parts)}")
    if all(outcome.good for outcome in outcomes):
        return 0
    console.print("next: the same command again sends what is missing")
    return 1


def intended(one: LocalRun) -> str:
    """What would be done with a run, as far as can be told without W&B."""
    aside = f", {len(one.empty)} empty logs put aside" if one.empty else ""
    if one.history is None:
        return (one.reason or "nothing kept for W&B") + aside
    main = one.history.main
    where = printable(f"{main.project} as {main.run_id}", keep="")
    return f"would send what W&B lacks of {len(one.history.steps)} rows to {where}{aside}"


def tell(console: Console, outcome: SyncResult) -> None:
    """One line, or more about what is to be mended."""
    console.print(f"{outcome.name}: {outcome.text}", style=None if outcome.good else "bold red")


def progress(console: Console) -> Progress:
    """A bar for whoever watches; nothing in a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
