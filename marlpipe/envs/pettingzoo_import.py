"""Makes a world of PettingZoo's parallel API (Terry et al. 2021) from its name, or says why that is not possible.

PettingZoo is imported inside the functions, so that everything else works without the package.
"""

import importlib
import importlib.util
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from marlpipe.errors import UserError, unknown

NAMES = (
    "  valid: a name of PettingZoo's own, as sisl/pursuit-v5, a module with a parallel_env, as mpe2.simple_spread_v3, "
    "or module:function\n"
)


class Source(NamedTuple):
    """The name and arguments from which copies of a world are made."""

    name: str  # PettingZoo's own, as sisl/pursuit-v5, a module with a parallel_env, or module:function
    arguments: Mapping[str, Any]  # keyword arguments of the world

    def make(self, **more: Any) -> Any:
        """A new ParallelEnv. UserError if it cannot be made, or has another interface."""
        called = creator(self.name)
        from pettingzoo import AECEnv  # type: ignore[import-untyped]

        with self.errors_as_user_errors("could not be made"):
            world = called(**{**self.arguments, **more})
        if isinstance(world, AECEnv) or not hasattr(world, "step"):
            raise not_parallel(self.name)
        if not getattr(world, "possible_agents", None):
            raise UserError(
                f"{self.name} does not name its agents: it has no possible_agents.\n"
                "  valid: a world whose agents are known before an episode\n"
                "  next: set possible_agents in its __init__"
            )
        return world

    @contextmanager
    def errors_as_user_errors(self, what: str) -> Iterator[None]:
        """UserError for any error of a world, which the user has chosen and can correct."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise UserError(
                f"{self.name} {what}: {type(error).__name__}: {error}\n"
                f"  where: {place.filename}:{place.lineno}\n"
                f"  given: env.arguments={dict(self.arguments)}\n"
                "  next: give it the arguments that it takes, install what it needs, or correct it"
            ) from error


def creator(name: str) -> Callable[..., Any]:
    """The function that makes the world of that name. UserError if there is none."""
    if importlib.util.find_spec("pettingzoo") is None:
        raise UserError("worlds of PettingZoo need the package.\n  next: pip install 'marlpipe[pettingzoo]'")
    if "/" in name:
        return registered(name)
    module_name, _, function = name.partition(":")
    module = imported(module_name)
    if function:
        if not callable(getattr(module, function, None)):
            raise unknown(f"{module_name}: the function", function, public_functions(module))
    elif not hasattr(module, "parallel_env"):
        raise not_parallel(name) if hasattr(module, "env") else no_world(module)
    made: Callable[..., Any] = getattr(module, function or "parallel_env")
    return made


def registered(name: str) -> Callable[..., Any]:
    """PettingZoo's own world of that name, as it is registered: sisl/pursuit-v5."""
    import pettingzoo
    from pettingzoo.env_registry.exceptions import PettingZooRegistryError  # type: ignore[import-untyped]

    for kind in ("parallel", "aec"):
        try:
            pettingzoo.spec(kind, name)
        except PettingZooRegistryError:
            continue
        if kind == "aec":
            raise not_parallel(name)
        return partial(pettingzoo.make, kind, name)
    raise unknown("env.name", name, pettingzoo.parallel_registry)


def imported(name: str) -> ModuleType:
    """The module of that name. The UserError distinguishes a wrong name from a missing package."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        package, _, last = missing.rpartition(".")
        if not f"{name}.".startswith(f"{missing}."):
            raise UserError(
                f"env.name: {name} needs {missing}, which is not installed.\n  next: pip install {missing}"
            ) from error
        if package:
            raise unknown("env.name: the module", f"{package}.{last}", siblings(package)) from error
        raise UserError(
            f"env.name: there is no module {name}.\n{NAMES}"
            f"  next: install the package that has it, as in pip install {missing}, or correct the name"
        ) from error
    except Exception as error:
        raise UserError(
            f"env.name: {name or 'an empty name'} cannot be imported: {type(error).__name__}: {error}\n{NAMES}"
            "  next: correct the name or the module"
        ) from error


def siblings(package: str) -> list[str]:
    """The public modules of a package."""
    folders = getattr(importlib.import_module(package), "__path__", [])
    return [f"{package}.{found.name}" for found in pkgutil.iter_modules(folders) if not found.name.startswith("_")]


def public_functions(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


def no_world(module: ModuleType) -> UserError:
    return UserError(
        f"env.name: {module.__name__} has no parallel_env.\n{NAMES}"
        f"  next: say which function makes the world, as in env.name={module.__name__}:make_world"
    )


def not_parallel(name: str) -> UserError:
    return UserError(
        f"{name} is not a world of PettingZoo's parallel API, where all agents act at once.\n{NAMES}"
        "  next: if its agents act in turn (AEC) but none sees the others' moves of the same round, name a function "
        "that returns pettingzoo.utils.aec_to_parallel(env)"
    )
