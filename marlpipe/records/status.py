"""How a run stands, as its status file says it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["queued", "running", "finished", "failed", "interrupted"]
Number = float | int  # JSON does not tell them apart


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a glance at a run should tell. Numbers that are not known yet are None."""

    state: State = "queued"
    env_steps: int = 0
    total_env_steps: int | None = None
    env_steps_per_s: Number | None = None
    eval_return: Number | None = None  # mean return of the last evaluation
    eta_s: Number | None = None
    wall_s: Number | None = None  # over all sessions of the run
    reason: str | None = None  # why it failed or was interrupted
    pid: int | None = None
    host: str | None = None
    updated: str | None = None  # ISO 8601, UTC

    @property
    def ended(self) -> bool:
        """Whether the run has come to an end of any kind."""
        return self.state in ("finished", "failed", "interrupted")
