"""When a run is evaluated: by env steps, and at its end."""

from marlpipe.types import RunProgress


class EvaluationSchedule:
    """Evaluations after the first rollout's updates, then each `every_env_steps`, and after the last gradient step.

    An evaluation follows the last update of a rollout, so that it measures what the whole rollout taught.
    """

    def __init__(self, *, every_env_steps: int) -> None:
        self.every_env_steps, self.next_at = every_env_steps, 0

    def due(self, progress: RunProgress) -> bool:
        """Whether an evaluation follows the gradient step that was just taken. The answer changes with `record`."""
        return progress.updates_left == 0 and (progress.finished or progress.env_steps >= self.next_at)

    def record(self, progress: RunProgress) -> None:
        """Notes that the run is evaluated now: the next evaluation follows at the next multiple of the interval."""
        self.next_at = (progress.env_steps // self.every_env_steps + 1) * self.every_env_steps
