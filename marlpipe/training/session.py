"""The composition root of training: the pipeline of one run, in order."""

import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.build import build_part
from marlpipe.config.naming import arm_hash, arm_label, register_resolvers
from marlpipe.errors import Interrupted, UserError
from marlpipe.runs.files import os_errors_inside_as_user_errors, read_json, write_json, write_text
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.lock import FolderLock
from marlpipe.runs.provenance import provenance, write_code_diff
from marlpipe.runs.slurm import current_job
from marlpipe.training.checkpoints import Checkpoint, check_same_run, newest_checkpoint
from marlpipe.training.conditions import environment, numerics, session, warn_if_changed, warn_of_newer_code
from marlpipe.training.pipeline import fit

register_resolvers()


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """How a person asked for a run."""

    label: str  # of its arm, in figures and tables
    overrides: list[str]
    choices: dict[str, str]  # the option of each config group

    @classmethod
    def by_hydra(cls, hydra: Any) -> "RunRequest":
        """As Hydra's own config tells it."""
        chosen = {group: choice for group, choice in hydra.runtime.choices.items() if "/" not in group}
        return cls(label=arm_label(hydra), overrides=list(hydra.overrides.task), choices=chosen)


def train(config: DictConfig) -> None:
    """One run in Hydra's output folder."""
    hydra = HydraConfig.get()
    train_in(RunFolder(Path(hydra.runtime.output_dir)), config, RunRequest.by_hydra(hydra))


def train_in(folder: RunFolder, config: DictConfig, described: RunRequest) -> None:
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
            with os_errors_inside_as_user_errors(folder.path):
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
            folder.record_end("interrupted", str(error))
        case KeyboardInterrupt() | SystemExit():
            folder.record_end("interrupted", "stopped at once")
        case UserError():
            folder.record_end("failed", str(error))
        case _:
            folder.record_end("failed", f"{type(error).__name__}: {error}", traceback.format_exc())


def write_identity(
    folder: RunFolder, config: DictConfig, described: RunRequest, checkpoint: Checkpoint | None = None
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
        warn_if_changed(own, now, f"{described.label} seed {config.seed}")
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
