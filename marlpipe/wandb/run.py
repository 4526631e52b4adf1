"""Opens the W&B run of a run folder: online, offline, or not at all, and never in the way of the run."""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import wandb
from wandb.sdk.lib.wbauth import authenticate_session

from marlpipe.runs.files import write_text
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.path import short_name

Mode = Literal["auto", "online", "offline", "disabled"]

PREFIXES = ("train/", "eval/", "rollout/", "time/", "pictures/")  # of the metrics that are drawn over env steps
FLUSH_S = 1.0  # W&B's own 15 s lose all of a run that is killed within them
INIT_TIMEOUT_S = 30.0
FINISH_TIMEOUT_S = 60.0  # a node that lost its network must not wait for ever; the data is in the folder


def open_run(
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
) -> wandb.Run | None:
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
    try:
        chosen = _mode(mode)
    except Exception as error:  # W&B's own settings, which may say anything
        warn(f"going on without W&B, which cannot say how it is set up: {error}")
        return None
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
            _save_record(run, folder)
            print(f"W&B {attempt}: {run.url if attempt == 'online' else folder.wandb}")
            return run
        except Exception as error:  # no network, no login, no disk: none of them is worth a run
            warn(f"W&B cannot start {attempt}: {error}")
            wandb.teardown()  # its service keeps the id of a failed start, and would refuse it to the next attempt
    warn("going on without W&B")
    return None


def logged_in() -> bool:
    """Whether W&B finds an API key or a token (environment, netrc, its own settings), without asking the network."""
    try:
        host = wandb.setup().settings.base_url
        return authenticate_session(host=host, source="marlpipe", prompt=False, update_session=False) is not None
    except Exception as error:  # a key that is malformed
        warn(f"W&B's login cannot be used: {error}")
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
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", short_name(folder.path.resolve())).strip("-")[:80]
        write_text(folder.wandb_id, f"{readable}-{secrets.token_hex(4)}\n")
    return folder.wandb_id.read_text(encoding="utf-8").strip()


def _save_record(run: wandb.Run, folder: RunFolder) -> None:
    """Config, provenance and what the code had beyond its commit, as files of the W&B run.

    Copies below W&B's own folder: its links would lead nowhere once the run folder is copied elsewhere.
    """
    own = Path(run.dir) / "marlpipe"
    own.mkdir(parents=True, exist_ok=True)
    for file in (folder.config, folder.run, folder.code_diff):
        if file.exists():
            run.save(str(shutil.copy(file, own)), base_path=run.dir, policy="now")


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


NAME = re.compile(r"[^\s/\\#?%:,]{1,128}")  # W&B's own rule
