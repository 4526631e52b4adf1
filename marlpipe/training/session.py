"""One session of a run: lock, status, checkpoint to resume from, identity, and how the session ended."""

import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.build import build_part
from marlpipe.config.naming import arm_hash, arm_label, overrides_of, register_resolvers
from marlpipe.errors import Interrupted, UserError, WorldError
from marlpipe.runs.files import os_errors_inside_as_user_errors, read_json, write_json, write_text
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.lock import FolderLock
from marlpipe.runs.provenance import provenance, users_code, write_code_diff
from marlpipe.runs.slurm import current_job
from marlpipe.training.allocator import memory_errors_as_user_errors
from marlpipe.training.checkpoints import Checkpoint, check_same_run, checkpoint_header, newest_checkpoint
from marlpipe.training.conditions import environment, numerics, session_entry, warn_if_changed, warn_of_newer_code
from marlpipe.training.own_code import users_configs, users_modules
from marlpipe.training.pipeline import fit

register_resolvers()


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The command that asked for a run, as far as `run.json` keeps it."""

    arm: str  # hash of the config without the seed
    label: str  # of the run's arm, in figures and tables
    overrides: list[str]
    choices: dict[str, str]  # the chosen option of each config group
    configs: tuple[Path, ...] = ()  # YAML files of the user's own among the options

    @classmethod
    def by_hydra(cls, config: DictConfig, hydra: Any) -> "RunRequest":
        """The request for a config, in Hydra's own config."""
        chosen = {group: choice for group, choice in hydra.runtime.choices.items() if "/" not in group}
        overrides = overrides_of(hydra, "task")
        configs = tuple(users_configs(hydra))
        return cls(arm=arm_hash(config), label=arm_label(hydra), overrides=overrides, choices=chosen, configs=configs)


def train(config: DictConfig) -> None:
    """Trains one run in Hydra's output folder. Errors as `train_in`."""
    hydra = HydraConfig.get()
    train_in(RunFolder(Path(hydra.runtime.output_dir)), config, RunRequest.by_hydra(config, hydra))


def train_in(folder: RunFolder, config: DictConfig, request: RunRequest) -> None:
    """Trains or resumes the run in a folder, and records the outcome in its status file. A finished run stays as it is.

    Raises:
        FolderInUse: another process trains there.
        UserError: the folder holds another run, or training met an error that the user can mend; the status file has
            the latter too.
        KeyboardInterrupt: the run was asked to stop; the same command resumes it.
    """
    folder.create()
    check_enclosed(folder.path)
    check_same_run(folder, config, request.arm)
    if is_done(folder):
        return
    with FolderLock(folder.lock) as lock:
        if is_done(folder):  # by the process that held the lock until now
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
            with os_errors_inside_as_user_errors(folder.path), memory_errors_as_user_errors():
                header = checkpoint_header(request.arm, config.seed)
                checkpoint = newest_checkpoint(folder, header)
                write_identity(folder, config, request, checkpoint)
                plain = OmegaConf.to_container(config, resolve=True)
                with build_part(config, "logger", folder=folder, config=plain) as sinks:
                    fit(config, folder, lock, sinks, request.label, header, checkpoint)
        except BaseException as error:
            if not lock.lost:  # a lost lock: another process writes the status
                record_outcome(folder, error)
            if isinstance(error, Interrupted | KeyboardInterrupt | SystemExit):  # Lightning turns one into another
                raise KeyboardInterrupt from error
            raise
        folder.update_status(state="finished", eta_s=0.0)
        unfinished = folder.checkpoints.glob("*.partial")
        for file in (folder.last_checkpoint, folder.previous_checkpoint, *unfinished):  # each as large as the replay
            file.unlink(missing_ok=True)


def is_done(folder: RunFolder) -> bool:
    """Whether the run has finished; prints a message if so."""
    done = folder.status.state == "finished"
    if done:
        print(f"{folder.path}: finished already, nothing to do", file=sys.stderr)
    return done


def record_outcome(folder: RunFolder, error: BaseException) -> None:
    """Writes into the status file why the session ended early."""
    match error:
        case Interrupted():
            folder.record_end("interrupted", str(error))
        case KeyboardInterrupt() | SystemExit():
            folder.record_end("interrupted", "stopped at once")
        case WorldError():
            folder.record_end("failed", str(error), traceback.format_exc())
        case UserError():
            folder.record_end("failed", str(error))
        case _:
            folder.record_end("failed", f"{type(error).__name__}: {error}", traceback.format_exc())


def write_identity(
    folder: RunFolder, config: DictConfig, request: RunRequest, checkpoint: Checkpoint | None = None
) -> None:
    """Writes config.yaml and run.json.

    On resume, the first session's provenance is kept, and an entry for this session is appended to `sessions`.

    Args:
        folder: of the run.
        config: resolved.
        request: the command.
        checkpoint: None where the run starts anew, with the provenance of this session.

    Raises:
        UserError: run.json cannot be read, or the disk refuses.
    """
    earlier = read_json(folder.run) or {}
    files = (*users_modules(config), *request.configs)
    now = {
        **provenance(),
        "users_code": users_code(files),
        "environment": environment(config),
        "numerics": numerics(config),
    }
    warn_of_newer_code(read_json(folder.submission) or {}, now, folder.path)
    if checkpoint is None:
        own, from_env_steps = now, 0
        write_code_diff(folder.code_diff, files)
    else:
        own, from_env_steps = {key: earlier.get(key, now[key]) for key in now}, checkpoint.env_steps
        warn_if_changed(own, now, f"{request.label} seed {config.seed}")
    write_text(folder.config, OmegaConf.to_yaml(config, resolve=True))
    write_json(
        folder.run,
        {
            **own,
            "overrides": request.overrides,
            "choices": request.choices,
            "seed": config.seed,
            "arm": request.arm,
            "label": request.label,
            "total_env_steps": config.env_steps,
            "sessions": [*earlier.get("sessions", []), session_entry(own, now, from_env_steps)],
        },
    )
