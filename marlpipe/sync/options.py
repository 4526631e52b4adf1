"""What can be typed behind `python -m marlpipe.sync`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlpipe.errors import UserError, unknown
from marlpipe.records.wandb_names import NAME

HELP = """\
python -m marlpipe.sync FOLDER [FOLDER…] [--dry-run] [--project NAME] [--entity NAME]

Sends to W&B what it lacks of all runs in and below some folders, such as those that were trained without network, and
then asks W&B whether it has all of it. A run that was interrupted and went on is one run there, with each row once.
It can be repeated: what is there is not sent again, and what a run has added since is.

  --dry-run        say what would be done, without network and without a change
  --project NAME   send to this project of W&B, instead of the one that the runs were trained for
  --entity NAME    the same, for the team or person

Runs that are being trained are left alone. Logs of killed runs that hold nothing are put aside, into wandb/empty/.

Exit status: 0 if W&B has all of all runs, or after --dry-run; 1 if some run is left alone, or not all of it is there; 2
if there is no such folder or option, nobody is logged in, or W&B does not answer.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    folders: list[Path]
    dry_run: bool = False
    project: str | None = None
    entity: str | None = None


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for an option that does not exist, for a name that W&B cannot have, and for no folder at all."""
    folders: list[Path] = []
    names: dict[str, str] = {}
    dry_run = False
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if not flag.startswith("-"):
            folders.append(Path(word))
        elif flag == "--dry-run" and not equals:
            dry_run = True
        elif flag in ("--project", "--entity"):
            names[flag] = value if equals else next(words, "")
            if not NAME.fullmatch(names[flag]):
                raise UserError(f"{flag} cannot be '{names[flag]}'.\n  valid: a name as W&B knows it, such as my-study")
        else:
            raise unknown("the option", word, ("--dry-run", "--project", "--entity"))
    if not folders:
        raise UserError("which runs?\n  next: give a folder of runs, such as multirun/, or of one run; see --help")
    return Options(folders=folders, dry_run=dry_run, project=names.get("--project"), entity=names.get("--entity"))
