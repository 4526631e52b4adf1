"""The best policy of a run plays again, to be measured and to be seen."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from marlpipe.commands.evaluate.measure_all import measure_all
from marlpipe.commands.evaluate.outcome import episodes_csv, measured, summary
from marlpipe.commands.evaluate.policy import best_policy, opened, usable, usual_episodes
from marlpipe.config.build import build_env
from marlpipe.config.stored import stored_config
from marlpipe.envs.rendering.draw import pixels
from marlpipe.envs.rendering.film import moving_format, write_film
from marlpipe.envs.rendering.filmed import Filmed
from marlpipe.envs.scene import Scene, Scenic
from marlpipe.errors import Bound, UserError, unknown
from marlpipe.models.agents.agent import Agent
from marlpipe.runs.files import os_errors_as_user_errors, write_text
from marlpipe.training.rollout import rollout
from marlpipe.types import Env, EpisodeBatch

HELP = """\
python -m marlpipe evaluate run=FOLDER [key=value …]
python -m marlpipe evaluate runs=FOLDER [episodes=N] [seed=0] [device=cpu]

The best policy of a run, finished or not, plays again. FOLDER/evaluation/ gets episodes.csv, and the films.
With `runs`, the best policies of all finished runs below a folder play ten times the episodes of an evaluation: the
absolute metric, which `python -m marlpipe compare` shows. What was measured already is not measured again.

  run=FOLDER     the run's folder, multirun/ENV/ALGO-HASH/seed=SEED
  runs=FOLDER    instead of it, a folder of runs
  episodes=N     how many; if not given, as many as in the run's own evaluations
  seed=0         of worlds and exploration: under one seed, all policies start in the same worlds
  epsilon=0.0    the probability of a random action
  video=false    true, mp4, gif, or png: the moment halfway
  film=1         how many episodes to film, from the first on
  fps=F          frames per second; if not given, such that the longest possible episode takes about 8 s
  device=cpu     where to compute, as torch calls it
"""
BOUNDS = {
    "episodes": Bound(1),
    "seed": Bound(0, 2**20),
    "epsilon": Bound(0, 1, integer=False),
    "film": Bound(1),
    "fps": Bound(0.1, 100, integer=False),
}
OF_ONE_RUN = ("epsilon", "video", "film", "fps")
VIDEOS = ("false", "true", "mp4", "gif", "png")


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says; None is worked out from the run."""

    run: str = ""
    runs: str = ""
    episodes: int | None = None
    seed: int = 0
    epsilon: float = 0.0
    video: str = "false"
    film: int = 1
    fps: float | None = None
    device: str = "cpu"


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for what is not key=value, for a key that does not exist, and for a value that cannot be."""
    valid = [field.name for field in fields(Options)]
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or Path(argument).exists():
            raise UserError(
                f"'{argument}' is not of the form key=value.\n"
                f"  valid: run=FOLDER or runs=FOLDER, and the keys {', '.join(valid[2:])}; see --help"
            )
        if key not in valid:
            raise unknown("the key", key, valid)
        given[key] = _number(key, value) if key in BOUNDS else value
    if given.get("runs"):
        if others := [key for key in ("run", *OF_ONE_RUN) if key in given]:
            raise UserError(
                f"runs={given['runs']} cannot be combined with {', '.join(others)}.\n  valid: episodes, seed, device"
            )
    elif not given.get("run"):
        raise UserError(
            "whose policy is to play?\n"
            "  next: give the folder of a run, as in run=multirun/cartpole/qmix-1a2b3c4d/seed=0; see --help"
        )
    options = Options(**given)
    if options.video not in VIDEOS:
        raise unknown("video: the option", options.video, VIDEOS)
    return options


def _number(key: str, value: str) -> int | float:
    with suppress(ValueError):
        number = int(value) if BOUNDS[key].integer else float(value)
        if BOUNDS[key].holds(number):
            return number
    raise UserError(f"{key}={value} is not possible.\n  valid: {BOUNDS[key]}")


FILM_S = 8.0  # of the longest possible episode, where the frame rate is ours to choose
SLOWEST, FASTEST = 1.0, 25.0  # frames per second, there
FILE_WIDTH = 100  # columns where the output goes into a file or a pipe, which has no width of its own


def run(arguments: Sequence[str]) -> int:
    """Loads, plays, measures and films, and says where the files are."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    options = parsed(arguments)
    return _measure_all(options) if options.runs else _play_again(options)


def _measure_all(options: Options) -> int:
    with progress_bar() as bar:
        measuring = bar.add_task("best policies", total=None)
        files, refused = measure_all(
            Path(options.runs),
            episodes=options.episodes,
            seed=options.seed,
            device=usable(options.device),
            advance=lambda done, total: bar.update(measuring, completed=done, total=total),
        )
    told = f", {len(refused)} could not be measured" if refused else ""
    print(f"{len(files)} best policies measured{told}\nnext: python -m marlpipe compare {options.runs}")
    return 1 if refused else 0


def _play_again(options: Options) -> int:
    folder, device = opened(Path(options.run)), usable(options.device)
    config = stored_config(folder)
    env = build_env(config)
    agent, recorded = best_policy(folder, config, env, device)
    n = options.episodes or usual_episodes(folder, config)

    with progress_bar() as bar:
        playing = bar.add_task(f"{n} episodes", total=None)
        generator = torch.Generator(device).manual_seed(options.seed)
        filmed = 0 if options.video == "false" else options.film
        played, films = play(env, agent, n, options.epsilon, generator, filmed)
        bar.update(playing, total=n, completed=n)
        out = folder.path / "evaluation"
        with os_errors_as_user_errors("make the folder", out):
            out.mkdir(exist_ok=True)
        written = [out / "episodes.csv"]
        write_text(written[0], episodes_csv(played, local_rewards=env.spec.local_rewards))
        for episode, scenes in enumerate(films):
            written.append(out / f"episode-{episode}{film_suffix(options.video)}")
            seen = [scenes[(len(scenes) - 1) // 2]] if options.video == "png" else scenes
            frames = map(pixels, bar.track(seen, description=f"film of episode {episode}"))
            write_film(frames, written[-1], options.fps or default_fps(env.spec.horizon))

    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    here = f"{n} episodes, seed {options.seed}" + (f", ε = {options.epsilon:g}" if options.epsilon else "")
    there = "best evaluation" + (f", at {recorded['env_steps']:,.0f} env steps" if "env_steps" in recorded else "")
    console.print(summary({here: measured(played), there: recorded}))
    for path in written:
        console.print(str(path), style="dim", markup=False, soft_wrap=True, highlight=False)
    if options.video == "true" and moving_format() == ".gif":
        console.print("as GIF, since MP4 needs more: pip install 'marlpipe[video]'", style="dim", markup=False)
    return 0


def play(
    env: Env[Any], agent: Agent, n: int, epsilon: float, generator: torch.Generator, filmed: int
) -> tuple[EpisodeBatch, list[list[Scene]]]:
    """n episodes, and what the first `filmed` of them look like. UserError for a world that cannot be looked at."""
    if filmed == 0:
        return rollout(env, agent, n, epsilon, generator), []
    if filmed > n:
        raise UserError(f"film={filmed} is more than there are episodes.\n  valid: at most episodes={n}")
    if not isinstance(env, Scenic):
        raise UserError(
            f"{type(env).__name__} cannot be filmed: it does not say what it looks like.\n"
            "  next: video=false, or give it a method `scene`, as marlpipe/envs/scene.py describes it"
        )
    watched = Filmed(env, filmed)
    return rollout(watched, agent, n, epsilon, generator), watched.scenes


def film_suffix(video: str) -> str:
    """The ending of a film's file."""
    return moving_format() if video == "true" else f".{video}"


def default_fps(horizon: int) -> float:
    """Frames per second at which the longest possible episode takes `FILM_S`, as far as eyes follow."""
    return min(FASTEST, max(SLOWEST, horizon / FILM_S))


def progress_bar() -> Progress:
    """On a terminal; nothing anywhere else."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
