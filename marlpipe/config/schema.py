"""The keys of a run's config that belong to no class, and what each can be; a class has its own in its constructor."""

from typing import Annotated, Any, Literal

from marlpipe.errors import Bound, UserError

Part = object  # a node with a `_target_`, whose keys its class says
Count = Annotated[int, Bound(1, 10**12)]
Share = Annotated[float, Bound(0, 1, integer=False)]
Factor = Annotated[float, Bound(0, integer=False)]

SEED = Annotated[int, Bound(0, 2**20)]
RUN: dict[str, Any] = {
    "seed": SEED,
    "env_steps": Count,
    "record_every_env_steps": Count,
    "checkpoint_minutes": Factor,
    "threads": Annotated[int, Bound(1, 4096)] | None,
    "compile": bool,
    "deterministic": bool,
    "env": Part,
    "agent": Part,
    "partition": Part,
    "monotonicity": Part,
    "mixer": Part,
    "reward": Part,
    "projection": Part,
    "loss": Part,
    "replay": {"recent_share": Share, "recent_episodes": Count},
    "exploration": Part,
    "profile": {
        "discount": Share,
        "returns": Part,
        "optimizer": Part,
        "learning_rate_end": Share,
        "gradient_clip": Factor,
        "batch_episodes": Annotated[int, Bound(1, 10**5)],
        "sequence_steps": Annotated[int, Bound(1, 10**6)] | None,
        "replay_episodes": Annotated[int, Bound(1, 10**6)],
        "epsilon_start": Share,
        "epsilon_end": Share,
        "epsilon_anneal_env_steps": Annotated[int, Bound(0, 10**12)],
        "target_update_episodes": Count,
        "parallel_episodes": Annotated[int, Bound(1, 10**5)],
        "updates_per_rollout": Annotated[int, Bound(1, 10**6)],
        "loss_factor": Factor,
        "central_loss_factor": Factor,
        "scaled_start": bool,
    },
    "evaluation": {
        "every_env_steps": Count,
        "episodes": Annotated[int, Bound(1, 10**6)],
        "films": Annotated[int, Bound(0, 10**6)],
    },
    "trainer": {
        "_target_": Literal["lightning.Trainer"],
        "_partial_": Literal[True],
        "accelerator": Literal["auto", "cpu", "gpu"],
        "devices": Literal[1],
        "detect_anomaly": bool,
    },
    "logger": Part,
    "paths": {"runs": str},
}
FOREIGN: dict[str, dict[str, Any]] = {  # by package: what its classes raise errors about that name no key
    "torch.optim": {
        **dict.fromkeys(("lr", "eps", "alpha", "momentum", "weight_decay"), Factor),
        "betas": tuple[Share, Share],
    },
}
OPTIONAL = {"trainer.detect_anomaly", "profile.learning_rate_end", "profile.sequence_steps"}  # keys that may be missing
NEXT = {
    "trainer": "a run ends after env_steps, on one device (CUDA_VISIBLE_DEVICES chooses it), in 32 bits; "
    "clipping is profile.gradient_clip; marlpipe sets Lightning's other keys itself",
}


def check_sizes(config: Any) -> None:
    """UserError for a batch or a rollout that the replay does not hold."""
    profile, replay = config.profile, config.replay
    for key in ("batch_episodes", "parallel_episodes"):
        if profile[key] > profile.replay_episodes:
            raise UserError(
                f"profile.{key}={profile[key]} is more than the replay holds.\n"
                f"  valid: at most profile.replay_episodes={profile.replay_episodes}, or a larger replay"
            )
    recent = round(replay.recent_share * profile.batch_episodes)
    if replay.recent_episodes < recent:
        raise UserError(
            f"replay.recent_episodes={replay.recent_episodes} is less than the {recent} episodes of a batch that are "
            f"drawn from them, replay.recent_share={replay.recent_share} of profile.batch_episodes="
            f"{profile.batch_episodes}.\n  valid: at least {recent}, or a smaller replay.recent_share"
        )
