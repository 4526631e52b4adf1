"""What the W&B server has stored of a run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import wandb
from wandb.errors import AuthenticationError, CommError

from marlpipe.errors import UserError
from marlpipe.runs.text import printable
from marlpipe.wandb.own_settings import check_not_disabled
from marlpipe.wandb.private_api import is_run_not_found
from marlpipe.wandb.run import logged_in
from marlpipe.wandb.sync.merged_history import MergedHistory

ANSWER_S = 30  # timeout of a request


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A run as stored by W&B."""

    rows: int = 0
    last_step: int = -1
    state: str = ""
    summary: Mapping[str, Any]
    url: str = ""


class Server:
    """The W&B server, with the login of this user.

    Args:
        project, entity: where to look for runs, if not in the project that they name.

    Raises:
        UserError: the user has switched W&B off, there is no login, the login is refused, or W&B does not answer.
    """

    def __init__(self, *, project: str | None, entity: str | None) -> None:
        check_not_disabled()
        self.address = wandb.setup().settings.base_url
        self._project, self._entity = project, entity
        if not logged_in():
            raise UserError(
                f"nobody is logged in to W&B at {self.address}\n"
                "  next: wandb login, or set WANDB_API_KEY; WANDB_BASE_URL for a server of your own"
            )
        try:
            self._api = wandb.Api(timeout=ANSWER_S)
            self._me = self._api.default_entity
        except (AuthenticationError, CommError) as error:
            raise self._user_error(error) from error

    def fetch(self, history: MergedHistory) -> Stored:
        """What W&B has of a run. UserError if W&B does not answer."""
        entity = self._entity or history.main.entity or self._me
        self._api.flush()  # type: ignore[no-untyped-call]  # its cache would return the previous answer
        try:
            found = self._api.run(f"{entity}/{self._project or history.main.project}/{history.main.run_id}")
            return Stored(
                rows=found.historyLineCount or 0,
                last_step=found.lastHistoryStep,
                state=found.state,
                summary=found.summary_metrics,
                url=found.url,
            )
        except (CommError, ValueError) as error:
            if is_run_not_found(error):
                return Stored(summary={})
            raise self._user_error(error) from error

    def _user_error(self, error: Exception) -> UserError:
        refused = "verify credentials" in str(error) and "did not respond" not in str(error)
        step = "wandb login --relogin, or another WANDB_API_KEY" if refused else "check the network and WANDB_BASE_URL"
        what = "does not know this login" if refused else "does not answer"
        return UserError(f"W&B at {self.address} {what}: {printable(str(error))}\n  next: {step}, then try again")


def difference(history: MergedHistory, stored: Stored) -> str | None:
    """The first difference between the stored and the local run, in words; None if there is none."""
    steps = history.steps
    last = steps[-1] if steps else -1
    if stored.rows == stored.last_step + 1 > len(steps) == last + 1:  # resumed from a checkpoint before its last rows
        return None
    if (stored.rows, stored.last_step) != (len(steps), last):
        return f"W&B has {stored.rows} rows up to step {stored.last_step}, the run {len(steps)} up to {last}"
    if stored.state not in history.states:
        return f"W&B says that it is {printable(stored.state) or 'unknown'}, not {history.states[0]}"
    for name, value in history.summary.items():
        if not _equal(stored.summary.get(name), value):
            return f"W&B's summary has another {printable(name)}"
    return None


def _equal(stored: Any, value: Any) -> bool:
    """Equality of summary values; W&B stores NaN and infinities as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(stored).lower().startswith(str(value)[:3])
    if isinstance(value, int | float) and isinstance(stored, int | float):
        return math.isclose(stored, value, rel_tol=1e-12)
    return isinstance(value, list | dict) or bool(stored == value)
