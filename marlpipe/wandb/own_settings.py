"""W&B's own settings, from its environment variables and files: they decide what a run's config leaves open."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import wandb

from marlpipe.errors import UserError

Mode = Literal["auto", "online", "offline", "disabled"]

PROJECT = "marlpipe"  # where nobody names one
NO = {"", "0", "f", "false", "n", "no", "off"}  # values of a variable that is off
# variables of W&B that cannot decide, with the reason; some only with another value than one
NOT_OBEYED = {
    "WANDB_RUN_ID": "a run has an id of its own, in wandb_id.txt",
    "WANDB_RESUME": "a run resumes by itself",
    "WANDB_RESUME_FROM": "a run resumes by itself",
    "WANDB_FORK_FROM": "a run resumes by itself",
    "WANDB_DIR": "records are in the run's folder",
    "WANDB_CONSOLE": "the output is not sent",
    "WANDB_PROGRAM": "the command is in run.json",
    "WANDB_CODE_DIR": "code is what logger.save_code sends",
    "WANDB_GIT_COMMIT": "the commit is marlpipe's",
    "WANDB_GIT_REMOTE_URL": "no remote is sent",
    "WANDB_GIT_ROOT": "the commit is marlpipe's",
    "WANDB_INIT_TIMEOUT": "training waits for W&B for a fixed time",
    "WANDB_FINISH_TIMEOUT": "training waits for W&B for a fixed time",
}
OBEYED_VALUES = {"WANDB_CONSOLE": "off"}


def is_on(variable: str) -> bool:
    """Whether a variable is set, to anything that does not mean no."""
    return os.environ.get(variable, "").strip().lower() not in NO


def settings() -> wandb.Settings:
    """W&B's settings, with those of its variables and files. Raises whatever W&B raises for a wrong one."""
    return wandb.setup().settings


def not_obeyed(environment: Mapping[str, str]) -> str | None:
    """One line on the variables of W&B that are set and change nothing; None without any."""
    names = [name for name in NOT_OBEYED if environment.get(name, "") not in ("", OBEYED_VALUES.get(name))]
    if not names:
        return None
    return "not obeyed: " + ", ".join(f"{name} ({NOT_OBEYED[name]})" for name in names)


def chosen_project(project: str | None) -> str:
    """The project of a config, else W&B's own choice."""
    return project or settings().project or PROJECT


def chosen_tags(tags: Sequence[str] | None) -> list[str]:
    """The tags of a config, which may be none, else W&B's own choice."""
    return list(settings().run_tags or ()) if tags is None else list(tags)


def disabled_by() -> str | None:
    """The variable that switches W&B off, as it is set; None where none does."""
    if is_on("WANDB_DISABLED"):
        return f"WANDB_DISABLED={os.environ['WANDB_DISABLED']}"
    return "WANDB_MODE=disabled" if os.environ.get("WANDB_MODE") == "disabled" else None


def check_not_disabled() -> None:
    """UserError where the user has switched W&B off."""
    if (reason := disabled_by()) is not None:
        raise UserError(f"{reason} switches W&B off: nothing was sent.\n  next: unset {reason.partition('=')[0]}")


def code_wanted(save_code: bool | None) -> bool:
    """Whether W&B gets code: as the config says, else as W&B's variables do, and without either not."""
    if save_code is not None:
        return save_code
    return is_on("WANDB_SAVE_CODE") and not is_on("WANDB_DISABLE_CODE")


def sent_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's `run.json` as W&B gets it: without what git says and with another host's name where W&B is to be so."""
    sent = dict(record)
    sessions = [dict(session) for session in record.get("sessions", [])]
    if is_on("WANDB_DISABLE_GIT"):
        sent |= {"git": None, "git_error": "WANDB_DISABLE_GIT", "users_code": {}}
        sessions = [{**session, "commit": None, "diff": None} for session in sessions]
    if host := os.environ.get("WANDB_HOST"):
        sent["hardware"] = {**record.get("hardware", {}), "host": host}
        sessions = [{**session, "host": host} for session in sessions]
    return {**sent, "sessions": sessions}
