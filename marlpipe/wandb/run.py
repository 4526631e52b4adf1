"""Opens the W&B run of a run folder: online, offline, or not at all; a failure of W&B never stops the run."""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import wandb

from marlpipe.runs.files import read_json, write_json, write_text
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.path import short_name
from marlpipe.wandb.own_settings import (
    Mode,
    chosen_project,
    chosen_tags,
    disabled_by,
    not_obeyed,
    sent_record,
    settings,
)
from marlpipe.wandb.private_api import has_login, run_settings

PREFIXES = ("train/", "eval/", "rollout/", "time/", "pictures/")  # of the metrics that are drawn over env steps
FLUSH_S = 1.0  # W&B's default of 15 s loses everything of a run that is killed within them
INIT_TIMEOUT_S = 30.0
FINISH_TIMEOUT_S = 60.0  # a node without network must not wait forever; the data is in the folder


def open_run(
    *,
    folder: RunFolder,
    project: str | None,
    group: str,
    name: str,
    config: Mapping[str, Any],
    comparison: Mapping[str, str | int | float | bool | None],
    entity: str | None = None,
    job_type: str = "train",
    tags: Sequence[str] | None = None,
    mode: Mode = "auto",
    send_code: bool = False,
    prefixes: Sequence[str] = PREFIXES,
) -> wandb.Run | None:
    """Opens or resumes the W&B run of a run folder; W&B writes all its files into that folder.

    Args:
        folder: an existing run folder. The W&B id is made once and kept in it.
        project, entity, tags: as in wandb.init; None leaves them to W&B's own settings.
        group, name, job_type: as in wandb.init, unless W&B's own settings have others.
        config: the resolved config as plain nested dictionaries. W&B shows it under the key "config", so that its
            groups do not clash with the keys of `comparison`.
        comparison: flat keys to group and filter by, such as algo, env, partition, monotonicity, seed.
        mode: "auto" is online where the user is logged in, offline otherwise, and respects WANDB_MODE and
            WANDB_DISABLED.
        send_code: whether `code.diff` is among the run's files.
        prefixes: of metric names; none may be a prefix of another, since W&B would choose one at random.

    Returns:
        None where W&B is disabled, or where not even an offline run can be opened; a warning is printed then.

    Raises:
        ValueError: one prefix is a prefix of another.
    """
    if any(a.startswith(b) for i, a in enumerate(prefixes) for j, b in enumerate(prefixes) if i != j) or "" in prefixes:
        raise ValueError(f"the prefixes {list(prefixes)} overlap")
    try:
        chosen, theirs = _mode(mode), settings()
        project, tags = chosen_project(project), chosen_tags(tags)
    except Exception as error:  # whatever W&B raises for its own settings
        warn(f"continuing without W&B, whose settings cannot be read: {error}")
        return None
    if chosen == "disabled":
        return None
    if (ignored := not_obeyed(os.environ)) is not None:
        warn(ignored)
    for attempt in dict.fromkeys((chosen, "offline")):
        try:
            run = wandb.init(
                project=project,
                entity=entity,
                dir=str(folder.path),
                id=_run_id(folder),
                resume="allow",
                reinit="create_new",  # several runs in one process are separate
                mode=attempt,
                group=theirs.run_group or group,
                job_type=theirs.run_job_type or job_type,
                name=theirs.run_name or name,
                tags=tags,
                config={"config": dict(config), **comparison},
                settings=run_settings(
                    FLUSH_S,
                    console="off",
                    silent=True,  # the line printed below is enough
                    save_code=False,  # an account or a variable would let W&B send the script and a diff by itself
                    disable_git=True,  # of the repository around the run folder, which may be anyone's
                    init_timeout=INIT_TIMEOUT_S,
                    # after it W&B drops what is not yet written, offline too, where only the disk is waited for
                    finish_timeout=FINISH_TIMEOUT_S if attempt == "online" else 0.0,
                ),
            )
            run.define_metric("env_steps")
            for prefix in prefixes:
                run.define_metric(f"{prefix}*", step_metric="env_steps")
            _save_record(run, folder, send_code)
            if not theirs.silent:
                print(f"W&B {attempt}: {run.url if attempt == 'online' else folder.wandb}")
            return run
        except Exception as error:  # no network, login or disk space: training goes on
            warn(f"W&B cannot start {attempt}: {error}")
            wandb.teardown()  # W&B's service process would refuse the id of a failed start
    warn("continuing without W&B")
    return None


def logged_in() -> bool:
    """Whether W&B finds an API key or a token (environment, netrc, its settings), without a request to its server."""
    try:
        return has_login(settings().base_url)
    except Exception as error:  # such as a malformed key
        warn(f"W&B's login cannot be used: {error}")
        return False


def _mode(mode: Mode) -> Literal["online", "offline", "disabled"]:
    if mode != "auto":
        return mode
    if disabled_by() is not None:
        return "disabled"
    wanted = os.environ.get("WANDB_MODE") or settings().mode
    if wanted == "disabled":
        return "disabled"
    if wanted in ("offline", "dryrun"):
        return "offline"
    return "online" if logged_in() else "offline"


def _run_id(folder: RunFolder) -> str:
    """A readable id with a random part: a run that is deleted and repeated must not continue the old one."""
    if not folder.wandb_id.exists():
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", short_name(folder.path.resolve())).strip("-")[:80]
        write_text(folder.wandb_id, f"{readable}-{secrets.token_hex(4)}\n")
    return folder.wandb_id.read_text(encoding="utf-8").strip()


def _save_record(run: wandb.Run, folder: RunFolder, send_code: bool) -> None:
    """Saves config and provenance, and uncommitted changes where code is sent, as files of the W&B run.

    They are copied into W&B's folder first: its links would dangle once the run folder is copied elsewhere.
    """
    own = Path(run.dir) / "marlpipe"
    own.mkdir(parents=True, exist_ok=True)
    for file in (folder.config, *([folder.code_diff] if send_code else [])):
        if file.exists():
            shutil.copy(file, own)
    if (record := read_json(folder.run)) is not None:
        write_json(own / folder.run.name, sent_record(record))
    for file in sorted(own.iterdir()):
        run.save(str(file), base_path=run.dir, policy="now")


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


NAME = re.compile(r"[^\s/\\#?%:,]{1,128}")  # of projects, entities and run ids, as W&B's server accepts them
