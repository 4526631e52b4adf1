"""The actual state of runs: a killed process leaves "running" in its status file, so other evidence decides.

The evidence of one run is read into `RunRecords`; `derive_state` decides by it; `standings` does so for many runs.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from marlpipe.errors import UserError
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.grid import lives
from marlpipe.runs.identity import Identity, identity, run_record
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.local_jobs import local_jobs, this_host
from marlpipe.runs.lock import owner
from marlpipe.runs.path import short_name
from marlpipe.runs.slurm import known_jobs
from marlpipe.runs.status import State, Status
from marlpipe.runs.text import printable

WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SUSPENDED"}  # of Slurm's job states

KILLED = "no process trains it: killed, or its machine went down"
ABANDONED = "the process that was to start it is gone: killed, or its machine went down"
GONE = "Slurm no longer has its job: cancelled, or ended before the run began"
AGAIN = "its job waits in Slurm to be started again; the run then resumes from its checkpoint"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The cluster job that was asked to train a run, from `submission.json`."""

    job: str | None = None  # as squeue names it
    cluster: str | None = None  # "slurm", or "local" for jobs of this machine
    host: str | None = None  # that it was submitted from
    submitted: str | None = None  # ISO 8601, UTC
    command: str | None = None  # what the user typed
    log: str | None = None  # where the job prints


@dataclass(frozen=True, kw_only=True)
class RunRecords:
    """What the files of a run say, without a judgement."""

    folder: RunFolder
    identity: Identity | None = None
    status: Status = field(default_factory=Status)
    held: bool = False  # by a live process that trains it; only looked up where the status says "running"
    grid_lives: bool | None = None  # the process that starts the runs of its grid; None where nothing is known of one
    submitted: Submission | None = None
    command: str | None = None  # what the user typed for the whole grid; untrusted text
    refusal: str | None = None  # why the files cannot be read

    @property
    def name(self) -> str:
        """Environment and label; without an identity, the end of the folder's path."""
        return (
            f"{self.identity.env} {self.identity.label}"
            if self.identity
            else printable(short_name(self.folder.path), keep="")
        )


@dataclass(frozen=True, kw_only=True)
class DerivedState:
    """The actual state. `lost`: the run ended without writing so, or what was to start it ended before it began."""

    state: State | Literal["lost"]
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunStanding:
    """A run's records with its actual state. `refused`: its files cannot be read, for the reason given."""

    records: RunRecords
    state: State | Literal["lost", "refused"]
    reason: str | None
    seen: datetime | None  # the last sign of life

    @property
    def job(self) -> str | None:
        """The Slurm job that the run is in, or waits for."""
        status, submitted = self.records.status, self.records.submitted
        asked = submitted.job if submitted else None
        return asked or status.job if status.state == "queued" else status.job or asked

    @property
    def left_s(self) -> float | None:
        """Seconds until a running run is expected to finish."""
        return self.records.status.eta_s if self.state == "running" else None


def standings(folders: Iterable[RunFolder]) -> list[RunStanding]:
    """The standing of each run, in the given order. Asks Slurm once, and only if it may have one of the runs.

    A run may end while its status file, its lock and Slurm are looked at one after the other. So a run that seems lost
    is read again: if it has ended properly meanwhile, its files say so by then.
    """
    all_records = [read_records(folder) for folder in folders]
    undecided = [records for records in all_records if not (records.held or records.status.state == "finished")]
    jobs = known_jobs() if any(map(in_slurm, undecided)) else None
    controllers = local_jobs() if any(map(in_local_job, undecided)) else None
    found = []
    for records in all_records:
        derived = derive_state(
            records.status,
            records.submitted,
            held=records.held,
            grid_lives=records.grid_lives,
            jobs=jobs,
            controllers=controllers if in_local_job(records) else None,
        )
        if derived.state == "lost" and (again := read_records(records.folder)) != records:
            records = again
            derived = DerivedState(state=records.status.state, reason=records.status.reason)
        found.append(
            RunStanding(
                records=records,
                state="refused" if records.refusal else derived.state,
                reason=records.refusal or derived.reason,
                seen=last_seen(records),
            )
        )
    return found


def derive_state(
    status: Status,
    submitted: Submission | None,
    *,
    held: bool,
    grid_lives: bool | None,
    jobs: Mapping[str, str] | None,
    controllers: Collection[str] | None = None,
) -> DerivedState:
    """The actual state of a run, from its status file and all other evidence. Pure.

    Args:
        status: the content of the status file.
        submitted: None for a run that no cluster was asked for.
        held: whether a live process holds the lock; counts only where the status says "running".
        grid_lives: whether the process lives that starts the runs of its grid; None where nothing is known of one.
        jobs: Slurm's state of each job that waits or runs, by its name; None where no cluster answers.
        controllers: the jobs of this machine that live, where the run was submitted to one; None otherwise.
    """
    asked = submitted.job if submitted and submitted.cluster == "slurm" else None
    if status.state == "queued" and asked and jobs is not None and asked not in jobs:
        return DerivedState(state="lost", reason=GONE)
    if status.state == "queued" and submitted is None and grid_lives is False:
        return DerivedState(state="lost", reason=ABANDONED)
    if status.state == "queued" and submitted and controllers is not None and submitted.job not in controllers:
        return DerivedState(state="lost", reason=ABANDONED)
    if status.state == "running" and status.pid is None and grid_lives:
        return DerivedState(state="running")  # its process was just started
    if status.state == "interrupted" or (status.state == "running" and not held):
        job_states = {jobs[job] for job in (asked, status.job) if job and job in jobs} if jobs else set()
        if job_states & WAITING:
            return DerivedState(state="queued", reason=AGAIN)
        if status.state == "running":
            but = f", though its job is {'/'.join(sorted(job_states))}" if job_states else ""
            return DerivedState(state="lost", reason=KILLED + but)
    return DerivedState(state=status.state, reason=status.reason)


def read_records(folder: RunFolder) -> RunRecords:
    """Reads one run's files, which anyone may have written. Raises nothing: errors become `refusal`."""
    try:
        check_enclosed(folder.path)
        status, submitted = folder.status, submission(folder)
        typed = run_record(folder).get("command")
        return RunRecords(
            folder=folder,
            identity=identity(folder),
            status=status,
            held=status.state == "running" and is_held(folder),
            grid_lives=lives(status.grid) if status.state in ("queued", "running") else None,
            submitted=submitted,
            command=typed if isinstance(typed, str) else (submitted.command if submitted else None),
        )
    except UserError as error:
        return RunRecords(folder=folder, refusal=printable(str(error)))


def submission(folder: RunFolder) -> Submission | None:
    """Reads `submission.json`; None where there is none. Values that are not text count as missing.

    Raises:
        UserError: the file cannot be read, or is not JSON.
    """
    stored: Any = read_json(folder.submission)
    if not isinstance(stored, dict):
        return None
    names = [field.name for field in fields(Submission)]
    return Submission(**{name: printable(stored[name], keep="") for name in names if isinstance(stored.get(name), str)})


def is_held(folder: RunFolder) -> bool:
    """Whether a live process holds the folder's lock. UserError where the lock is not a lock file."""
    try:
        return owner(folder.lock) is not None
    except (OSError, RecursionError) as error:
        raise UserError(f"{folder.lock} is not the lock of a run: {error}") from error


def in_slurm(records: RunRecords) -> bool:
    """Whether a Slurm job was asked to train the run, or has begun it."""
    return records.status.job is not None or (records.submitted is not None and records.submitted.cluster == "slurm")


def in_local_job(records: RunRecords) -> bool:
    """Whether a job of this machine was asked to train the run."""
    submitted = records.submitted
    return submitted is not None and submitted.cluster == "local" and submitted.host == this_host()


def last_seen(records: RunRecords) -> datetime | None:
    """The last sign of life: of the status file, the submission, or the lock, in which a live owner counts up."""
    written = (records.status.updated, records.submitted and records.submitted.submitted)
    signs = [time for text in written if text and (time := parse_time(text))]
    if records.status.state == "running":
        with suppress(OSError, ValueError, OverflowError):  # a file may bear any time
            signs.append(datetime.fromtimestamp(records.folder.lock.stat().st_mtime, UTC))
    return max(signs, default=None)


def parse_time(text: str) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone; None for any other text."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
