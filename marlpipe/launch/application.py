"""From what Hydra hands to a launcher to what a run's process is told."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from marlpipe.errors import UserError
from marlpipe.launch import run_process


@dataclass(frozen=True, kw_only=True)
class Application:
    """What all runs of a grid have in common."""

    context: HydraContext
    task: TaskFunction

    def call(self, config: DictConfig) -> bytes:
        """One run, for any process that has the same code."""
        call: bytes = cloudpickle.dumps((self.task, config, self.context, Singleton.get_state()))
        return call

    def preload(self, config: DictConfig) -> list[str]:
        """The modules that its runs need."""
        run, last = run_process.__name__, "marlpipe.launch.preloaded"
        return [run, self.task.__module__, *sorted(_modules(config)), last]

    def check_importable(self) -> None:
        """UserError for a task function that another process could not find."""
        module = sys.modules.get(self.task.__module__)
        if self.task.__module__ == "__main__" or getattr(module, self.task.__name__, None) is not self.task:
            raise UserError(
                f"this hydra/launcher cannot start {self.task.__module__}.{self.task.__name__} in a new process\n"
                "  Move the task function into a module of its own, without a decorator, or use hydra/launcher=basic."
            )


def job_folder(config: DictConfig) -> Path:
    """Where Hydra will put a job."""
    state = HydraConfig.instance()
    before = state.cfg
    try:
        state.set_config(config)  # the folder's name may ask for parts of it
        parent = OmegaConf.select(config, "hydra.sweep.dir")
        return Path(str(parent)).absolute() / str(OmegaConf.select(config, "hydra.sweep.subdir"))
    finally:
        state.cfg = before


def job_return(name: str, overrides: Sequence[str], value: float | int | None) -> JobReturn:
    """What Hydra wants to know of a job; how it ended is in its folder."""
    done = JobReturn(overrides=overrides, working_dir=os.getcwd(), task_name=name, status=JobStatus.COMPLETED)
    done.return_value = value
    return done


def _modules(config: DictConfig) -> set[str]:
    """Where the classes and functions lie that a config names."""
    found: set[str] = set()
    nodes: list[Any] = [OmegaConf.to_container(config)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            found |= {str(node["_target_"]).rpartition(".")[0]} if "_target_" in node else set()
            nodes += [part for key, part in node.items() if key != "hydra"]
        elif isinstance(node, list):
            nodes += node
    return found
