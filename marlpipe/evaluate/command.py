"""The best policy of a run plays again, to be measured and to be seen."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from marlpipe.agents.agent import Agent
from marlpipe.build import build_env
from marlpipe.errors import UserError
from marlpipe.evaluate.absolute import measure_all
from marlpipe.evaluate.options import HELP, Options, parsed
from marlpipe.evaluate.outcome import episodes_csv, measured, summary
from marlpipe.evaluate.policy import best_policy, opened, usable, usual_episodes
from marlpipe.pictures.draw import pixels
from marlpipe.pictures.film import moving_format, write_film
from marlpipe.pictures.filmed import Filmed
from marlpipe.records.files import explained, write_text
from marlpipe.rollout import rollout
from marlpipe.scene import Scene, Scenic
from marlpipe.stored_config import stored_config
from marlpipe.types import Env, EpisodeBatch

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
    print(f"{len(files)} best policies measured{told}\nnext: python -m marlpipe.compare {options.runs}")
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
        with explained("make the folder", out):
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
            "  next: video=false, or give it a method `scene`, as marlpipe/scene.py describes it"
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
