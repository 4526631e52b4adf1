"""The folder of the config groups: next to the package in a checkout, inside it in a wheel."""

from pathlib import Path

from marlpipe.errors import UserError

PACKAGE = Path(__file__).resolve().parent.parent


def config_folder() -> Path:
    """The folder of `train.yaml`."""
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise UserError(f"no conf/ inside {PACKAGE} or next to it. Install marlpipe again, from a whole checkout.")


def groups(*folders: Path) -> dict[str, list[str]]:
    """Every config group with its options, those of the first folder first."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for file in sorted(folder.rglob("*.yaml")):
            option = file.relative_to(folder)
            for depth in range(1, len(option.parts)):
                group = "/".join(option.parts[:depth])
                found.setdefault(group, []).append("/".join(option.with_suffix("").parts[depth:]))
    return found
