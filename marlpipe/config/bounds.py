"""Bounds of the config's numbers that no constructor of a part checks."""

from omegaconf import DictConfig, OmegaConf

from marlpipe.errors import Bound, UserError, check_number

BOUNDS = {
    "seed": Bound(0, 2**20),
    "env_steps": Bound(1),
    "record_every_env_steps": Bound(1),
    "checkpoint_minutes": Bound(0, integer=False),
    "evaluation.every_env_steps": Bound(1),
    "evaluation.episodes": Bound(1),
    "evaluation.films": Bound(0),
    "replay.recent_share": Bound(0, 1, integer=False),
    "replay.recent_episodes": Bound(1),
    "profile.discount": Bound(0, 1, integer=False),
    "profile.gradient_clip": Bound(0, integer=False),
    "profile.batch_episodes": Bound(1),
    "profile.replay_episodes": Bound(1),
    "profile.epsilon_start": Bound(0, 1, integer=False),
    "profile.epsilon_end": Bound(0, 1, integer=False),
    "profile.epsilon_anneal_env_steps": Bound(0),
    "profile.target_update_episodes": Bound(1),
    "profile.parallel_episodes": Bound(1),
    "profile.updates_per_rollout": Bound(1),
    "profile.loss_factor": Bound(0, integer=False),
    "profile.central_loss_factor": Bound(0, integer=False),
    "agent.hidden": Bound(1),
    "threads": Bound(1, or_null=True),
}


def check_bounds(config: DictConfig) -> None:
    """UserError for the first number that is out of its bounds, or does not fit another one."""
    for path, bound in BOUNDS.items():
        check_number(path, OmegaConf.select(config, path), bound)
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
