"""What is compared: the resolved config of a run, or of a command that was never run."""

import json
import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from marlpipe.config import compose as composed
from marlpipe.config.compose import compose_run, group_of
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.keys import check_parts
from marlpipe.config.naming import run_path
from marlpipe.config.plan import compose_grid, expand_sweep
from marlpipe.config.stored import read_config
from marlpipe.config.typed import check_typed, parse_overrides, with_one_searchpath
from marlpipe.errors import UserError
from marlpipe.runs.find import run_at
from marlpipe.runs.identity import identity, run_record

PROVENANCE = ("git", "python", "versions", "hardware")  # of run.json
VALID = "valid: the folder of a run, multirun/ENV/ALGO-HASH/seed=SEED, or key=value; see --help"


@dataclass(frozen=True, kw_only=True)
class Side:
    """What A or B comes to."""

    overrides: str
    folder: Path  # of the run, or where it would be
    name: str  # of that folder: ENV/ALGO-HASH/seed=SEED
    config: dict[str, Any]  # resolved
    choices: dict[str, Any]  # the option of each config group
    provenance: dict[str, Any] | None = None  # only of a run; empty if it left none
    runs: int = 1  # that the same words start with -m


def of_run(path: Path) -> Side:
    """What a run's folder says, whatever state the run is in; nothing that it says is executed.

    UserError where it is no run's, cannot be read, or is not all inside the folder.
    """
    folder = run_at(path)
    config = resolved(read_config(folder), str(folder.config))
    record, who = run_record(folder), identity(folder)
    return Side(
        overrides=shlex.join(who.overrides),
        folder=path,
        name=f"{who.env}/{who.algo}-{who.arm}/seed={who.seed}",
        config=config,
        choices=record.get("choices", {}),
        provenance={key: record[key] for key in PROVENANCE if key in record},
    )


def of_command(typed: str) -> Side:
    """What `python -m marlpipe` would train; used inside `composing`. UserError for an unknown name, and for a grid."""
    folder = config_folder()
    try:
        words = shlex.split(typed)
    except ValueError as error:
        raise UserError(f"{typed} cannot be read: {error}\n  next: close the quotes") from error
    for word in words:
        check_word(word, groups(folder))
    try:
        check_typed(words)
        words = with_one_searchpath(words)
        overrides = parse_overrides(words)
        if any(override.is_sweep_override() for override in overrides):
            one = shlex.join(expand_sweep(compose_grid(words, folder))[0])
            raise UserError(f"'{typed}' is a grid.\n  next: pick one of its runs, as in '{one}'")
        config = compose_run(words, folder)
        if any(group_of(override) not in groups(folder) for override in overrides):  # else, YAML files say it all
            check_parts(composed.resolved(config), "")
        plain, run = resolved(config, f"'{typed}'"), run_path(config)
        return Side(
            overrides=typed,
            config=plain,
            folder=run.folder,
            name=run.name,
            choices=dict(config.hydra.runtime.choices),
            runs=len(expand_sweep(compose_grid(words, folder))) if config.hydra.sweeper.params else 1,
        )
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"'{typed}' comes to no run: {error}\n  see `python -m marlpipe --help`") from error


def check_word(word: str, options: dict[str, list[str]]) -> None:
    """UserError for what is a missing folder or a mere name, with what it may mean."""
    key, equals, _ = word.partition("=")
    if word.startswith("~") or (equals and ("/" not in key or key.lstrip("+").split("/")[0] in options)):
        return
    readings = [] if equals else named(word, options)
    if "/" in key and not readings:
        raise UserError(f"there is no folder {word}.\n  {VALID}")
    valid = f"valid: {', '.join(readings)}" if readings else VALID
    raise UserError(f"'{word}' is neither a folder nor of the form key=value.\n  {valid}")


def named(word: str, options: dict[str, list[str]]) -> list[str]:
    """Every group=option whose option has this name, or the closest to it."""
    choices = compose_run([], config_folder()).hydra.runtime.choices
    readings: dict[str, list[str]] = {}
    for group, names in options.items():
        if "/" not in group and group != "hydra":
            for name in names:
                readings.setdefault(name, []).append(f"{'' if group in choices else '+'}{group}={name}")
    return [reading for name in get_close_matches(word, readings, n=1) for reading in readings[name]]


def resolved(config: DictConfig, source: str) -> dict[str, Any]:
    """The config as plain values, without Hydra's own part. UserError, naming its source, if it is no run's."""
    if "env" not in config:
        raise UserError(f"{source} is not the config of a run: it has no env.\n  {VALID}")
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    plain: dict[str, Any] = json.loads(json.dumps(OmegaConf.to_container(own, resolve=True)))  # all keys are texts
    return plain
