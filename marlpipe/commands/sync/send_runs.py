"""Reads all runs, asks W&B, sends what it lacks, and prints the outcome of each run."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console

from marlpipe.errors import UserError
from marlpipe.runs.find import find_folders
from marlpipe.runs.terminal import progress_bar
from marlpipe.runs.text import printable
from marlpipe.wandb.sync.local_run import LocalRun, read_local_run
from marlpipe.wandb.sync.sending import IncompleteRun, Options, SyncResult, compare_with_server, send
from marlpipe.wandb.sync.server import Server
from marlpipe.wandb.sync.sessions import move_empty_sessions

NOTHING_KEPT = """\
none of the {runs} runs has kept anything for W&B.
  next: train with logger=wandb, which keeps it where there is no network or login"""


def send_runs(options: Options) -> int:
    """Prints the outcome of every run and returns the exit status. UserError for what is to be mended first."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    with progress_bar(console) as bar:
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
        print_outcome(console, outcome)
    outcomes += sent([one for one in looks if one.history], options, console)
    return conclude(console, looks, outcomes)


def sent(looks: Sequence[LocalRun], options: Options, console: Console) -> list[SyncResult]:
    """The outcome of each run, printed as it comes. UserError if W&B cannot be asked."""
    if not looks:
        return []
    server = Server(project=options.project, entity=options.entity)
    outcomes: list[SyncResult] = []
    lacking: list[IncompleteRun] = []
    with progress_bar(console) as bar:
        for one in bar.track(looks, description="asking W&B"):
            assert one.history is not None
            found = compare_with_server(one.name, one.history, server)
            if isinstance(found, IncompleteRun):
                lacking.append(found)
            else:
                outcomes.append(found)
                print_outcome(console, found)
        task = bar.add_task("sending", total=len(lacking), visible=bool(lacking))
        for outcome in send(lacking, server, options, lambda: bar.advance(task)):
            outcomes.append(outcome)
            print_outcome(console, outcome)
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
    """What would be done with a run, as far as is known without W&B."""
    aside = f", {len(one.empty)} empty logs put aside" if one.empty else ""
    if one.history is None:
        return (one.reason or "nothing kept for W&B") + aside
    main = one.history.main
    where = printable(f"{main.project} as {main.run_id}", keep="")
    return f"would send what W&B lacks of {len(one.history.steps)} rows to {where}{aside}"


def print_outcome(console: Console, outcome: SyncResult) -> None:
    """One line, or more about what is to be mended."""
    console.print(f"{outcome.name}: {outcome.text}", style=None if outcome.good else "bold red")
