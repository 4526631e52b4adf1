"""A run's world and its best policy, from its folder."""

import re
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.build import build_algorithm
from marlpipe.errors import Bound, UserError
from marlpipe.models.agents.agent import Agent
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.find import run_at
from marlpipe.runs.folder import RunFolder
from marlpipe.types import Env


def evaluated_run(path: Path) -> RunFolder:
    """The folder of a run that has been evaluated at least once.

    Raises:
        UserError: there is no such folder, it is not a run's, a link leads out of it, or it has no best policy yet.
    """
    folder = run_at(path)
    if not folder.best_policy.is_file():
        raise UserError(
            f"{path} has no best policy yet: {folder.best_policy.relative_to(path)} comes with the first evaluation.\n"
            f"  The run is {folder.status.state}. Wait for it, or issue its command again."
        )
    return folder


def usual_episodes(folder: RunFolder, config: DictConfig) -> int:
    """As many as in each of the run's own evaluations. UserError where its config says something else than that."""
    number, bound = OmegaConf.select(config, "evaluation.episodes", throw_on_missing=False), Bound(1, 2**20)
    if not bound.holds(number):
        raise UserError(
            f"{folder.config}: evaluation.episodes cannot be {number!r:.80}.\n"
            f"  valid: {bound}\n  next: restore the file, or give --episodes N"
        )
    return int(number)


def best_policy(
    folder: RunFolder, config: DictConfig, env: Env[Any], device: torch.device
) -> tuple[Agent, dict[str, float]]:
    """The agent network of the best evaluation, and the metrics of that evaluation as far as they are recorded.

    Raises:
        UserError: the file cannot be read, or holds another network than the config asks for.
    """
    agent = build_algorithm(config, env).agent.to(device)
    network, reached = stored_policy(folder, device)
    try:
        agent.load_state_dict(dict(network))
    except RuntimeError as error:
        raise no_policy(folder, str(error)) from error
    best = {"eval/return_mean": reached}
    return agent, next((row for row in folder.read_metrics() if best.items() <= row.items()), best)


def stored_policy(folder: RunFolder, device: torch.device) -> tuple[dict[str, torch.Tensor], float]:
    """A network's tensors by name, and the mean return that it reached. Nothing of the file is executed.

    Raises:
        UserError: the file cannot be read, or holds anything else.
    """
    with os_errors_as_user_errors("read", folder.best_policy):
        try:
            stored: Any = torch.load(folder.best_policy, map_location=device, weights_only=True)
        except OSError:
            raise
        except Exception as error:  # a damaged file may raise anything
            asked = re.search(r"GLOBAL ([\w.]+)", str(error))
            wanted = f", for it asks for {asked[1]}" if asked else ""
            raise no_policy(
                folder, f"it is no whole file of tensors{wanted}, and nothing of it was executed"
            ) from error
    agent = stored.get("agent") if isinstance(stored, dict) else None
    if not isinstance(agent, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in agent.items()
    ):
        raise no_policy(folder, "it has no tensors by name under 'agent'")
    if not isinstance(stored.get("return_mean"), float):
        raise no_policy(folder, "its 'return_mean' is no number")
    return agent, stored["return_mean"]


def no_policy(folder: RunFolder, reason: str) -> UserError:
    """The error for a best policy that cannot play."""
    return UserError(
        f"{folder.best_policy} does not hold the network of {folder.config.name}: {reason}\n"
        f"  Play with the code that it was trained with, which {folder.run.name} names, or train it again."
    )
