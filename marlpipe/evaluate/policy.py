"""A run's world and its best policy, from its folder."""

import pickle
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from marlpipe.agents.agent import Agent
from marlpipe.build import build_algorithm
from marlpipe.errors import UserError
from marlpipe.records.files import explained
from marlpipe.records.folder import RunFolder
from marlpipe.types import Env

MOST_TOLD = 8  # runs that are named in a message


def opened(path: Path) -> RunFolder:
    """The folder of a run that has been evaluated at least once.

    Raises:
        UserError: there is no such folder, it is not a run's, or the run has no best policy yet.
    """
    folder = RunFolder(path)
    if not folder.config.is_file():
        wrong = "is not the folder of a run: it has no config.yaml" if path.is_dir() else "is not there"
        levels = ("*/" * level + "seed=*/config.yaml" for level in range(4))
        below = sorted(str(file.parent) for level in levels for file in path.glob(level))
        more = f"\n    … and {len(below) - MOST_TOLD} more" if len(below) > MOST_TOLD else ""
        valid = "".join(f"\n    run={run}" for run in below[:MOST_TOLD]) or " multirun/ENV/ALGO-HASH/seed=SEED"
        raise UserError(f"{path} {wrong}.\n  valid:{valid}{more}")
    if not folder.best_policy.is_file():
        raise UserError(
            f"{path} has no best policy yet: {folder.best_policy.relative_to(path)} comes with the first evaluation.\n"
            f"  The run is {folder.status.state}. Wait for it, or issue its command again."
        )
    return folder


def run_config(folder: RunFolder) -> DictConfig:
    """The resolved config that the run was trained with. UserError where it cannot be read."""
    with explained("read", folder.config):
        config = OmegaConf.load(folder.config)
    assert isinstance(config, DictConfig)
    return config


def best_policy(
    folder: RunFolder, config: DictConfig, env: Env[Any], device: torch.device
) -> tuple[Agent, dict[str, float]]:
    """The agent network of the best evaluation, and the metrics of that evaluation as far as they are on record.

    Raises:
        UserError: the file cannot be read, or holds another network than the config asks for.
    """
    agent = build_algorithm(config, env).agent.to(device)
    with explained("read", folder.best_policy):
        try:
            stored = torch.load(folder.best_policy, map_location=device, weights_only=True)
            agent.load_state_dict(stored["agent"])
        except (RuntimeError, KeyError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{folder.best_policy} does not hold the network of {folder.config.name}: {error}\n"
                f"  Play with the code that it was trained with, which {folder.run.name} names, or train it again."
            ) from error
    reached = {"eval/return_mean": float(stored["return_mean"])}
    return agent, next((row for row in folder.read_metrics() if reached.items() <= row.items()), reached)


def usable(device: str) -> torch.device:
    """UserError for what torch does not know, and for what this machine does not have."""
    try:
        return torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device={device} cannot be used: {reason}\n  valid: cpu, or a GPU such as cuda") from error
