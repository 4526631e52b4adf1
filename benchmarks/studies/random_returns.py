"""`python -m benchmarks.studies.random_returns ENV…`: returns of random actions, for references.yaml."""

import argparse
import math
from collections.abc import Sequence

import torch

from benchmarks.options import positive
from marlpipe.commands.command_line.ending import exit_with
from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.training.rollout import rollout

AT_ONCE = 500  # episodes


def run(arguments: Sequence[str]) -> int:
    """Prints the mean return of each world, with its standard error."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.studies.random_returns", description=__doc__)
    asked.add_argument("envs", nargs="+", metavar="ENV", help="options of the group env")
    asked.add_argument("--batches", type=positive, default=40, help=f"of {AT_ONCE} episodes each")
    given = asked.parse_args(arguments)
    register_resolvers()
    torch.set_num_threads(1)
    for env in given.envs:
        returns = random_returns(env, given.batches)
        error = float(returns.std()) / math.sqrt(len(returns))
        print(f"{env}: {float(returns.mean()):.4g} ± {error:.2g}, {len(returns)} episodes", flush=True)
    return 0


def random_returns(name: str, batches: int) -> torch.Tensor:
    """The team's return of each episode under uniformly random available actions."""
    with compose_api(config_folder()):
        config = compose_run([f"env={name}"], config_folder())
    env = build_env(config)
    agent = build_algorithm(config, env).agent
    played = (rollout(env, agent, AT_ONCE, 1.0, torch.Generator().manual_seed(seed)) for seed in range(batches))
    return torch.cat([batch.team_rewards.sum(1) for batch in played]).double()


if __name__ == "__main__":
    exit_with(run)
