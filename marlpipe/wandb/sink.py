"""W&B as a sink of the run folder: without login, network or a working W&B, training continues."""

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
from marlpipe.wandb.own_settings import Mode, code_wanted, sent_record
from marlpipe.wandb.run import FINISH_TIMEOUT_S, INIT_TIMEOUT_S, open_run, warn

GROUPED_BY = ("algo", "env", "partition", "monotonicity", "profile")


@contextmanager
def wandb_sink(
    *,
    folder: RunFolder,
    config: dict[str, Any],
    project: str | None,
    entity: str | None,
    mode: Mode,
    tags: Sequence[str] | None,
    save_policy: bool,
    save_code: bool | None,
) -> Iterator[list[Sink]]:
    """logger=wandb: a W&B run named after the run folder, marked as failed if the run does not finish.

    W&B works in a background thread. At its end the run waits for it for at most INIT_TIMEOUT_S + FINISH_TIMEOUT_S.

    Args:
        folder: with its `run.json`.
        config: resolved.
        project, entity, mode, tags: as for `open_run`.
        save_policy: whether the best policy is saved as an artifact.
        save_code: whether W&B gets marlpipe's code as an artifact, and `code.diff`; None leaves it to W&B's variables.
    """
    record = read_json(folder.run)
    assert record is not None, "run.json is written before sinks are opened"
    send_code = code_wanted(save_code)
    choices = {group: record["choices"][group] for group in GROUPED_BY}

    def open_sink() -> WandbSink | None:
        run = open_run(
            folder=folder,
            project=project,
            entity=entity,
            mode=mode,
            tags=tags,
            send_code=send_code,
            group="-".join([*choices.values(), record["arm"]]),
            name=f"{record['label']} {choices['env']} seed {record['seed']}",
            config=config,
            comparison={
                **choices,
                **{key: record[key] for key in ("seed", "arm", "label")},
                **_code(sent_record(record)),
            },
        )
        return WandbSink(run=run, folder=folder, save_policy=save_policy, save_code=send_code) if run else None

    sink = BackgroundSink(open_sink, patience_s=INIT_TIMEOUT_S + FINISH_TIMEOUT_S)
    try:
        yield [sink]
    finally:
        if not sink.finish(exit_code=0 if sys.exc_info()[0] is None else 1):
            warn(f"W&B has not received all rows; send the rest later: python -m marlpipe sync {folder.path}")


class WandbSink:
    """Sends the rows and pictures of a run folder to a W&B run.

    After a failure of W&B, which is printed once, the sink does nothing; the run continues.

    Args:
        run: an open W&B run that writes into the folder.
        folder: the run folder.
        save_policy: as for `wandb_sink`.
        save_code: whether marlpipe's code is saved as an artifact.
    """

    def __init__(
        self, *, run: wandb.Run, folder: RunFolder, save_policy: bool = False, save_code: bool = False
    ) -> None:
        self.run, self.folder, self.save_policy = run, folder, save_policy
        self._own_variables = _keep_inside(folder)
        self._broken = False
        if save_code:
            # by default W&B leaves out every folder called wandb, of which marlpipe has one
            self._guarded(lambda: self.run.log_code(str(SOURCE), exclude_fn=lambda path, root: False))  # noqa: ARG005

    def log(self, row: Row, number: int) -> None:
        """Commits one row, which has `env_steps`, at once: otherwise W&B waits for the next one, and a kill loses it.

        The number of the row is W&B's `_step`. Rows that W&B had when the run was opened are skipped, since it would
        warn about each. Rows of evaluations include their pictures.
        """
        if number >= self.run.starting_step:
            self._guarded(lambda: self.run.log({**row, **self._pictures(row)}, step=number, commit=True))

    def finish(self, exit_code: int = 0) -> None:
        """Sends the summary and the remaining rows; an exit code other than 0 marks the run as failed."""
        self._guarded(self._send_summary)
        self._broken = False  # closing the run may work although an earlier call failed
        self._guarded(lambda: self.run.finish(exit_code=exit_code))
        for variable in self._own_variables:
            os.environ.pop(variable, None)

    def _send_summary(self) -> None:
        values = summary(self.folder.read_metrics())
        self.run.summary.update(values)
        if self.save_policy and self.folder.best_policy.exists():
            policy = wandb.Artifact(f"policy-{self.run.id}", type="model", metadata=values)
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
        except Exception as error:  # whatever W&B raises: the run folder has all that is sent here
            self._broken = True
            warn(f"W&B stopped working, the run continues without it: {error}")


def _code(record: dict[str, Any]) -> dict[str, Any]:
    git = record.get("git") or {}
    return {"commit": git.get("commit"), "marlpipe": record["versions"]["marlpipe"]}


def _shown(file: Path) -> wandb.Image | wandb.Video:
    return wandb.Image(str(file)) if file.suffix == ".png" else wandb.Video(str(file), format="gif")


def _keep_inside(folder: RunFolder) -> list[str]:
    """Makes W&B stage artifacts in the run folder instead of the home directory; returns the variables it has set.

    W&B reads these variables when it writes an artifact. If they were set before `init`, W&B would warn a second run
    in the process that its environment has changed.
    """
    inside = {
        "WANDB_DATA_DIR": folder.wandb / "data",
        "WANDB_CACHE_DIR": folder.wandb / "cache",
        "WANDB_ARTIFACT_DIR": folder.wandb / "artifacts",
    }
    own = [variable for variable in inside if variable not in os.environ]
    os.environ.update({variable: str(inside[variable].absolute()) for variable in own})
    return own
