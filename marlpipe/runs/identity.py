"""What distinguishes a run from others: read from its `run.json`, or from its folder's name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marlpipe.errors import UserError
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.path import RunPath
from marlpipe.runs.status import LARGEST
from marlpipe.runs.text import printable


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What distinguishes a run of a grid from the others. Texts are one line each, of visible characters."""

    label: str  # what the user calls the arm, such as "qmix"
    env: str
    algo: str
    seed: int
    arm: str  # hash of the config without the seed
    overrides: tuple[str, ...] = ()


def identity(folder: RunFolder) -> Identity:
    """Reads `run.json`; a run that died before it wrote one is named after its folder.

    Raises:
        UserError: the file is broken.
    """
    record = run_record(folder)
    choices = record.get("choices", {})
    resolved = folder.path.resolve()
    path = RunPath.parse(folder.path.absolute()) or RunPath.parse(resolved)  # a folder elsewhere is named by its link
    algo = path.algo if path else resolved.name
    return Identity(
        label=_line(record.get("label", algo)),
        env=_line(choices.get("env", path.env if path else "")),
        algo=_line(choices.get("algo", algo)),
        seed=record.get("seed", path.seed if path else 0),
        arm=_line(record.get("arm", path.arm if path else "")),
        overrides=tuple(map(_line, record.get("overrides", ()))),
    )


def run_record(folder: RunFolder) -> dict[str, Any]:
    """All of `run.json`, empty where there is none. Texts are as they were typed: `printable` makes them fit to show.

    Raises:
        UserError: the file cannot be read, or a value is not what the key can have.
    """
    record = read_json(folder.run)
    if record is None:
        return {}
    if not isinstance(record, dict):
        raise UserError(f"{folder.run} holds no JSON object.\n  Restore the file, or remove it.")
    for name in record:
        if name in VALID and not VALID[name][0](record[name]):
            raise UserError(
                f"{folder.run}: {name} cannot be {record[name]!r:.80}.\n"
                f"  valid: {VALID[name][1]}\n  Restore the file, or remove it."
            )
    return record


def _line(text: str) -> str:
    return printable(text, keep="")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_seed(value: Any) -> bool:
    return type(value) is int and abs(value) <= LARGEST


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_choices(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(value[group]) for group in ("env", "algo") if group in value)


def _are_facts(value: Any) -> bool:
    return value is None or isinstance(value, dict)


Rule = tuple[Callable[[Any], bool], str]

TEXT: Rule = (_is_text, "text")
FACTS: Rule = (_are_facts, "values by name, or null")
VALID: dict[str, Rule] = {
    "label": TEXT,
    "arm": TEXT,
    "seed": (_is_seed, "a whole number"),
    "overrides": (_are_texts, "a list of texts, as key=value"),
    "choices": (_are_choices, "options by group, as env: cartpole"),
    "git": FACTS,
    "versions": FACTS,
    "hardware": FACTS,
}
