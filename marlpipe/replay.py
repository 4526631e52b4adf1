"""A ring of whole episodes in preallocated tensors."""

import torch
from torch import Tensor

from marlpipe.types import EnvSpec, EpisodeBatch, StateDict


class Replay:
    """The last `capacity` episodes. Memory is touched only as it fills; actions are kept in one or two bytes."""

    def __init__(self, *, spec: EnvSpec, capacity: int, device: torch.device) -> None:
        self.capacity, self.size, self.cursor = capacity, 0, 0
        steps, n, actions = spec.horizon, spec.n_agents, spec.n_actions

        def ring(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(capacity, *shape, dtype=dtype, device=device)

        self.episodes = EpisodeBatch(
            obs=ring(steps + 1, n, spec.obs_dim),
            state=ring(steps + 1, spec.state_dim),
            avail_actions=ring(steps + 1, n, actions, dtype=torch.bool),
            actions=ring(steps, n, dtype=torch.uint8 if actions <= 256 else torch.int16),
            rewards=ring(steps, n),
            terminated=ring(steps, dtype=torch.bool),
            valid=ring(steps, dtype=torch.bool),
        )

    def add(self, batch: EpisodeBatch) -> None:
        """Append episodes, over the oldest ones once the ring is full.

        Nothing of those is left: what lies past the longest new episode is zeroed. Past the end of a shorter one, the
        padding of `batch` is kept, with `valid` False.
        """
        rows = (self.cursor + torch.arange(len(batch.valid), device=batch.valid.device)) % self.capacity
        for kept, new in zip(self.episodes, batch, strict=True):
            kept[rows, : new.shape[1]] = new.to(kept.dtype)
            kept[rows, new.shape[1] :] = 0
        self.cursor = (self.cursor + len(rows)) % self.capacity
        self.size = min(self.size + len(rows), self.capacity)

    def sample(self, n: int, generator: torch.Generator, *, recent: int, window: int) -> EpisodeBatch:
        """`n` episodes as long as the longest of them: `n − recent` distinct ones of all, drawn uniformly, and `recent`
        distinct ones of the last `window` (the fast replay of QPro, after LFIW)."""
        device = generator.device
        uniform = torch.randperm(self.size, generator=generator, device=device)[: n - recent]
        age = torch.randperm(min(window, self.size), generator=generator, device=device)[:recent]
        rows = torch.cat([uniform, (self.cursor - 1 - age) % self.capacity])
        steps = int(self.episodes.valid[rows].sum(1).max())
        obs, state, avail_actions, *transitions = self.episodes
        actions, rewards, terminated, valid = (field[rows, :steps] for field in transitions)
        return EpisodeBatch(
            obs[rows, : steps + 1],
            state[rows, : steps + 1],
            avail_actions[rows, : steps + 1],
            actions.long(),
            rewards,
            terminated,
            valid,
        )

    def state_dict(self) -> StateDict:
        """Plain tensors and numbers; only the filled part, copied since saving a view saves all that is behind it."""
        whole = self.size == self.capacity
        held = self.episodes if whole else self.episodes.map(lambda field: field[: self.size].clone())
        return {"size": self.size, "cursor": self.cursor, "episodes": held._asdict()}

    def load_state_dict(self, state: StateDict) -> None:
        self.size, self.cursor = state["size"], state["cursor"]
        for name, field in self.episodes._asdict().items():
            field[: self.size] = state["episodes"][name]
