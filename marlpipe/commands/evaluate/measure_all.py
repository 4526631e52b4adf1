"""The absolute metric of every run of a grid."""

import sys
from collections.abc import Callable
from pathlib import Path

import torch

from marlpipe.commands.evaluate.policy import best_policy, evaluated_run, usual_episodes
from marlpipe.config.build import build_env
from marlpipe.config.stored import stored_config
from marlpipe.errors import UserError
from marlpipe.runs.absolute_metric import TIMES_AS_MANY, Absolute, absolute_file, read_absolute, write_absolute
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.find import find_folders
from marlpipe.runs.folder import RunFolder
from marlpipe.training.rollout import rollout


def measure_all(
    root: Path, *, episodes: int | None, seed: int, device: torch.device, advance: Callable[[int, int], None]
) -> tuple[list[Path], list[Path]]:
    """Lets the best policy of each finished run play, unless it was measured in the same way already.

    Args:
        root: a folder of runs.
        episodes: None for ten times as many as in the run's own evaluations.
        seed: of the worlds, the same for each policy.
        device: where the policies compute.
        advance: called with the number of runs that are done, and of all.

    Returns:
        The files of all finished runs that could be measured, and the runs that could not; the standard error gets the
        reason of each.

    Raises:
        UserError: there is no such folder, or no finished run in it.
    """
    found = find_folders([root])
    finished = [folder for folder in found if _finished(folder)]
    if not finished:
        raise UserError(f"none of the {len(found)} runs in {root} is finished.\n  next: marlpipe status {root}")
    files, refused = [], []
    for number, folder in enumerate(finished):
        advance(number, len(finished))
        try:
            _measure(evaluated_run(folder.path), episodes, seed, device)
            files.append(absolute_file(folder))
        except UserError as error:
            print(error, file=sys.stderr)
            refused.append(folder.path)
    return files, refused


def _measure(folder: RunFolder, episodes: int | None, seed: int, device: torch.device) -> None:
    config = stored_config(folder)
    n = episodes or TIMES_AS_MANY * usual_episodes(folder, config)
    env = build_env(config)
    agent, recorded = best_policy(folder, config, env, device)
    best_return = recorded["eval/return_mean"]
    measured = read_absolute(folder)
    if measured and (len(measured.returns), measured.best_return, measured.seed) == (n, best_return, seed):
        return
    played = rollout(env, agent, n, 0.0, torch.Generator(device).manual_seed(seed))
    with os_errors_as_user_errors("make the folder", absolute_file(folder).parent):
        absolute_file(folder).parent.mkdir(exist_ok=True)
    returns = played.team_rewards.sum(1).tolist()
    write_absolute(folder, Absolute(returns=returns, best_return=best_return, seed=seed))


def _finished(folder: RunFolder) -> bool:
    try:
        return folder.status.state == "finished"
    except UserError:  # an unreadable status: its own look reports it
        return False
