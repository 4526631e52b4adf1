"""The W&B project of some runs: as typed by the user, or from the config of a run."""

from dataclasses import dataclass

from marlpipe.analysis.run_config import read_config
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.wandb.run import NAME


@dataclass(frozen=True, order=True)
class Destination:
    """A project and its entity, a team or person; None is that of the login."""

    project: str
    entity: str | None = None

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}" if self.entity else self.project


def typed(text: str) -> Destination:
    """Parses `project` or `entity/project`. UserError for anything else."""
    *entity, project = text.split("/")
    if len(entity) > 1 or not all(map(NAME.fullmatch, (project, *entity))):
        raise UserError(
            f"there is no folder {text}, and it is no valid name of a project.\n"
            "  valid: a folder of runs, such as multirun/; project; entity/project"
        )
    return Destination(project, *entity)


def destination(folder: RunFolder) -> Destination | None:
    """The project in the `logger` part of a run's config; None of a run without W&B.

    Raises:
        UserError: the config cannot be read, or its project or entity is no valid name.
    """
    logger = read_config(folder).get("logger")
    project, entity = (logger.get(key) if isinstance(logger, dict) else None for key in ("project", "entity"))
    if project is None:
        return None
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in (project, entity) if name is not None):
        raise UserError(f"{folder.config}: logger.project or logger.entity is no valid name of W&B.")
    return Destination(project, entity)
