"""marlpipe/training/pipeline.py"""

import logging
import warnings

import torch
from lightning import Trainer, seed_everything
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig

from marlpipe.config.build import build_algorithm, build_env, build_part
from marlpipe.models.agents.compiled import CompiledAgent
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from marlpipe.runs.sinks import Sink
from marlpipe.training.allocator import keep_freed_memory
from marlpipe.training.callbacks.best_policy import BestPolicy
from marlpipe.training.callbacks.checkpointing import Resumable
from marlpipe.training.callbacks.evaluation_cadence import EvaluationCadence
from marlpipe.training.callbacks.final_state import FinalState
from marlpipe.training.callbacks.pictures import Pictures
from marlpipe.training.callbacks.progress import EnvStepProgress
from marlpipe.training.callbacks.recorder import Recorder
from marlpipe.training.callbacks.reward_tables import DecompositionTables
from marlpipe.training.checkpoints import Checkpoint, WholeCheckpoints, checkpoint_header
from marlpipe.training.conditions import threads
from marlpipe.training.learner import Learner, learner_seed
from marlpipe.training.loaders import EpisodeData, EvaluationLoader, TrainingLoader
from marlpipe.training.replay import Replay
from marlpipe.types import TableGame


def fit(
    config: DictConfig,
    folder: RunFolder,
    lock: FolderLock,
    sinks: list[Sink],
    label: str,
    checkpoint: Checkpoint | None,
) -> None:
    """World, networks, loaders, learner, trainer: built in the order in which data flows, then run."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # our own lines say what it would
    warnings.filterwarnings("ignore", message=".*LeafSpec", module="lightning")  # its own use of torch, not ours
    warnings.filterwarnings("ignore", message="The `srun` command")  # it would only start more processes
    keep_freed_memory()
    torch.set_num_threads(threads(config))
    seed_everything(config.seed, verbose=False)
    profile = config.profile
    trainer: Trainer = build_part(
        config,
        "trainer",
        callbacks=[
            EvaluationCadence(every_env_steps=config.evaluation.every_env_steps),
            Pictures(  # before what tells sinks of the evaluation
                folder=folder, films=config.evaluation.films, seed=config.seed, total_env_steps=config.env_steps
            ),
            Recorder(
                folder=folder,
                sinks=sinks,
                every_env_steps=config.record_every_env_steps,
                total_env_steps=config.env_steps,
            ),
            BestPolicy(folder=folder),
            DecompositionTables(folder=folder),
            EnvStepProgress(label=f"{label} seed {config.seed}", total_env_steps=config.env_steps),
            FinalState(folder=folder),
            Resumable(folder=folder, lock=lock, minutes=config.checkpoint_minutes, origin=checkpoint_header(config)),
        ],
        plugins=[WholeCheckpoints(), LightningEnvironment()],  # one process, also where Slurm has started it
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
    device = trainer.strategy.root_device

    env = build_env(config)
    algorithm = build_algorithm(config, env)
    acting = CompiledAgent(algorithm.agent) if config.compile else algorithm.agent
    training = TrainingLoader(
        env=env,
        agent=acting,  # the one back edge: what learns is what acts
        exploration=build_part(config, "exploration"),
        replay=Replay(spec=env.spec, capacity=profile.replay_episodes, device=device),
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
        gradient_clip=profile.gradient_clip,
        target_update_episodes=profile.target_update_episodes,
        team_table=env.team_table if isinstance(env, TableGame) else None,
        generator=torch.Generator(device).manual_seed(learner_seed(config.seed)),
    )

    folder.truncate_to_checkpoint(**(checkpoint.rows if checkpoint else {"metrics": 0, "tables": 0}))
    path = checkpoint.path if checkpoint else None
    trainer.fit(learner, EpisodeData(training, evaluation), ckpt_path=path, weights_only=True)
