"""The composition root of training: the pipeline of one run, in order."""

import logging
import os
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from lightning import Trainer, seed_everything
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig, OmegaConf

from marlpipe.agents.compiled import CompiledAgent
from marlpipe.build import build_algorithm, build_env, build_part
from marlpipe.callbacks.best_policy import BestPolicy
from marlpipe.callbacks.cadence import EvaluationCadence
from marlpipe.callbacks.decomposition import DecompositionTables
from marlpipe.callbacks.final import FinalState
from marlpipe.callbacks.pictures import Pictures
from marlpipe.callbacks.progress import EnvStepProgress
from marlpipe.callbacks.recorder import Recorder
from marlpipe.callbacks.resumable import Resumable
from marlpipe.callbacks.saving import WholeCheckpoints
from marlpipe.conditions import environment, numerics, session, threads, warn_of_newer_code, warn_of_others
from marlpipe.data import EpisodeData, EvaluationLoader, TrainingLoader
from marlpipe.errors import Interrupted, UserError
from marlpipe.learner import Learner
from marlpipe.memory import keep_freed_memory
from marlpipe.naming import arm_hash, arm_label, register_resolvers
from marlpipe.records.enclosed import check_enclosed
from marlpipe.records.files import explained_inside, read_json, write_json, write_text
from marlpipe.records.folder import RunFolder
from marlpipe.records.lock import FolderLock
from marlpipe.records.provenance import provenance, write_code_diff
from marlpipe.records.sinks import Sink
from marlpipe.records.slurm import current_job
from marlpipe.replay import Replay
from marlpipe.resuming import Checkpoint, check_same_run, newest_checkpoint, origin
from marlpipe.types import TableGame

register_resolvers()


@dataclass(frozen=True, kw_only=True)
class Described:
    """How a person asked for a run."""

    label: str  # of its arm, in figures and tables
    overrides: list[str]
    choices: dict[str, str]  # the option of each config group

    @classmethod
    def by_hydra(cls, hydra: Any) -> "Described":
        """As Hydra's own config tells it."""
        chosen = {group: choice for group, choice in hydra.runtime.choices.items() if "/" not in group}
        return cls(label=arm_label(hydra), overrides=list(hydra.overrides.task), choices=chosen)


def train(config: DictConfig) -> None:
    """One run in Hydra's output folder."""
    hydra = HydraConfig.get()
    train_in(RunFolder(Path(hydra.runtime.output_dir)), config, Described.by_hydra(hydra))


def train_in(folder: RunFolder, config: DictConfig, described: Described) -> None:
    """One run, whose status file says how it ended; a finished run is left alone.

    Raises:
        Owned: another process trains there.
        UserError: the folder holds another run; or what else a person can mend, which the status file says too.
        KeyboardInterrupt: the run was asked to stop, and can go on.
    """
    folder.create()
    check_enclosed(folder.path)
    check_same_run(folder, config)
    if is_done(folder):
        return
    with FolderLock(folder.lock) as lock:
        if is_done(folder):  # by who owned it until now
            return
        folder.update_status(
            state="running",
            reason=None,
            total_env_steps=config.env_steps,
            pid=os.getpid(),
            host=os.uname().nodename,
            job=current_job(),
        )
        try:
            with explained_inside(folder.path):
                checkpoint = newest_checkpoint(folder, config)
                write_identity(folder, config, described, checkpoint)
                plain = OmegaConf.to_container(config, resolve=True)
                with build_part(config, "logger", folder=folder, config=plain) as sinks:
                    fit(config, folder, lock, sinks, described.label, checkpoint)
        except BaseException as error:
            if not lock.lost:  # else the folder is another's by now
                conclude(folder, error)
            if isinstance(error, Interrupted | KeyboardInterrupt | SystemExit):  # Lightning makes one into another
                raise KeyboardInterrupt from error
            raise
        folder.update_status(state="finished", eta_s=0.0)
        unfinished = folder.checkpoints.glob("*.partial")
        for file in (folder.last_checkpoint, folder.previous_checkpoint, *unfinished):  # each as large as the replay
            file.unlink(missing_ok=True)


def is_done(folder: RunFolder) -> bool:
    """Whether the run is finished, which is told."""
    done = folder.status.state == "finished"
    if done:
        print(f"{folder.path}: finished already, nothing to do", file=sys.stderr)
    return done


def conclude(folder: RunFolder, error: BaseException) -> None:
    """Says in the status file why the run ended early."""
    match error:
        case Interrupted():
            folder.conclude("interrupted", str(error))
        case KeyboardInterrupt() | SystemExit():
            folder.conclude("interrupted", "stopped at once")
        case UserError():
            folder.conclude("failed", str(error))
        case _:
            folder.conclude("failed", f"{type(error).__name__}: {error}", traceback.format_exc())


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
            Resumable(folder=folder, lock=lock, minutes=config.checkpoint_minutes, origin=origin(config)),
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
    )

    folder.cut_back(**(checkpoint.rows if checkpoint else {"metrics": 0, "tables": 0}))
    path = checkpoint.path if checkpoint else None
    trainer.fit(learner, EpisodeData(training, evaluation), ckpt_path=path, weights_only=True)


def write_identity(
    folder: RunFolder, config: DictConfig, described: Described, checkpoint: Checkpoint | None = None
) -> None:
    """Who this run is, with what and where it runs. Provenance is that of the session which began what there is."""
    earlier = read_json(folder.run) or {}
    now = {**provenance(), "environment": environment(config), "numerics": numerics(config)}
    warn_of_newer_code(read_json(folder.submission) or {}, now, folder.path)
    if checkpoint is None:
        own, from_env_steps = now, 0
        write_code_diff(folder.code_diff)
    else:
        own, from_env_steps = {key: earlier.get(key, now[key]) for key in now}, checkpoint.env_steps
        warn_of_others(own, now, f"{described.label} seed {config.seed}")
    write_text(folder.config, OmegaConf.to_yaml(config, resolve=True))
    write_json(
        folder.run,
        {
            **own,
            "overrides": described.overrides,
            "choices": described.choices,
            "seed": config.seed,
            "arm": arm_hash(config),
            "label": described.label,
            "total_env_steps": config.env_steps,
            "sessions": [*earlier.get("sessions", []), session(own, now, from_env_steps)],
        },
    )
