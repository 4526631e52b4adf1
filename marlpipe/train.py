"""The composition root of training: the pipeline of one run, in order."""

import logging
import os
import sys
import traceback
import warnings
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from lightning import Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf

from marlpipe.agents.compiled import CompiledAgent
from marlpipe.build import build_algorithm, build_env, build_part
from marlpipe.callbacks.best_policy import BestPolicy
from marlpipe.callbacks.cadence import EvaluationCadence
from marlpipe.callbacks.decomposition import DecompositionTables
from marlpipe.callbacks.progress import EnvStepProgress
from marlpipe.callbacks.recorder import Recorder
from marlpipe.callbacks.resumable import Resumable
from marlpipe.callbacks.saving import WholeCheckpoints
from marlpipe.data import EpisodeData, EvaluationLoader, TrainingLoader
from marlpipe.errors import Interrupted, UserError
from marlpipe.learner import Learner
from marlpipe.memory import keep_freed_memory
from marlpipe.naming import arm_hash, arm_label, register_resolvers
from marlpipe.records.files import explained_inside, write_json, write_text
from marlpipe.records.folder import RunFolder
from marlpipe.records.provenance import cores, provenance
from marlpipe.records.sinks import Sink
from marlpipe.replay import Replay
from marlpipe.types import TableGame

register_resolvers()


def train(config: DictConfig) -> None:
    """One run in Hydra's output folder, whose status file says how it ended; a finished run is left alone."""
    folder = RunFolder(Path(HydraConfig.get().runtime.output_dir)).create()
    if folder.status.state == "finished":
        print(f"{folder.path}: finished already, nothing to do", file=sys.stderr)
        return
    folder.update_status(
        state="running", reason=None, total_env_steps=config.env_steps, pid=os.getpid(), host=os.uname().nodename
    )
    try:
        with explained_inside(folder.path):
            write_identity(folder, config)
            plain = OmegaConf.to_container(config, resolve=True)
            with build_part(config, "logger", folder=folder, config=plain) as sinks:
                fit(config, folder, sinks)
    except Interrupted as stop:
        folder.conclude("interrupted", str(stop))
        raise KeyboardInterrupt from stop
    except (KeyboardInterrupt, SystemExit) as stop:  # Lightning makes the one into the other
        folder.conclude("interrupted", "stopped at once")
        raise KeyboardInterrupt from stop
    except UserError as error:
        folder.conclude("failed", str(error))
        raise
    except Exception as error:
        folder.conclude("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
        raise
    folder.update_status(state="finished", eta_s=0.0)


def fit(config: DictConfig, folder: RunFolder, sinks: list[Sink]) -> None:
    """World, networks, loaders, learner, trainer: built in the order in which data flows, then run."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # our own lines say what it would
    warnings.filterwarnings("ignore", message=".*LeafSpec", module="lightning")  # its own use of torch, not ours
    keep_freed_memory()
    torch.set_num_threads(config.threads or int(os.environ.get("MARLPIPE_THREADS", cores())))
    seed_everything(config.seed, verbose=False)
    profile, label = config.profile, arm_label(HydraConfig.get())
    trainer: Trainer = build_part(
        config,
        "trainer",
        callbacks=[
            EvaluationCadence(every_env_steps=config.evaluation.every_env_steps),
            Recorder(
                folder=folder,
                sinks=sinks,
                every_env_steps=config.record_every_env_steps,
                total_env_steps=config.env_steps,
            ),
            BestPolicy(folder=folder),
            DecompositionTables(folder=folder),
            EnvStepProgress(label=f"{label} seed {config.seed}", total_env_steps=config.env_steps),
            Resumable(folder=folder, minutes=config.checkpoint_minutes),
        ],
        plugins=[WholeCheckpoints()],
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

    checkpoint = folder.last_checkpoint if folder.last_checkpoint.exists() else None
    folder.truncate_metrics(checkpoint_env_steps(checkpoint))
    trainer.fit(learner, EpisodeData(training, evaluation), ckpt_path=checkpoint, weights_only=True)


def checkpoint_env_steps(checkpoint: Path | None) -> int:
    """How far a checkpoint is; −1 without one, before any row of metrics."""
    if checkpoint is None:
        return -1
    callbacks = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["callbacks"]
    return int(callbacks["Recorder"]["env_steps"])


def write_identity(folder: RunFolder, config: DictConfig) -> None:
    """Who this run is, with what and where it runs."""
    hydra = HydraConfig.get()
    write_text(folder.config, OmegaConf.to_yaml(config, resolve=True))
    write_json(
        folder.run,
        {
            **provenance(),
            "overrides": list(hydra.overrides.task),
            "choices": {group: choice for group, choice in hydra.runtime.choices.items() if "/" not in group},
            "seed": config.seed,
            "arm": arm_hash(config),
            "label": arm_label(HydraConfig.get()),
            "total_env_steps": config.env_steps,
        },
    )
