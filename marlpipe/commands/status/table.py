"""The runs as a table that fits, and what it cannot hold: reasons, the summary, the next step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from marlpipe.commands.status.next_step import commands, missing
from marlpipe.runs.display import COLOURS, URGENCY, about, rounded, summary
from marlpipe.runs.standing import RunStanding
from marlpipe.runs.text import printable

UNKNOWN = "–"
NARROW_NAME = 30  # columns that a run's name gets in any case; a longer one breaks into lines
LONGEST_NAME, LONGEST_REASON = 80, 500  # letters; a stranger may write any number of them
MOST_COMMANDS = 3


@dataclass(frozen=True)
class Column:
    """cell: what to show of a run, as a text without markup."""

    heading: str
    cell: Callable[[RunStanding], str]
    right: bool = False


def table(looks: Sequence[RunStanding], width: int, lines: int | None = None) -> tuple[Table, list[str]]:
    """One line per run, and the headings of the columns for which there was no room.

    Args:
        width: in columns of the terminal. What is not known of any run gets none.
        lines: at most so many runs, those that matter most.
    """
    by_urgency = sorted(range(len(looks)), key=lambda number: URGENCY.index(looks[number].state))
    shown = [looks[number] for number in sorted(by_urgency[:lines])]
    cells = {column: [column.cell(look) for look in shown] for column in COLUMNS}
    kept = [column for column in COLUMNS if any(cell != UNKNOWN for cell in cells[column])]
    widths = {column: max(map(cell_len, (column.heading, *cells[column]))) for column in kept}
    if RUN in widths:
        widths[RUN] = min(widths[RUN], NARROW_NAME)
    left_out = []
    for column in FIRST_TO_GO:
        if sum(widths[one] + 1 for one in kept) > width + 1 and column in kept:
            kept.remove(column)
            left_out.append(column.heading)
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for column in kept:
        grid.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=column is not RUN or lines is not None,
            overflow="fold" if lines is None else "ellipsis",
            min_width=widths[column],
        )
    for number, look in enumerate(shown):
        style = {STATE: COLOURS[look.state]}
        grid.add_row(*(Text(cells[column][number], style=style.get(column, "")) for column in kept))
    return grid, left_out


def below(looks: Sequence[RunStanding], every: Sequence[RunStanding]) -> list[Text]:
    """The reasons of some runs, each once; then a line about all of them, and what to do next."""
    reasons: dict[tuple[str, str], list[RunStanding]] = {}
    for look in looks:
        if look.reason and look.state != "finished":
            first = (look.reason.splitlines() or [""])[0]
            reasons.setdefault((look.state, first[:LONGEST_REASON]), []).append(look)
    lines = [line for (state, reason), same in reasons.items() for line in _reason(state, reason, same)]
    lines.append(summary([look.records.status for look in every], [look.state for look in every]))
    return lines + _next(every, looks)


def _reason(state: str, reason: str, looks: Sequence[RunStanding]) -> list[Text]:
    """For each run, or for many with the same reason."""
    first, *others = looks
    who = f"{len(looks)} runs" if others else _short(first.records.name)
    if first.records.identity and not others:
        who += f" seed={first.records.identity.seed}"
    lines = [Text.assemble(f"{who}: ", (state, COLOURS[state]), f": {reason}")]
    if log := _log(first):
        lines.append(
            Text(f"  {printable(log, keep='')}" + (f", and {len(others)} like it" if others else ""), style="dim")
        )
    return lines


def _log(look: RunStanding) -> str | None:
    """The log of a run that failed, or that a cluster lost."""
    folder, submitted = look.records.folder, look.records.submitted
    if look.state == "lost":
        return submitted.log if submitted else None
    logs = (folder.path / "error.log", folder.console)
    return str(next((log for log in logs if log.is_file()), folder.path)) if look.state == "failed" else None


def _next(every: Sequence[RunStanding], shown: Sequence[RunStanding]) -> list[Text]:
    if all(look.state == "finished" for look in every):
        return []
    unfinished = missing(every)
    typed = commands(unfinished)
    if not unfinished:
        return []
    mend = _mend_first(unfinished, shown)
    if not typed:
        return [Text(f"next: {mend}issue the command of the grid again, it completes {_them(unfinished)}")]
    if mend:
        lines = [Text(f"next: {mend}the same command then completes {_them(unfinished)}")]
    else:
        lines = [Text(f"next: the same command completes {_them(unfinished)}, from the last checkpoint on")]
    lines += [Text(f"  {command}", style="bold") for command in typed[:MOST_COMMANDS]]
    if len(typed) > MOST_COMMANDS:
        lines.append(Text(f"  and {len(typed) - MOST_COMMANDS} commands more, which --json lists", style="dim"))
    return lines


def _mend_first(unfinished: Sequence[RunStanding], shown: Sequence[RunStanding]) -> str:
    """What has to come before the same command, which would fail again."""
    failed = [look for look in unfinished if look.state == "failed"]
    if not failed:
        return ""
    if not all(look in shown for look in failed):
        return "mend what --state failed shows; "
    return f"mend the error{'s' * (len(failed) > 1)} above; "


def _them(looks: Sequence[RunStanding]) -> str:
    return "the missing run" if len(looks) == 1 else f"the {len(looks)} missing runs"


def _short(text: str | None) -> str:
    """One line of bearable length."""
    line = printable(text or UNKNOWN, keep="")
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def _done(look: RunStanding) -> str:
    status = look.records.status
    return f"{min(100, 100 * status.env_steps // status.total_env_steps)} %" if status.total_env_steps else UNKNOWN


def _env_steps(look: RunStanding) -> str:
    status = look.records.status
    total = f"/{status.total_env_steps:,}" if status.total_env_steps else ""
    return f"{status.env_steps:,}{total}" if status.env_steps or total else UNKNOWN


def _speed(look: RunStanding) -> str:
    speed = look.records.status.env_steps_per_s
    return f"{speed:,.0f}" if speed else UNKNOWN


def _age(look: RunStanding) -> str:
    return about(max(0.0, (datetime.now(UTC) - look.seen).total_seconds()) if look.seen else None)


RUN = Column("run", lambda look: _short(look.records.name))
STATE = Column("state", lambda look: look.state)
ENV_STEPS = Column("env steps", _env_steps, right=True)
SPEED = Column("env steps/s", _speed, right=True)
JOB = Column("job", lambda look: _short(look.job))
NODE = Column("node", lambda look: _short(look.records.status.host))
LEFT = Column("left", lambda look: about(look.left_s), right=True)
COLUMNS = (
    RUN,
    Column("seed", lambda look: str(look.records.identity.seed) if look.records.identity else UNKNOWN, right=True),
    STATE,
    ENV_STEPS,
    Column("done", _done, right=True),
    Column("return", lambda look: rounded(look.records.status.eval_return), right=True),
    SPEED,
    LEFT,
    NODE,
    JOB,
    Column("seen ago", _age, right=True),
)
FIRST_TO_GO = (ENV_STEPS, SPEED, JOB, NODE, LEFT)
