"""The replay: a ring buffer of complete episodes in preallocated tensors."""

import torch
from jaxtyping import Int
from torch import Tensor

from marlpipe.training.sequences import Sequences, draw_sequences
from marlpipe.types import EnvSpec, EpisodeBatch, StateDict


class Replay:
    """The last `capacity` episodes. The system commits memory only as the ring fills.

    Actions take one or two bytes, observations and states have the dtype `spec.kept_as`, and states that are part of
    the joint observation (`spec.state_in_obs`) are not stored.

    sequence_steps: length of the pieces of episodes that batches are made of; None: whole episodes.
    """

    def __init__(
        self, *, spec: EnvSpec, capacity: int, device: torch.device, sequence_steps: int | None = None
    ) -> None:
        self.capacity, self.size, self.cursor, self.sequence_steps = capacity, 0, 0, sequence_steps
        steps, n, actions = spec.horizon, spec.n_agents, spec.n_actions
        self.state_in_obs = None if spec.state_in_obs is None else spec.state_in_obs.to(device)

        def ring(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(capacity, *shape, dtype=dtype, device=device)

        self.episodes = EpisodeBatch(
            obs=ring(steps + 1, n, spec.obs_dim, dtype=spec.kept_as),
            state=ring(steps + 1, spec.state_dim if self.state_in_obs is None else 0, dtype=spec.kept_as),
            avail_actions=ring(steps + 1, n, actions, dtype=torch.bool),
            actions=ring(steps, n, dtype=torch.uint8 if actions <= 256 else torch.int16),
            rewards=ring(steps, n),
            terminated=ring(steps, dtype=torch.bool),
            valid=ring(steps, dtype=torch.bool),
        )

    def add(self, batch: EpisodeBatch) -> None:
        """Appends episodes; once the ring is full, they overwrite the oldest ones.

        Time steps past the longest new episode are zeroed; past the end of a shorter one, the padding of `batch` stays,
        with `valid` False.
        """
        rows = (self.cursor + torch.arange(len(batch.valid), device=batch.valid.device)) % self.capacity
        if self.state_in_obs is not None:
            batch = batch._replace(state=batch.state[..., :0])
        for kept, new in zip(self.episodes, batch, strict=True):
            kept[rows, : new.shape[1]] = new.to(kept.dtype)
            kept[rows, new.shape[1] :] = 0
        self.cursor = (self.cursor + len(rows)) % self.capacity
        self.size = min(self.size + len(rows), self.capacity)

    def sample(self, n: int, generator: torch.Generator, *, recent: int, window: int) -> EpisodeBatch:
        """`n` episodes, padded to the longest of them: `n − recent` of all, and `recent` of the last `window`.

        Each part is drawn uniformly without replacement (the fast replay of QPro, after LFIW); pieces of episodes, with
        replacement.
        """
        device = generator.device
        if self.sequence_steps is not None:
            every = torch.arange(self.size, device=device)
            latest = (self.cursor - 1 - torch.arange(min(window, self.size), device=device)) % self.capacity
            parts = [self.pieces(rows, k, generator) for rows, k in ((every, n - recent), (latest, recent)) if k]
            return self.cut_out(Sequences(*map(torch.cat, zip(*parts, strict=True))))
        uniform = torch.randperm(self.size, generator=generator, device=device)[: n - recent]
        age = torch.randperm(min(window, self.size), generator=generator, device=device)[:recent]
        return self.whole(torch.cat([uniform, (self.cursor - 1 - age) % self.capacity]))

    def whole(self, rows: Int[Tensor, " B"]) -> EpisodeBatch:
        """The episodes in these rows, padded to the longest of them."""
        steps = int(self.episodes.valid[rows].sum(1).max())
        observed = (field[:, : steps + 1].index_select(0, rows) for field in self.episodes[:3])
        transitions = (field[:, :steps].index_select(0, rows) for field in self.episodes[3:])
        return self.readable(EpisodeBatch(*observed, *transitions))

    def collected(self) -> EpisodeBatch:
        """All episodes."""
        return self.whole(torch.arange(self.size, device=self.episodes.valid.device))

    def pieces(self, rows: Int[Tensor, " E"], n: int, generator: torch.Generator) -> Sequences:
        """`n` pieces of the episodes in these rows."""
        assert self.sequence_steps is not None
        drawn = draw_sequences(self.episodes.valid[rows].sum(1), self.sequence_steps, n, generator)
        return drawn._replace(episodes=rows[drawn.episodes])

    def cut_out(self, pieces: Sequences) -> EpisodeBatch:
        """Pieces of episodes as a batch; one that ends before its episode does is truncated there."""
        rows, steps = pieces.episodes.unsqueeze(1), int(pieces.lengths.max())
        ahead = torch.arange(steps + 1, device=rows.device)
        at = (pieces.begins.unsqueeze(1) + ahead).clamp(max=self.episodes.obs.shape[1] - 1)
        during = at[:, :-1].clamp(max=self.episodes.valid.shape[1] - 1)
        observed = (field[rows, at] for field in self.episodes[:3])
        transitions = (field[rows, during] for field in self.episodes[3:])
        valid = ahead[:-1] < pieces.lengths.unsqueeze(1)
        drawn = EpisodeBatch(*observed, *transitions)
        return self.readable(drawn._replace(valid=valid, terminated=drawn.terminated & valid))

    def readable(self, drawn: EpisodeBatch) -> EpisodeBatch:
        """With the state, where it was not stored, and with the dtypes that networks take."""
        if self.state_in_obs is not None:
            state = drawn.obs.flatten(2).flatten(0, 1).index_select(1, self.state_in_obs)
            drawn = drawn._replace(state=state.view(*drawn.obs.shape[:2], -1))
        return drawn._replace(obs=drawn.obs.float(), state=drawn.state.float(), actions=drawn.actions.long())

    def state_dict(self) -> StateDict:
        """The filled part as tensors and numbers; on a CPU the tensors share the ring's memory."""
        return {"size": self.size, "cursor": self.cursor, "episodes": self.episodes.map(self.filled)._asdict()}

    def filled(self, field: Tensor) -> Tensor:
        """The first `size` episodes in a storage of that size: saving a slice would save the whole storage."""
        return torch.from_numpy(field[: self.size].cpu().numpy())

    def load_state_dict(self, state: StateDict) -> None:
        self.size, self.cursor = state["size"], state["cursor"]
        for name, field in self.episodes._asdict().items():
            field[: self.size] = state["episodes"][name]
