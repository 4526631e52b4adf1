"""The trials of a search on the disk, in the format of Optuna's own tools. One process at a time writes there."""

import os
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from marlpipe.config.differences import differences, format_value
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.text import first_few

ATTRIBUTE = "marlpipe"  # of the study: what is searched, with what, for what
MOST_SHOWN = 6  # keys in a message


class Storage:
    """Trials that are over, in a file that only grows. What a killed process did not finish is not there.

    Args:
        path: of the file. The caller owns it, by a lock of its folder.
        name: of the study in it.
        identity: what decides the meaning of a trial; the file is bound to it from the first trial on.

    Raises:
        UserError: the file holds another search, no search at all, or cannot be used.
    """

    def __init__(self, path: Path, name: str, identity: dict[str, Any]) -> None:
        self.path = path
        with os_errors_as_user_errors("write", path):
            drop_unfinished_line(path)
            lock = path.with_name(path.name + ".lock")  # that a killed process has left
            lock.unlink(missing_ok=True)
            try:
                storage = JournalStorage(JournalFileBackend(str(path)))
                if name in optuna.get_all_study_names(storage):
                    self._study = optuna.load_study(study_name=name, storage=storage)
                else:
                    self._study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
                there = self._study.user_attrs.get(ATTRIBUTE)
            except (OptunaError, ValueError, KeyError, TypeError, AssertionError) as error:
                raise UserError(
                    f"{path} cannot be read as trials of a search: {error}\n"
                    "  Move it away; the same command then makes it anew from the runs that are done."
                ) from error
            if not self.trials:
                self._study.set_user_attr(ATTRIBUTE, identity)
            elif found := list(differences(there, identity)):
                lines = [
                    f"{'.'.join(key)}: {format_value(key[-1], a)} there, {format_value(key[-1], b)} here"
                    for key, a, b in found
                ]
                shown = first_few(lines, MOST_SHOWN, indent="    ")
                raise UserError(
                    "\n".join([f"{path.parent} holds another search, and is left as it is:", *shown])
                    + f"\n  next: another name for this one, as in hydra.sweeper.name={name}_2; or move the folder away"
                )

    @property
    def trials(self) -> list[FrozenTrial]:
        """In the order of their numbers."""
        return self._study.get_trials(deepcopy=False)

    def add(self, trial: FrozenTrial) -> None:
        """Keeps a trial that is over, in one write."""
        with os_errors_as_user_errors("write", self.path):
            self._study.add_trial(trial)


def drop_unfinished_line(path: Path) -> None:
    """Cuts off what a process was killed in the writing of."""
    if path.exists():
        whole = path.read_bytes()
        os.truncate(path, whole.rfind(b"\n") + 1)
