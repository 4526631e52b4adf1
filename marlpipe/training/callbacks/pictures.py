"""Pictures of evaluations: a film of one greedy episode, or the learned table of a matrix game."""

import sys
from typing import Any, cast

import torch
from jaxtyping import UInt8
from lightning import Callback, LightningModule, Trainer
from numpy import ndarray

from marlpipe.envs.rendering.film import write_film
from marlpipe.envs.rendering.filmed import Filmed, ScenicEnv
from marlpipe.envs.scene import Scenic
from marlpipe.models.agents.agent import Agent
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.training.learner import Learner
from marlpipe.training.loaders import TrainingLoader
from marlpipe.training.rollout import rollout
from marlpipe.types import Metrics, StateDict, TableGame

MOST_SCENES = 50  # of a film, and its last one
HEIGHT, COLOURS = 160, 32  # pixels, and colours of a frame: a film is to stay below 150 kB
FPS = 10.0

Frame = UInt8[ndarray, "H W 3"]


class Pictures(Callback):
    """A picture of `films` evaluations, spaced evenly over the run's env steps, the last evaluation among them.

    A picture is in the folder before the evaluation's row, which sinks send together with it. It is a film,
    `episode_*.gif`, and all films of a run begin in the same initial state; in a matrix game of two agents it is
    `table_*.png`. Worlds without a `scene` have none. Pictures use a generator of their own, so a run has the same bits
    with and without them.

    Where drawing fails, the run goes on without that picture, and stderr has the reason.

    Raises:
        UserError: the disk refuses.
    """

    state_key = "pictures"

    def __init__(self, *, folder: RunFolder, films: int, seed: int, total_env_steps: int) -> None:
        self.folder, self.films, self.seed, self.total_env_steps = folder, films, seed, total_env_steps
        self.evaluated_at = 0  # env steps

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        del batch, batch_idx, dataloader_idx
        training = cast(TrainingLoader, trainer.train_dataloader)
        before, self.evaluated_at = self.evaluated_at, training.progress.env_steps
        if self.due_by(self.evaluated_at) == self.due_by(before):
            return
        agent = cast(Learner, pl_module).algorithm.agent
        try:
            match training.env:
                case TableGame():
                    name, kind, frames = "table", ".png", table_frames(outputs)
                case Scenic() as env:
                    generator = torch.Generator(pl_module.device).manual_seed(self.seed)
                    name, kind, frames = "episode", ".gif", episode_frames(env, agent, generator)
                case _:
                    return
        except Exception as error:  # of a world's own drawing code, which may raise anything
            print(f"no picture at {self.evaluated_at:,} env steps: {type(error).__name__}: {error}", file=sys.stderr)
            return
        if frames:
            with os_errors_as_user_errors("make the folder", self.folder.pictures):
                self.folder.pictures.mkdir(exist_ok=True)
            write_film(frames, self.folder.picture(name, self.evaluated_at, kind), FPS, colours=COLOURS)

    def due_by(self, env_steps: int) -> int:
        """How many pictures the run has by then."""
        return env_steps * self.films // self.total_env_steps

    def state_dict(self) -> StateDict:
        return {"evaluated_at": self.evaluated_at}

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.evaluated_at = state_dict["evaluated_at"]


def episode_frames(env: ScenicEnv, agent: Agent, generator: torch.Generator) -> list[Frame]:
    """The frames of one greedy episode."""
    from marlpipe.envs.rendering.draw import pixels  # matplotlib takes long to import

    watched = Filmed(env, 1, MOST_SCENES)
    rollout(watched, agent, 1, 0.0, generator)
    return [pixels(scene, HEIGHT) for scene in watched.scenes[0]]


def table_frames(evaluation: Metrics) -> list[Frame]:
    """One frame with the true and the learned payoffs; none where a game has not two agents."""
    from marlpipe.envs.rendering.payoff_table import table_pixels

    truth, learned = (evaluation[f"eval/{name}"].cpu().numpy() for name in ("true_table", "learned_table"))
    return [table_pixels(truth, learned)] if truth.ndim == 2 else []
