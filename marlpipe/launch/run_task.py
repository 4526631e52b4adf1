"""The task that all runs of a grid have in common, and where Hydra puts each of them."""

import os
import sys
from collections.abc import Sequence
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


class RunTask:
    """The function that trains a run, with what Hydra needs around it, for any process that has the same code.

    Raises:
        UserError: another process could not find the function.
    """

    def __init__(self, context: HydraContext, function: TaskFunction) -> None:
        module = sys.modules.get(function.__module__)
        if function.__module__ == "__main__" or getattr(module, function.__name__, None) is not function:
            raise UserError(
                f"this hydra/launcher cannot start {function.__module__}.{function.__name__} in a new process\n"
                "  Move the task function into a module of its own, without a decorator, or use hydra/launcher=basic."
            )
        self._module = function.__module__
        self._shared: bytes = cloudpickle.dumps((function, context, Singleton.get_state()))

    def call(self, config: DictConfig) -> bytes:
        """One run."""
        call: bytes = cloudpickle.dumps((self._shared, config))
        return call

    def preload(self, config: DictConfig) -> list[str]:
        """The modules that a run with this config needs."""
        run, last = run_process.__name__, "marlpipe.launch.preloaded"
        return [run, self._module, *sorted(modules_of(config)), last]


def job_folder(config: DictConfig) -> Path:
    """Where Hydra puts a job."""
    HydraConfig.instance().set_config(config)  # as Hydra does: the folder's name may ask for parts of it
    parent = OmegaConf.select(config, "hydra.sweep.dir")
    return Path(str(parent)).absolute() / str(OmegaConf.select(config, "hydra.sweep.subdir"))


def job_return(name: str, overrides: Sequence[str], value: float | int | None) -> JobReturn:
    """What Hydra wants to know of a job; how it ended is in its folder."""
    done = JobReturn(overrides=overrides, working_dir=os.getcwd(), task_name=name, status=JobStatus.COMPLETED)
    done.return_value = value
    return done


def modules_of(config: DictConfig) -> set[str]:
    """The modules of the classes and functions that a config names."""
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
