"""Which project of W&B runs are in: typed, or as the config of a run says."""

from dataclasses import dataclass

import yaml  # type: ignore[import-untyped]

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.wandb.run import NAME

LARGEST_CONFIG = 100_000  # letters
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where PyYAML was built with it


@dataclass(frozen=True, order=True)
class Destination:
    """entity: the team or person; None: whoever is logged in."""

    project: str
    entity: str | None = None

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}" if self.entity else self.project


def typed(text: str) -> Destination:
    """From `project` or `entity/project`. UserError for anything else."""
    *entity, project = text.split("/")
    if len(entity) > 1 or not all(map(NAME.fullmatch, (project, *entity))):
        raise UserError(
            f"there is no folder {text}, and it cannot be the name of a project.\n"
            "  valid: a folder of runs, such as multirun/; project; entity/project"
        )
    return Destination(project, *entity)


def destination(folder: RunFolder) -> Destination | None:
    """What `logger` says in the config of a run; None of a run that W&B did not record.

    Raises:
        UserError: the config cannot be read, or names what cannot be a project.
    """
    with (
        os_errors_as_user_errors("read", folder.config),
        folder.config.open(encoding="utf-8", errors="replace") as file,
    ):
        text = file.read(LARGEST_CONFIG + 1)
    if len(text) > LARGEST_CONFIG:
        raise UserError(f"{folder.config} is longer than {LARGEST_CONFIG:,} letters.")
    try:
        config = yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{folder.config} is no YAML: {error}") from error
    logger = config.get("logger") if isinstance(config, dict) else None
    project, entity = (logger.get(key) if isinstance(logger, dict) else None for key in ("project", "entity"))
    if project is None:
        return None
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in (project, entity) if name is not None):
        raise UserError(f"{folder.config}: logger.project or logger.entity is not a name that W&B knows.")
    return Destination(project, entity)
