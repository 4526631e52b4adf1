"""Who a run is, as its folder tells it."""

from dataclasses import dataclass
from typing import Any

from marlpipe.records.files import read_json
from marlpipe.records.folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What tells one run of a grid from the others."""

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
    told: dict[str, Any] = read_json(folder.run) or {}
    choices = told.get("choices", {})
    env_folder, arm_folder, seed_folder = ("", "", "", *folder.path.resolve().parts)[-3:]
    label, _, arm = arm_folder.rpartition("-")
    seed = seed_folder.rpartition("=")[2]
    return Identity(
        label=told.get("label", label or arm_folder),
        env=choices.get("env", env_folder),
        algo=choices.get("algo", label or arm_folder),
        seed=told.get("seed", int(seed) if seed.isdecimal() else 0),
        arm=told.get("arm", arm),
        overrides=tuple(told.get("overrides", ())),
    )
