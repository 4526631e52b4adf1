"""The best policy of a run plays again, is measured and filmed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from marlpipe.commands.command_line.device import usable
from marlpipe.commands.evaluate.outcome import episodes_csv, measured, summary
from marlpipe.commands.evaluate.policy import best_policy, evaluated_run, usual_episodes
from marlpipe.config.build import build_env
from marlpipe.config.stored import stored_config
from marlpipe.envs.rendering.draw import pixels
from marlpipe.envs.rendering.film import moving_format, write_film
from marlpipe.envs.rendering.filmed import Filmed
from marlpipe.envs.scene import Scene, Scenic
from marlpipe.errors import UserError
from marlpipe.models.agents.agent import Agent
from marlpipe.runs.extras import install
from marlpipe.runs.files import os_errors_as_user_errors, write_text
from marlpipe.runs.terminal import console, progress_bar
from marlpipe.training.rollout import rollout
from marlpipe.types import Env, EpisodeBatch

FILM_S = 8.0  # of the longest possible episode, where the frame rate is ours to choose
SLOWEST, FASTEST = 1.0, 25.0  # frames per second, there


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How to play.

    Args:
        episodes: how many; None for as many as in the run's own evaluations.
        seed: of worlds and exploration.
        epsilon: the probability of a random action.
        film: how many episodes to film.
        form: of the films, mp4, gif or png; None for mp4, or gif where mp4 cannot be written.
        fps: frames per second; None for `default_fps`.
        device: as torch calls it.
    """

    episodes: int | None
    seed: int
    epsilon: float
    film: int
    form: str | None
    fps: float | None
    device: str


def play_again(path: Path, how: Playing) -> int:
    """Loads, plays, measures and films one run, and prints where the files are."""
    folder, device = evaluated_run(path), usable(how.device)
    config = stored_config(folder)
    env = build_env(config)
    agent, recorded = best_policy(folder, config, env, device)
    n = how.episodes or usual_episodes(folder, config)

    with progress_bar() as bar:
        playing = bar.add_task(f"{n} episodes", total=None)
        generator = torch.Generator(device).manual_seed(how.seed)
        played, films = play(env, agent, n, how.epsilon, generator, how.film)
        bar.update(playing, total=n, completed=n)
        out = folder.path / "evaluation"
        with os_errors_as_user_errors("make the folder", out):
            out.mkdir(exist_ok=True)
        written = [out / "episodes.csv"]
        write_text(written[0], episodes_csv(played, local_rewards=env.spec.local_rewards))
        for episode, scenes in enumerate(films):
            written.append(out / f"episode-{episode}{f'.{how.form}' if how.form else moving_format()}")
            seen = [scenes[(len(scenes) - 1) // 2]] if how.form == "png" else scenes
            frames = map(pixels, bar.track(seen, description=f"film of episode {episode}"))
            write_film(frames, written[-1], how.fps or default_fps(env.spec.horizon))

    shown = console()
    here = f"{n} episodes, seed {how.seed}" + (f", ε = {how.epsilon:g}" if how.epsilon else "")
    there = "best evaluation" + (f", at {recorded['env_steps']:,.0f} env steps" if "env_steps" in recorded else "")
    shown.print(summary({here: measured(played), there: recorded}))
    for file in written:
        shown.print(str(file), style="dim", markup=False, soft_wrap=True, highlight=False)
    if films and how.form is None and moving_format() == ".gif":
        shown.print(f"as GIF, since MP4 needs more: {install('video')}", style="dim", markup=False)
    return 0


def play(
    env: Env[Any], agent: Agent, n: int, epsilon: float, generator: torch.Generator, filmed: int
) -> tuple[EpisodeBatch, list[list[Scene]]]:
    """n episodes, and what the first `filmed` of them look like. UserError for a world that cannot be looked at."""
    if filmed == 0:
        return rollout(env, agent, n, epsilon, generator), []
    if filmed > n:
        raise UserError(f"--film={filmed} is more than there are episodes.\n  valid: at most --episodes={n}")
    if not isinstance(env, Scenic):
        raise UserError(
            f"{type(env).__name__} cannot be filmed: it does not say what it looks like.\n"
            "  next: leave --video out, or give it a method `scene`, as marlpipe/envs/scene.py describes it"
        )
    watched = Filmed(env, filmed)
    return rollout(watched, agent, n, epsilon, generator), watched.scenes


def default_fps(horizon: int) -> float:
    """Frames per second at which the longest possible episode takes `FILM_S`, as far as eyes follow."""
    return min(FASTEST, max(SLOWEST, horizon / FILM_S))
