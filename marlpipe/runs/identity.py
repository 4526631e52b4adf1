"""Who a run is, as its folder tells it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marlpipe.errors import UserError
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.status import LARGEST
from marlpipe.runs.text import printable


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What tells one run of a grid from the others. Texts are one line each, of what can be seen."""

    label: str  # what the user calls the arm, such as "qmix"
    env: str
    algo: str
    seed: int
    arm: str  # hash of the config without the seed
    overrides: tuple[str, ...] = ()


def identity(folder: RunFolder) -> Identity:
    """Reads `run.json`; a run that died before it wrote one is named after its folders, ENV/LABEL-ARM/seed=SEED.

    Raises:
        UserError: the file is broken.
    """
    told = run_record(folder)
    choices = told.get("choices", {})
    env_folder, arm_folder, seed_folder = ("", "", "", *folder.path.resolve().parts)[-3:]
    label, _, arm = arm_folder.rpartition("-")
    seed = seed_folder.rpartition("=")[2]
    return Identity(
        label=_line(told.get("label", label or arm_folder)),
        env=_line(choices.get("env", env_folder)),
        algo=_line(choices.get("algo", label or arm_folder)),
        seed=told.get("seed", int(seed) if seed.isdecimal() else 0),
        arm=_line(told.get("arm", arm)),
        overrides=tuple(map(_line, told.get("overrides", ()))),
    )


def run_record(folder: RunFolder) -> dict[str, Any]:
    """All of `run.json`, empty where there is none. What was typed is as it was typed: `plain` before it is shown.

    Raises:
        UserError: the file cannot be read, or a value is not what the key can have.
    """
    told = read_json(folder.run)
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise UserError(f"{folder.run} holds no JSON object.\n  Restore the file, or remove it.")
    for name in told:
        if name in VALID and not VALID[name][0](told[name]):
            raise UserError(
                f"{folder.run}: {name} cannot be {told[name]!r:.80}.\n"
                f"  valid: {VALID[name][1]}\n  Restore the file, or remove it."
            )
    return told


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
