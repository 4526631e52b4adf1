"""W&B as a sink of the run folder: it may be missing, logged out or broken, and the run goes on."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from marlpipe.runs.curve import summary
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import EVAL_RETURN, Row
from marlpipe.runs.provenance import SOURCE
from marlpipe.runs.sinks import BackgroundSink, Sink
from marlpipe.wandb.run import FINISH_TIMEOUT_S, INIT_TIMEOUT_S, Mode, open_run, warn

GROUPED_BY = ("algo", "env", "partition", "monotonicity", "profile")


@contextmanager
def wandb_sink(
    *,
    folder: RunFolder,
    config: dict[str, Any],
    project: str,
    entity: str | None,
    mode: Mode,
    tags: Sequence[str],
    save_policy: bool,
    save_code: bool,
) -> Iterator[list[Sink]]:
    """logger=wandb: a W&B run named after the run folder, marked as failed if the run does not finish.

    Nobody waits for W&B while the run trains. At the end the run waits for `INIT_TIMEOUT_S + FINISH_TIMEOUT_S` at most.

    Args:
        folder: with its `run.json`.
        config: resolved.
        project, entity, mode, tags: as `open_run` has them.
        save_policy: whether the best policy becomes an artifact.
        save_code: whether marlpipe's code becomes one. The commit, and what differs from it, is saved anyway.
    """
    told = read_json(folder.run)
    assert told is not None, "a run says who it is before it says how it does"
    choices = {group: told["choices"][group] for group in GROUPED_BY}

    def open_sink() -> WandbSink | None:
        run = open_run(
            folder=folder,
            project=project,
            entity=entity,
            mode=mode,
            tags=tags,
            group="-".join([*choices.values(), told["arm"]]),
            name=f"{told['label']} {choices['env']} seed {told['seed']}",
            config=config,
            comparison={**choices, **{key: told[key] for key in ("seed", "arm", "label")}, **_code(told)},
        )
        return WandbSink(run=run, folder=folder, save_policy=save_policy, save_code=save_code) if run else None

    sink = BackgroundSink(open_sink, patience_s=INIT_TIMEOUT_S + FINISH_TIMEOUT_S)
    try:
        yield [sink]
    finally:
        if not sink.finish(exit_code=0 if sys.exc_info()[0] is None else 1):
            warn(f"W&B has not received all rows; send the rest later: python -m marlpipe sync {folder.path}")


class WandbSink:
    """A W&B run that takes the rows and the pictures of a run folder.

    A failure of W&B is told once and then costs the sink, not the run.

    Args:
        run: open, with all that it writes in the folder.
        folder: what it is to show.
        save_policy, save_code: as `wandb_sink` has them.
    """

    def __init__(
        self, *, run: wandb.Run, folder: RunFolder, save_policy: bool = False, save_code: bool = False
    ) -> None:
        self.run, self.folder, self.save_policy = run, folder, save_policy
        self._own_variables = _keep_inside(folder)
        self._broken = False
        if save_code:
            self._guarded(lambda: self.run.log_code(str(SOURCE)))

    def log(self, row: Row, number: int) -> None:
        """Sends one row, which holds `env_steps`, now: W&B would wait for the next one, which a killed run never has.

        Its number is W&B's `_step`. Those that W&B had when the run was opened are passed over, for it would warn of
        each. An evaluation takes its pictures along.
        """
        if number >= self.run.starting_step:
            self._guarded(lambda: self.run.log({**row, **self._pictures(row)}, step=number, commit=True))

    def finish(self, exit_code: int = 0) -> None:
        """Sends what the run has come to, and what is left; anything but 0 marks the run as failed."""
        self._guarded(self._conclude)
        self._broken = False  # it is to end as well as it can
        self._guarded(lambda: self.run.finish(exit_code=exit_code))
        for variable in self._own_variables:
            os.environ.pop(variable, None)

    def _conclude(self) -> None:
        come_to = summary(self.folder.read_metrics())
        self.run.summary.update(come_to)
        if self.save_policy and self.folder.best_policy.exists():
            policy = wandb.Artifact(f"policy-{self.run.id}", type="model", metadata=come_to)
            policy.add_file(str(self.folder.best_policy))
            self.run.log_artifact(policy, aliases=["best"])

    def _pictures(self, row: Row) -> dict[str, Any]:
        found = self.folder.pictures_at(int(row["env_steps"])) if EVAL_RETURN in row else []
        return {f"pictures/{file.stem.rpartition('_')[0]}": _shown(file) for file in found}

    def _guarded(self, act: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            act()
        except Exception as error:  # whatever W&B raises: the run's own files have all that is sent here
            self._broken = True
            warn(f"W&B stopped working, the run goes on without it: {error}")


def _code(told: dict[str, Any]) -> dict[str, Any]:
    git = told.get("git") or {}
    return {"commit": git.get("commit"), "marlpipe": told["versions"]["marlpipe"]}


def _shown(file: Path) -> wandb.Image | wandb.Video:
    return wandb.Image(str(file)) if file.suffix == ".png" else wandb.Video(str(file), format="gif")


def _keep_inside(folder: RunFolder) -> list[str]:
    """W&B stages artifacts in the home directory, which is not the disk the run folder is copied from.

    It reads these variables when it writes an artifact; set before `init`, a second run in the process is warned that
    its environment has changed.
    """
    inside = {
        "WANDB_DATA_DIR": folder.wandb / "data",
        "WANDB_CACHE_DIR": folder.wandb / "cache",
        "WANDB_ARTIFACT_DIR": folder.wandb / "artifacts",
    }
    own = [variable for variable in inside if variable not in os.environ]
    os.environ.update({variable: str(inside[variable].absolute()) for variable in own})
    return own
