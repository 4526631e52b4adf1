"""Plays all arms that a command line asks for, and says how high their regret is."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from marlpipe.bandit.arm_regret import ArmRegret, logged_rounds, regret_csv, table, table_csv
from marlpipe.bandit.block_actions import check_sizes
from marlpipe.bandit.bounds import Constants, block_noise, corrected_bound, printed_bound
from marlpipe.bandit.figure import draw
from marlpipe.bandit.options import ROOT, Arm
from marlpipe.bandit.play import play
from marlpipe.config.build import build_env, build_part
from marlpipe.config.naming import defining_config, grid_hash
from marlpipe.envs.linear_bandit import LinearBandit
from marlpipe.runs.files import os_errors_as_user_errors, write_json, write_text
from marlpipe.runs.provenance import provenance
from marlpipe.runs.terminal import console, progress_bar

Game = tuple[LinearBandit, Float[Tensor, "J N"], Constants]


def run(arms: Sequence[Arm]) -> int:
    """Builds every arm before the first is played, plays them, and says where the files are."""
    games = [built(arm.config) for arm in arms]
    report = Path(arms[0].config.paths.runs) / ROOT / "reports" / grid_hash([arm.folder for arm in arms])
    for folder in (*(arm.folder for arm in arms), report):
        with os_errors_as_user_errors("make the folder", folder):
            folder.mkdir(parents=True, exist_ok=True)
    outcomes, source = [], provenance()
    with progress_bar() as bar:
        for arm, game in zip(arms, games, strict=True):
            outcomes.append(played(arm, game, partial(bar.track, description=arm.label)))
            write_arm(arm, outcomes[-1], source)
    write_text(report / "table.csv", table_csv(outcomes))
    draw(outcomes, title([env for env, _, _ in games]), report / "regret.png")
    shown = console()
    shown.print(table(outcomes))
    shown.print("slope: d log(regret) / d log(t), by least squares on the mean over seeds from T/5 to T", style="dim")
    for path in (*(arm.folder for arm in arms), report / "table.csv", report / "regret.png"):
        shown.print(str(path), style="dim", markup=False, soft_wrap=True, highlight=False)
    return 0


def built(config: DictConfig) -> Game:
    """The world, the partition of its agents, and what the theorem is to know. UserError for what cannot be."""
    env = build_env(config)
    assert isinstance(env, LinearBandit)
    partition = build_part(config, "partition", spec=env.spec)
    sizes = tuple(int(size) for size in partition.sum(1).tolist())
    check_sizes(sizes, env.n_actions)
    constants = Constants(
        sizes=sizes,
        n_actions=env.n_actions,
        context_dim=env.context_dim,
        context_radius=float(env.context_radius),
        parameter_radius=env.parameter_radius,
        noise=block_noise(max(sizes), float(env.noise), config.block_noise),
        ridge=float(config.ridge),
        delta=float(config.delta),
    )
    return env, partition, constants


def played(arm: Arm, game: Game, track: Callable[[range], Iterable[int]]) -> ArmRegret:
    """The arm's regret with its bounds."""
    env, partition, constants = game
    regret = play(env, partition, constants, float(arm.config.exploration_factor), arm.seeds, track).regret
    rounds = logged_rounds(env.horizon)
    return ArmRegret(
        label=arm.label,
        seeds=arm.seeds,
        n_block_actions=constants.n_block_actions,
        rounds=rounds,
        regret=regret[rounds - 1],
        printed_bound=printed_bound(constants, rounds.double()),
        corrected_bound=corrected_bound(constants, rounds.double()),
    )


def write_arm(arm: Arm, outcome: ArmRegret, source: dict[str, Any]) -> None:
    """Into the arm's folder: its config, where its numbers come from, the numbers. UserError where the disk refuses."""
    config = OmegaConf.create({**defining_config(arm.config), "seeds": list(arm.seeds)})
    write_text(arm.folder / "config.yaml", OmegaConf.to_yaml(config))
    write_json(arm.folder / "provenance.json", source)
    write_text(arm.folder / "regret.csv", regret_csv(outcome))


def title(envs: Sequence[LinearBandit]) -> str:
    """The sizes of the worlds."""
    sizes = {"n": "n_agents", "K": "n_actions", "d": "context_dim", "σ": "noise"}
    named = (
        f"{letter} = {', '.join(dict.fromkeys(f'{getattr(env, key):g}' for env in envs))}"
        for letter, key in sizes.items()
    )
    return f"Multi-OFUL on linear bandits with {'; '.join(named)}"
