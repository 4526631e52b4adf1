"""What the config of a run says about W&B, in a folder that may be anyone's."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from marlpipe.analysis.run_config import read_config
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.wandb.own_settings import is_on


def stored_logger(folder: RunFolder) -> Mapping[str, Any]:
    """The part `logger` of a run's config; nothing of a config that cannot be read, or has no such part."""
    with suppress(UserError):
        logger = read_config(folder).get("logger")
        if isinstance(logger, dict):
            return logger
    return {}


def is_open(logger: Mapping[str, Any], key: str) -> bool:
    """Whether the config leaves a value to W&B's own settings."""
    return key in logger and logger[key] is None


def code_may_be_sent(folder: RunFolder) -> bool:
    """Whether code that W&B recorded of a run may still be sent: its config does not forbid that, nor a variable now.

    Runs of earlier versions recorded code in spite of `save_code: false`.
    """
    logger = stored_logger(folder)
    return logger.get("save_code", False) is not False and not (
        is_open(logger, "save_code") and is_on("WANDB_DISABLE_CODE")
    )
