"""W&B as a sink of the run folder: it may be missing, logged out or broken, and the run goes on."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import wandb
from wandb.sdk.lib.wbauth import authenticate_session

from marlpipe.records.files import read_json, write_text
from marlpipe.records.folder import RunFolder
from marlpipe.records.metrics import Row
from marlpipe.records.sinks import Sink

Mode = Literal["auto", "online", "offline", "disabled"]

PREFIXES = ("train/", "eval/", "rollout/", "time/")  # of the metrics that are drawn over env steps
FLUSH_S = 1.0  # W&B's own 15 s lose all of a run that is killed within them
INIT_TIMEOUT_S = 30.0
FINISH_TIMEOUT_S = 120.0  # a node that lost its network must not wait for ever; the data is in the folder


class WandbSink:
    """A W&B run that takes rows. A failure of W&B is told once and then costs the sink, not the run."""

    def __init__(self, *, run: wandb.Run, own_variables: Sequence[str] = ()) -> None:
        self.run = run
        self._own_variables = own_variables
        self._broken = False

    def log(self, row: Row, number: int) -> None:
        """Sends one row, which holds `env_steps`, now: W&B would wait for the next one, which a killed run never has.

        Its number is W&B's `_step`: a row that W&B has, it passes over.
        """
        if not self._broken:
            self._guarded(lambda: self.run.log(dict(row), step=number, commit=True))

    def summary(self, values: Mapping[str, Any]) -> None:
        """Sets the columns that the run has in W&B's table of runs."""
        if not self._broken:
            self._guarded(lambda: self.run.summary.update(dict(values)))

    def finish(self, exit_code: int = 0) -> None:
        """Sends what is left; anything but 0 marks the run as failed."""
        self._guarded(lambda: self.run.finish(exit_code=exit_code))
        for variable in self._own_variables:
            os.environ.pop(variable, None)

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # whatever W&B raises: the run's own files have all that is sent here
            self._broken = True
            _warn(f"W&B stopped working, the run goes on without it: {error}")


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


def open_wandb(
    *,
    folder: RunFolder,
    project: str,
    group: str,
    name: str,
    config: Mapping[str, Any],
    comparison: Mapping[str, str | int | float | bool | None],
    entity: str | None = None,
    job_type: str = "train",
    tags: Sequence[str] = (),
    mode: Mode = "auto",
    prefixes: Sequence[str] = PREFIXES,
) -> WandbSink | None:
    """Opens, or resumes, the W&B run that belongs to a run folder; everything it writes lies in that folder.

    Args:
        folder: an existing run folder. The W&B id is made once and kept in it.
        project, group, name, entity, job_type, tags: as W&B calls them.
        config: the resolved config as plain nested dictionaries. It appears in W&B under the key "config", where its
            groups cannot clash with the keys below.
        comparison: flat keys to group and filter by, such as algo, env, partition, monotonicity, seed.
        mode: "auto" goes online where the user is logged in, offline elsewhere, and obeys WANDB_MODE.
        prefixes: of metric names; none may begin another, since W&B then picks one at random.

    Returns:
        None where W&B is disabled, or where not even an offline run could be opened, which is then printed.
    """
    if any(a.startswith(b) for i, a in enumerate(prefixes) for j, b in enumerate(prefixes) if i != j) or "" in prefixes:
        raise ValueError(f"the prefixes {list(prefixes)} overlap")
    chosen = _mode(mode)
    if chosen == "disabled":
        return None
    for attempt in dict.fromkeys((chosen, "offline")):
        try:
            run = wandb.init(
                project=project,
                entity=entity,
                dir=str(folder.path),
                id=_run_id(folder),
                resume="allow",
                reinit="create_new",  # of several runs in a process, each is its own
                mode=attempt,
                group=group,
                job_type=job_type,
                name=name,
                tags=list(tags),
                config={"config": dict(config), **comparison},
                settings=wandb.Settings(
                    console="off",
                    silent=True,  # one line of our own says where the data is
                    init_timeout=INIT_TIMEOUT_S,
                    finish_timeout=FINISH_TIMEOUT_S,
                    x_transaction_log_flush_interval=FLUSH_S,
                ),
            )
            run.define_metric("env_steps")
            for prefix in prefixes:
                run.define_metric(f"{prefix}*", step_metric="env_steps")
            print(f"W&B {attempt}: {run.url if attempt == 'online' else folder.wandb}")
            return WandbSink(run=run, own_variables=_keep_inside(folder))
        except Exception as error:  # no network, no login, no disk: none of them is worth a run
            _warn(f"W&B cannot start {attempt}: {error}")
            wandb.teardown()  # its service keeps the id of a failed start, and would refuse it to the next attempt
    _warn("going on without W&B")
    return None


def logged_in() -> bool:
    """Whether W&B finds an API key or a token (environment, netrc, its own settings), without asking the network."""
    try:
        host = wandb.setup().settings.base_url
        return authenticate_session(host=host, source="marlpipe", prompt=False, update_session=False) is not None
    except Exception as error:  # a key that is malformed
        _warn(f"W&B's login cannot be used: {error}")
        return False


def _mode(mode: Mode) -> Literal["online", "offline", "disabled"]:
    if mode != "auto":
        return mode
    wanted = os.environ.get("WANDB_MODE") or wandb.setup().settings.mode
    if wanted == "disabled":
        return "disabled"
    if wanted in ("offline", "dryrun"):
        return "offline"
    return "online" if logged_in() else "offline"


def _run_id(folder: RunFolder) -> str:
    """Readable, and new for a folder that is new: a deleted and repeated run must not continue the old one."""
    if not folder.wandb_id.exists():
        parts = folder.path.resolve().parts[-3:]
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(parts)).strip("-")[:80]
        write_text(folder.wandb_id, f"{readable}-{secrets.token_hex(4)}\n")
    return folder.wandb_id.read_text(encoding="utf-8").strip()


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


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
