"""`--cfg` and `--info`: prints what would be trained, and where that comes from."""

from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.hydra_internals import application
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import compose_grid
from marlpipe.config.typed import parse_overrides
from marlpipe.errors import UserError


def show_config(overrides: Sequence[str], part: str, package: str | None, resolve: bool, sweep: bool) -> int:
    """Prints a config as YAML; of a grid, the one that Hydra takes the launcher and the sweeper from.

    Args:
        overrides: as they were typed.
        part: job, hydra or all.
        package: the key below which to print; None for all.
        resolve: whether with the values that ${…} stands for.
        sweep: whether it is a grid.

    Raises:
        UserError: there is no such config; or a grid's runs have one each.
    """
    register_resolvers()
    with compose_api(config_folder()):
        swept = [override.input_line for override in parse_overrides(overrides) if override.is_sweep_override()]
        if sweep and swept and part == "job":
            raise UserError(
                f"each run of a grid has a config of its own: {' '.join(map(str, swept))}\n"
                "  next: choose one value, and leave -m out; marlpipe diff_config compares two"
            )
        config = (compose_grid if sweep else compose_run)(overrides, config_folder())
        application()  # `${hydra:…}` is looked up in what is set up
    keys = [str(key) for key in config if part == "all" or (key == "hydra") == (part == "hydra")]
    try:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=resolve)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise UserError(f"--resolve: {str(error).splitlines()[0]}\n  next: leave --resolve out") from error
    shown: Any = OmegaConf.create({key: plain[key] for key in keys})
    if package is not None:
        shown = OmegaConf.select(shown, package)
        if shown is None:
            raise UserError(f"--package {package}: the config has no such key.\n  valid: {', '.join(keys)}")
    print((OmegaConf.to_yaml(shown) if OmegaConf.is_config(shown) else str(shown)).rstrip())
    return 0


def show_info(overrides: Sequence[str], about: str) -> int:
    """Prints what a config is made of, as Hydra does. UserError for a config that is not there."""
    register_resolvers()
    with compose_api(config_folder()):
        compose_run(overrides, config_folder())
        try:
            application().show_info(about, "train", list(overrides), run_mode=RunMode.RUN)
        except HydraException as error:
            raise UserError(f"{error}\n  see --help for the groups, and --cfg job for the keys") from error
    return 0
