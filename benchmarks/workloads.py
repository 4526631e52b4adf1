"""What is timed: the project's own acting and updates, and beneath them the floors that no implementation can leave.

All are of the size of LOMAQ's Figure 5: 15 agents, full episodes of 200 env steps, 50 of them in a batch, 64 units.
"""

from collections.abc import Callable

import torch
from omegaconf import DictConfig
from torch import nn

from marlpipe.build import build_algorithm, build_env, build_part
from marlpipe.configuration import config_folder
from marlpipe.grid import composed, composing
from marlpipe.rollout import rollout
from marlpipe.types import Progress, TrainingBatch

AGENTS, STEPS, EPISODES, UNITS = 15, 200, 50, 64
SEQUENCES = AGENTS * EPISODES
EPSILON = 0.05

# rewards that have learned nothing yet are trusted, so that the values' gradient step is timed too
TRUSTING = {"lomaq_rd": ["reward.tolerance_per_agent=1000.0"]}

Work = Callable[[], object]


def configured(algo: str) -> DictConfig:
    """The config of an algorithm under LOMAQ's hyperparameters, in a world whose episodes all last to the limit."""
    world = ["env=cartpole", f"env.n_agents={AGENTS}", f"env.time_limit={STEPS}", "env.termination=endless"]
    with composing(config_folder()):
        return composed([f"algo={algo}", "profile=lomaq", *world, *TRUSTING.get(algo, [])], config_folder())


def acting(episodes: int) -> Work:
    """ε-greedy episodes side by side, with the recurrent agent: `episodes` · 200 env steps."""
    config = configured("qmix")
    env = build_env(config)
    agent = build_algorithm(config, env).agent
    generator = torch.Generator().manual_seed(0)
    return lambda: rollout(env, agent, episodes, EPSILON, generator)


def update(algo: str) -> Work:
    """One training step: losses with the targets' forward pass, backward passes, clipping, optimisers."""
    config = configured(algo)
    env = build_env(config)
    algorithm = build_algorithm(config, env)
    trained, default = algorithm.trained(), build_part(config.profile, "optimizer")
    optimizers = {name: (owned.optimizer or default)(owned.parameters) for name, owned in trained.items()}
    episodes = rollout(env, algorithm.agent, EPISODES, EPSILON, torch.Generator().manual_seed(0))
    assert episodes.valid.all()
    assert episodes.valid.shape == (EPISODES, STEPS)
    batch = TrainingBatch(episodes, Progress(EPISODES * STEPS, EPISODES, EPSILON, 0.0, 0.0, 0, False))

    def step() -> None:
        for name, loss, _ in algorithm.updates(batch):
            optimizers[name].zero_grad()
            torch.autograd.backward(loss)
            own_clip = trained[name].gradient_clip
            clip = config.profile.gradient_clip if own_clip is None else own_clip
            nn.utils.clip_grad_norm_(trained[name].parameters, clip or torch.inf)
            optimizers[name].step()
            algorithm.after_step()

    return step


def gru_loop() -> Work:
    """A plain GRUCell over the same sequences: forward, backward, and a target's forward without graph."""
    online, target = nn.GRUCell(UNITS, UNITS), nn.GRUCell(UNITS, UNITS).requires_grad_(False)
    features = torch.randn(STEPS, SEQUENCES, UNITS).requires_grad_()

    def unroll(cell: nn.GRUCell) -> torch.Tensor:
        memory, memories = torch.zeros(SEQUENCES, UNITS), []
        for moment in features.unbind():  # indexing instead would make the backward pass slow
            memory = cell(moment, memory)
            memories.append(memory)
        return torch.stack(memories)

    def step() -> None:
        online.zero_grad()
        features.grad = None
        with torch.no_grad():
            unroll(target)
        torch.autograd.backward(unroll(online).sum())

    return step


def matrix_products() -> Work:
    """The loop's matrix products alone, 29.5 GFLOP: of input and memory, forward twice and both gradients."""
    rows, gates, weight = (
        torch.randn(SEQUENCES, UNITS),
        torch.randn(SEQUENCES, 3 * UNITS),
        torch.randn(3 * UNITS, UNITS),
    )
    made_rows, made_gates, made_weight = torch.empty_like(rows), torch.empty_like(gates), torch.empty_like(weight)

    def products() -> None:
        for _ in range(2 * STEPS):  # of the input and of the memory
            torch.mm(rows, weight.T, out=made_gates)  # online
            torch.mm(rows, weight.T, out=made_gates)  # target
            torch.mm(gates, weight, out=made_rows)  # gradient of the rows
            torch.mm(gates.T, rows, out=made_weight)  # gradient of the weights

    return products
