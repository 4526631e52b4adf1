"""The W&B project of some runs: as typed by the user, or from the config of a run."""

from dataclasses import dataclass

from marlpipe.analysis.run_config import read_config
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.wandb.own_settings import PROJECT, settings
from marlpipe.wandb.run import NAME
from marlpipe.wandb.sync.sessions import recorded_destination


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

    What the config leaves open is as W&B's own settings say today, else as the run's newest session recorded it.

    Raises:
        UserError: the config or a session cannot be read, or the project or entity is no valid name.
    """
    logger = read_config(folder).get("logger")
    if not isinstance(logger, dict) or "project" not in logger:
        return None
    project, entity = logger["project"], logger.get("entity")
    if project is None:
        today, then = settings(), recorded_destination(folder) or (PROJECT, "")
        project, entity = today.project or then[0], entity or today.entity or then[1] or None
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in (project, entity) if name is not None):
        raise UserError(f"{folder.config}: logger.project or logger.entity is no valid name of W&B.")
    return Destination(project, entity)
