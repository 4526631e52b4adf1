"""Where rows of metrics go beside the run folder."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from marlpipe.records.files import read_json
from marlpipe.records.folder import RunFolder
from marlpipe.records.wandb import Mode, open_wandb


@runtime_checkable
class Sink(Protocol):
    """Takes rows of metrics, each with its `env_steps`."""

    def log(self, row: dict[str, Any]) -> None: ...


@contextmanager
def no_sinks(*, folder: RunFolder, config: dict[str, Any]) -> Iterator[list[Sink]]:
    """logger=none: nowhere."""
    del folder, config
    yield []


@contextmanager
def wandb_sink(
    *, folder: RunFolder, config: dict[str, Any], project: str, entity: str | None, mode: Mode, tags: Sequence[str]
) -> Iterator[list[Sink]]:
    """logger=wandb: a W&B run named after the run folder, marked as failed if the run does not finish."""
    told = read_json(folder.run) or {}
    choices = told["choices"]
    comparison = {name: choices[name] for name in ("algo", "env", "partition", "monotonicity", "profile")}
    sink = open_wandb(
        folder=folder,
        project=project,
        entity=entity,
        mode=mode,
        tags=tags,
        group="-".join([*comparison.values(), told["arm"]]),
        name=f"{told['label']} {choices['env']} seed {told['seed']}",
        config=config,
        comparison={**comparison, "seed": told["seed"], "arm": told["arm"], "label": told["label"]},
    )
    if sink is None:
        yield []
        return
    try:
        yield [sink]
    finally:
        sink.finish(exit_code=0 if sys.exc_info()[0] is None else 1)
