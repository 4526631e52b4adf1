"""What the numbers of a config may be, where no constructor of a part checks them."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from marlpipe.errors import Bound, UserError

BOUNDS = {
    "seed": Bound(0, 2**20),
    "env_steps": Bound(1),
    "record_every_env_steps": Bound(1),
    "checkpoint_minutes": Bound(0, whole=False),
    "evaluation.every_env_steps": Bound(1),
    "evaluation.episodes": Bound(1),
    "evaluation.films": Bound(0),
    "replay.recent_share": Bound(0, 1, whole=False),
    "replay.recent_episodes": Bound(1),
    "profile.discount": Bound(0, 1, whole=False),
    "profile.gradient_clip": Bound(0, whole=False),
    "profile.batch_episodes": Bound(1),
    "profile.replay_episodes": Bound(1),
    "profile.epsilon_start": Bound(0, 1, whole=False),
    "profile.epsilon_end": Bound(0, 1, whole=False),
    "profile.epsilon_anneal_env_steps": Bound(0),
    "profile.target_update_episodes": Bound(1),
    "profile.parallel_episodes": Bound(1),
    "profile.updates_per_rollout": Bound(1),
    "profile.loss_factor": Bound(0, whole=False),
    "profile.central_loss_factor": Bound(0, whole=False),
    "agent.hidden": Bound(1),
}


def check_bound(path: str, value: Any) -> None:
    """UserError if the value of a key is out of its bounds."""
    if not BOUNDS[path].holds(value):
        raise UserError(f"{path}={value} is not possible.\n  valid: {BOUNDS[path]}")


def check_bounds(config: DictConfig) -> None:
    """UserError for the first number that is out of its bounds, or does not fit another one."""
    for path in BOUNDS:
        check_bound(path, OmegaConf.select(config, path))
    if config.threads is not None and not Bound(1).holds(config.threads):
        raise UserError(f"threads={config.threads} is not possible.\n  valid: {Bound(1)}, or null for all cores")
    profile = config.profile
    if profile.batch_episodes > profile.replay_episodes:
        raise UserError(
            f"profile.batch_episodes={profile.batch_episodes} is more than the replay holds.\n"
            f"  valid: at most profile.replay_episodes={profile.replay_episodes}, or a larger replay"
        )
    if profile.parallel_episodes > profile.replay_episodes:
        raise UserError(
            f"profile.parallel_episodes={profile.parallel_episodes} is more than the replay holds.\n"
            f"  valid: at most profile.replay_episodes={profile.replay_episodes}, or a larger replay"
        )
    replay, recent = config.replay, round(config.replay.recent_share * profile.batch_episodes)
    if replay.recent_episodes < recent:
        raise UserError(
            f"replay.recent_episodes={replay.recent_episodes} is less than the {recent} episodes of a batch that are "
            f"drawn from them, replay.recent_share={replay.recent_share} of profile.batch_episodes="
            f"{profile.batch_episodes}.\n  valid: at least {recent}, or a smaller replay.recent_share"
        )
