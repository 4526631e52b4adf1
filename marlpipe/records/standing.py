"""How a run really stands: a process that was killed wrote nothing more into its status file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from marlpipe.records.files import read_json
from marlpipe.records.folder import RunFolder
from marlpipe.records.plain_text import plain
from marlpipe.records.status import State, Status

WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SUSPENDED"}  # of Slurm's job states

KILLED = "no process trains it: killed, or its machine went down"
GONE = "Slurm no longer has its job: cancelled, or ended before the run began"
AGAIN = "its job waits in Slurm to be started again, and it goes on from its checkpoint"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Which job was asked to do a run, as far as the submitting process has told."""

    job: str | None = None  # as squeue names it
    cluster: str | None = None  # "slurm", or "local" for jobs of this machine
    submitted: str | None = None  # ISO 8601, UTC
    command: str | None = None  # what the user typed
    log: str | None = None  # where the job prints


@dataclass(frozen=True, kw_only=True)
class Standing:
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
    return Submission(**{name: plain(told[name], keep="") for name in names if isinstance(told.get(name), str)})


def standing(status: Status, submitted: Submission | None, *, held: bool, jobs: Mapping[str, str] | None) -> Standing:
    """What a status file comes to, with all else that can be known. It changes nothing.

    Args:
        status: as the file tells it.
        submitted: None for a run that no cluster was asked for.
        held: whether somebody holds the lock of a run that is said to be running.
        jobs: Slurm's state of each job that waits or runs, by its name; None where no cluster answers.
    """
    asked = submitted.job if submitted and submitted.cluster == "slurm" else None
    if status.state == "queued" and asked and jobs is not None and asked not in jobs:
        return Standing(state="lost", reason=GONE)
    if status.state == "interrupted" or (status.state == "running" and not held):
        doing = {jobs[job] for job in (asked, status.job) if job and job in jobs} if jobs else set()
        if doing & WAITING:
            return Standing(state="queued", reason=AGAIN)
        if status.state == "running":
            but = f", though its job is {'/'.join(sorted(doing))}" if doing else ""
            return Standing(state="lost", reason=KILLED + but)
    return Standing(state=status.state, reason=status.reason)
