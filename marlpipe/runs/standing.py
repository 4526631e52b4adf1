"""How a run really stands: a process that was killed wrote nothing more into its status file."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from marlpipe.errors import UserError
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import Identity, identity, run_record
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.lock import owner
from marlpipe.runs.path import short_name
from marlpipe.runs.slurm import known_jobs
from marlpipe.runs.status import State, Status
from marlpipe.runs.text import printable


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Which job was asked to do a run, as far as the submitting process has told."""

    job: str | None = None  # as squeue names it
    cluster: str | None = None  # "slurm", or "local" for jobs of this machine
    submitted: str | None = None  # ISO 8601, UTC
    command: str | None = None  # what the user typed
    log: str | None = None  # where the job prints


@dataclass(frozen=True, kw_only=True)
class DerivedState:
    """What has become of a run. `lost`: it ended without a word, or its job did before the run began."""

    state: State | Literal["lost"]
    reason: str | None = None


def submission(folder: RunFolder) -> Submission | None:
    """Reads `submission.json`; None where there is none. What is not a text is as if it were not there.

    Raises:
        UserError: the file cannot be read, or is not JSON.
    """
    told: Any = read_json(folder.submission)
    if not isinstance(told, dict):
        return None
    names = [field.name for field in fields(Submission)]
    return Submission(**{name: printable(told[name], keep="") for name in names if isinstance(told.get(name), str)})


def derive_state(
    status: Status, submitted: Submission | None, *, held: bool, jobs: Mapping[str, str] | None
) -> DerivedState:
    """What a status file comes to, with all else that can be known. It changes nothing.

    Args:
        status: as the file tells it.
        submitted: None for a run that no cluster was asked for.
        held: whether somebody holds the lock of a run that is said to be running.
        jobs: Slurm's state of each job that waits or runs, by its name; None where no cluster answers.
    """
    asked = submitted.job if submitted and submitted.cluster == "slurm" else None
    if status.state == "queued" and asked and jobs is not None and asked not in jobs:
        return DerivedState(state="lost", reason=GONE)
    if status.state == "interrupted" or (status.state == "running" and not held):
        doing = {jobs[job] for job in (asked, status.job) if job and job in jobs} if jobs else set()
        if doing & WAITING:
            return DerivedState(state="queued", reason=AGAIN)
        if status.state == "running":
            but = f", though its job is {'/'.join(sorted(doing))}" if doing else ""
            return DerivedState(state="lost", reason=KILLED + but)
    return DerivedState(state=status.state, reason=status.reason)


@dataclass(frozen=True, kw_only=True)
class RunRecords:
    """What the files of a run tell."""

    folder: RunFolder
    identity: Identity | None = None
    status: Status = field(default_factory=Status)
    held: bool = False  # by a process that trains it, where it is said to be running
    submitted: Submission | None = None
    command: str | None = None  # what the user typed for the whole grid; not to be trusted
    refusal: str | None = None  # why they cannot be read

    @property
    def name(self) -> str:
        """World and label; of a run that does not tell, its folder."""
        return (
            f"{self.identity.env} {self.identity.label}"
            if self.identity
            else printable(short_name(self.folder.path), keep="")
        )


@dataclass(frozen=True, kw_only=True)
class RunStanding:
    """A run as it stands."""

    records: RunRecords
    state: State | Literal["lost", "refused"]
    reason: str | None
    seen: datetime | None  # the last sign of life

    @property
    def job(self) -> str | None:
        """That it runs in, or waits for."""
        status, submitted = self.records.status, self.records.submitted
        asked = submitted.job if submitted else None
        return asked or status.job if status.state == "queued" else status.job or asked

    @property
    def left_s(self) -> float | None:
        """Seconds until it will have finished, if nothing comes between."""
        return self.records.status.eta_s if self.state == "running" else None


def standings(folders: Iterable[RunFolder]) -> list[RunStanding]:
    """All runs, in order. Slurm is asked once, and only if a run may be in its hands.

    A run may end between the moments at which its file, its lock and Slurm are looked at. So those that seem lost are
    read again: who had ended properly has said so by then.
    """
    told = [read(folder) for folder in folders]
    undecided = [run for run in told if not (run.held or run.status.state == "finished")]
    jobs = known_jobs() if any(map(in_slurm, undecided)) else None
    looks = []
    for run in told:
        found = derive_state(run.status, run.submitted, held=run.held, jobs=jobs)
        if found.state == "lost" and (again := read(run.folder)) != run:
            run = again
            found = DerivedState(state=run.status.state, reason=run.status.reason)
        looks.append(
            RunStanding(
                records=run,
                state="refused" if run.refusal else found.state,
                reason=run.refusal or found.reason,
                seen=last_seen(run),
            )
        )
    return looks


def read(folder: RunFolder) -> RunRecords:
    """One run's files, whoever wrote them; it raises nothing."""
    try:
        check_enclosed(folder.path)
        status, submitted = folder.status, submission(folder)
        typed = run_record(folder).get("command")
        return RunRecords(
            folder=folder,
            identity=identity(folder),
            status=status,
            held=status.state == "running" and held(folder),
            submitted=submitted,
            command=typed if isinstance(typed, str) else (submitted.command if submitted else None),
        )
    except UserError as error:
        return RunRecords(folder=folder, refusal=printable(str(error)))


def held(folder: RunFolder) -> bool:
    """Whether somebody alive holds its lock. UserError where that is no lock at all."""
    try:
        return owner(folder.lock) is not None
    except (OSError, RecursionError) as error:
        raise UserError(f"{folder.lock} is not the lock of a run: {error}") from error


def in_slurm(run: RunRecords) -> bool:
    """Whether a job of Slurm was asked to do it, or has begun it."""
    return run.status.job is not None or (run.submitted is not None and run.submitted.cluster == "slurm")


def last_seen(run: RunRecords) -> datetime | None:
    """When somebody last worked on it, as the files tell."""
    written = (run.status.updated, run.submitted and run.submitted.submitted)
    signs = [time for text in written if text and (time := moment(text))]
    if run.status.state == "running":  # its owner also counts up in the lock
        with suppress(OSError, ValueError, OverflowError):  # a file may bear any time
            signs.append(datetime.fromtimestamp(run.folder.lock.stat().st_mtime, UTC))
    return max(signs, default=None)


def moment(text: str) -> datetime | None:
    """A time from ISO 8601, in UTC where it names no zone; None for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SUSPENDED"}  # of Slurm's job states

KILLED = "no process trains it: killed, or its machine went down"
GONE = "Slurm no longer has its job: cancelled, or ended before the run began"
AGAIN = "its job waits in Slurm to be started again, and it goes on from its checkpoint"
