"""The learning rate over a run: constant, or less and less."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LinearDecay:
    """From 1 at the start to `end` at `env_steps`: the share of an optimizer's learning rate. `end` 1 is a constant."""

    end: float
    env_steps: int

    def __call__(self, env_steps: int) -> float:
        return 1 + (self.end - 1) * min(env_steps / self.env_steps, 1)
