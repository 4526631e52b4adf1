"""The pipeline of one run, in the order in which data flows: environment, algorithm, loaders, learner, trainer."""

import logging
import warnings
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig

from marlpipe.config.build import build_algorithm, build_env, build_part
from marlpipe.config.check import check_device
from marlpipe.models.agents.compiled import CompiledAgent
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from marlpipe.runs.sinks import Sink
from marlpipe.training.allocator import keep_freed_memory
from marlpipe.training.callbacks.best_policy import BestPolicy
from marlpipe.training.callbacks.checkpointing import Resumable
from marlpipe.training.callbacks.evaluation_cadence import EvaluationCadence
from marlpipe.training.callbacks.final_state import FinalState
from marlpipe.training.callbacks.first_values import FirstValues
from marlpipe.training.callbacks.pictures import Pictures
from marlpipe.training.callbacks.progress import EnvStepProgress
from marlpipe.training.callbacks.recorder import Recorder
from marlpipe.training.callbacks.reward_tables import RewardTables
from marlpipe.training.checkpoints import Checkpoint, WholeCheckpoints
from marlpipe.training.conditions import threads
from marlpipe.training.evaluation_schedule import EvaluationSchedule
from marlpipe.training.learner import Learner, learner_seed
from marlpipe.training.learning_rate import LinearDecay
from marlpipe.training.loaders import EpisodeData, EvaluationLoader, TrainingLoader
from marlpipe.training.replay import Replay
from marlpipe.types import TableGame


def fit(
    config: DictConfig,
    folder: RunFolder,
    lock: FolderLock,
    sinks: list[Sink],
    label: str,
    header: dict[str, Any],
    checkpoint: Checkpoint | None,
) -> None:
    """Trains one run to its end, from the checkpoint if there is one.

    Args:
        config: resolved.
        folder: of the run; rows past the checkpoint are dropped.
        lock: of the folder, held.
        sinks: receive all rows of metrics, in addition to the folder.
        label: of the run's arm, for the progress bar.
        header: of its checkpoints, a `checkpoint_header`.
        checkpoint: None to train from the beginning.

    Raises:
        UserError: parts do not fit together, or the disk refuses.
        Interrupted: the run was asked to stop, or lost its lock.
    """
    check_device(config)
    prepare_process(config)
    trainer = build_trainer(config, folder, callbacks(config, folder, lock, sinks, label, header))
    device = trainer.strategy.root_device  # the trainer chooses it, so it is built first

    env = build_env(config)
    algorithm = build_algorithm(config, env)
    acting = CompiledAgent(algorithm.agent) if config.compile else algorithm.agent
    profile = config.profile
    training = TrainingLoader(
        env=env,
        agent=acting,  # the one back edge: the agent that learns is the agent that acts
        exploration=build_part(config, "exploration"),
        replay=Replay(
            spec=env.spec,
            capacity=profile.replay_episodes,
            device=device,
            sequence_steps=profile.get("sequence_steps"),  # configs of earlier versions lack it
        ),
        batch_episodes=profile.batch_episodes,
        recent_share=config.replay.recent_share,
        recent_episodes=config.replay.recent_episodes,
        parallel_episodes=profile.parallel_episodes,
        updates_per_rollout=profile.updates_per_rollout,
        env_steps=config.env_steps,
        generator=torch.Generator(device).manual_seed(config.seed),
    )
    evaluation = EvaluationLoader(
        env=env,
        agent=acting,
        episodes=config.evaluation.episodes,
        seed=config.seed,
        device=device,
        training=training,
    )
    learner = Learner(
        algorithm=algorithm,
        optimizer=build_part(profile, "optimizer"),
        learning_rate=LinearDecay(
            end=profile.get("learning_rate_end", 1.0),  # configs of earlier versions lack it
            env_steps=config.env_steps,
        ),
        gradient_clip=profile.gradient_clip,
        target_update_episodes=profile.target_update_episodes,
        team_table=env.team_table if isinstance(env, TableGame) else None,
        generator=torch.Generator(device).manual_seed(learner_seed(config.seed)),
    )

    folder.truncate_to_checkpoint(**(checkpoint.rows if checkpoint else {"metrics": 0, "tables": 0}))
    path = checkpoint.path if checkpoint else None
    trainer.fit(learner, EpisodeData(training, evaluation), ckpt_path=path, weights_only=True)


def prepare_process(config: DictConfig) -> None:
    """Settings of this process: warnings of other libraries, memory, threads, the global generators."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # marlpipe prints its own progress
    warnings.filterwarnings("ignore", message=".*LeafSpec", module="lightning")  # Lightning's own use of torch
    warnings.filterwarnings("ignore", message="The `srun` command")  # would start more processes
    keep_freed_memory()
    torch.set_num_threads(threads(config))
    seed_everything(config.seed, verbose=False)


def callbacks(
    config: DictConfig,
    folder: RunFolder,
    lock: FolderLock,
    sinks: list[Sink],
    label: str,
    header: dict[str, Any],
) -> list[Callback]:
    """What happens between gradient steps: evaluation, records, checkpoints.

    Two places in this order matter: `Pictures` before `Recorder`, whose rows make sinks send the pictures; and
    `Resumable` last, so that it saves what all others did at a gradient step (Lightning also puts it there).
    """
    schedule = EvaluationSchedule(every_env_steps=config.evaluation.every_env_steps)
    return [
        EvaluationCadence(schedule),
        FirstValues(label=f"{label} seed {config.seed}"),
        Pictures(folder=folder, films=config.evaluation.films, seed=config.seed, total_env_steps=config.env_steps),
        Recorder(
            folder=folder,
            sinks=sinks,
            every_env_steps=config.record_every_env_steps,
            total_env_steps=config.env_steps,
        ),
        RewardTables(folder=folder),
        BestPolicy(folder=folder),
        EnvStepProgress(label=f"{label} seed {config.seed}", total_env_steps=config.env_steps),
        FinalState(folder=folder),
        Resumable(
            folder=folder,
            lock=lock,
            schedule=schedule,
            minutes=config.checkpoint_minutes,
            header=header,
        ),
    ]


def build_trainer(config: DictConfig, folder: RunFolder, callbacks: list[Callback]) -> Trainer:
    """Lightning's trainer: one process, one epoch, without its own logs, bars and validation intervals."""
    trainer: Trainer = build_part(
        config,
        "trainer",
        callbacks=callbacks,
        plugins=[WholeCheckpoints(), LightningEnvironment()],  # the latter: one process, also within Slurm
        deterministic=config.deterministic,
        max_epochs=1,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        inference_mode=False,  # evaluation measures ∂F/∂U
        use_distributed_sampler=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder.path,
    )
    return trainer
