"""The files of the user's own that a run's code is made of: modules and options that come with no installed package."""

import importlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from marlpipe.runs.provenance import SOURCE, own_folders

NAMING = ("_target_", "path", "name")  # keys of a config whose value may name something to import
INSTALLED = {"site-packages", "dist-packages"}  # folders of packages
STANDARD = Path(sysconfig.get_paths()["stdlib"]).resolve()


def users_modules(config: DictConfig) -> list[Path]:
    """The files of the modules that a config names, and of the loaded ones that are imported from the same folders.

    Those of marlpipe, of installed packages and of Python are left out. Imports what the config names, as its run does
    next; what cannot be imported is left out, since the run says why.
    """
    found = [module for name in _names(OmegaConf.to_container(config, resolve=True)) if (module := _module(name))]
    folders = {_import_folder(module) for module in found if _is_users(module)}
    if not folders:
        return []
    loaded = [one for one in list(sys.modules.values()) if isinstance(one, ModuleType) and _is_users(one)]
    return sorted({_file(module) for module in loaded if _import_folder(module) in folders})


def users_configs(hydra: Any) -> list[Path]:
    """The YAML files of the chosen options that lie in folders of the user's own, of --config-dir or hydra.searchpath.

    Args:
        hydra: Hydra's own config of the run.
    """
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    chosen = [f"{group.partition('@')[0]}/{option}.yaml" for group, option in hydra.runtime.choices.items()]
    files = [folder / name for folder in folders for name in chosen]
    return sorted({file.resolve() for file in files if file.is_file() and not _is_marlpipes(file.resolve())})


def _names(node: Any) -> Iterator[str]:
    """Every text that may name something to import, without what follows a colon."""
    if isinstance(node, dict):
        yield from (node[key].partition(":")[0] for key in NAMING if isinstance(node.get(key), str))
    if isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _names(part)


def _module(name: str) -> ModuleType | None:
    """The module that a dotted name names, or names something of."""
    parts = name.split(".")
    if not all(map(str.isidentifier, parts)):
        return None
    for length in range(len(parts), 0, -1):
        with suppress(Exception):  # of modules that are anyone's
            return importlib.import_module(".".join(parts[:length]))
    return None


def _is_users(module: ModuleType) -> bool:
    if not isinstance(getattr(module, "__file__", None), str):
        return False
    file = _file(module)
    installed = INSTALLED & set(file.parts) or file.is_relative_to(STANDARD)
    return file.suffix == ".py" and not installed and not _is_marlpipes(file)


def _is_marlpipes(file: Path) -> bool:
    return any(file.is_relative_to(folder.resolve()) for folder in own_folders(SOURCE))


def _file(module: ModuleType) -> Path:
    return Path(str(module.__file__)).resolve()


def _import_folder(module: ModuleType) -> Path:
    """The folder of sys.path that a module was found in."""
    file = _file(module)
    return file.parents[module.__name__.count(".") + (file.name == "__init__.py")]
