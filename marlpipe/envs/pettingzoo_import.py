"""Makes a world of PettingZoo's parallel API (Terry et al. 2021) from its name, or says why that is not possible.

PettingZoo is imported inside the functions, so that everything else works without the package.
"""

import difflib
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from types import ModuleType
from typing import Any, NamedTuple

from marlpipe.envs.failures import failure, is_worlds
from marlpipe.errors import UserError, unknown
from marlpipe.runs.extras import install

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

        world = self.made("could not be made", called, **{**self.arguments, **more})
        if isinstance(world, AECEnv) or not hasattr(world, "step"):
            raise not_parallel(self.name)
        if not getattr(world, "possible_agents", None):
            raise UserError(
                f"{self.name} does not name its agents: it has no possible_agents.\n"
                "  valid: a world whose agents are known before an episode\n"
                "  next: set possible_agents in its __init__"
            )
        return world

    def made(self, what: str, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        """What a function returns that makes a world. UserError for whatever it raises.

        what: went wrong then, as `could not be made`.
        """
        try:
            return function(*given, **named)
        except BaseException as error:
            if not is_worlds(error):
                raise
            following = "give it the arguments that it takes, install what it needs, or correct it"
            said = f"the world {self.name} {what}"
            raise failure(said, error, given=self._given, kind=UserError, following=following) from error

    def asked(self, call: str, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        """What a function of a world returns that is played. WorldError for whatever it raises.

        call: what is called, as `step() of copy 0 at env step 3`.
        """
        try:
            return function(*given, **named)
        except BaseException as error:
            if not is_worlds(error):
                raise
            raise failure(f"the world {self.name} failed in {call}", error, given=self._given) from error

    @property
    def _given(self) -> str:
        return f"env.arguments={dict(self.arguments)}"


def creator(name: str) -> Callable[..., Any]:
    """The function that makes the world of that name. UserError if there is none."""
    if importlib.util.find_spec("pettingzoo") is None:
        raise UserError(f"worlds of PettingZoo need the package.\n  next: {install('pettingzoo')}")
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
    raise no_module(name)


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
        raise no_module(name) from error
    except BaseException as error:
        if not is_worlds(error):
            raise
        raise UserError(
            f"env.name: {name or 'an empty name'} cannot be imported: {type(error).__name__}: {error}\n{NAMES}"
            "  next: correct the name or the module"
        ) from error


def no_module(name: str) -> UserError:
    """The error for a name that leads nowhere, with the installed worlds that have a similar one."""
    worlds = installed()
    by_last = {last_part(world): world for world in worlds}
    last = last_part(name)
    close = [by_last[match] for match in ([last] if last in by_last else difflib.get_close_matches(last, by_last))]
    found = f"  next: env.name={' or env.name='.join(close)}" if close else "  next: correct the name"
    return UserError(
        f"env.name: there is no world {name}.\n{NAMES}  installed: {', '.join(worlds) or 'none'}\n"
        f"{found}, or install the package that has it"
    )


def last_part(name: str) -> str:
    """A world's name without where it is, as simple_spread_v3 of mpe2.simple_spread_v3."""
    return re.split("[/.:]", name)[-1]


def installed() -> list[str]:
    """PettingZoo's own worlds, and the modules of packages that need PettingZoo, whose names end with a version."""
    import pettingzoo

    packages = [
        package
        for package, providers in metadata.packages_distributions().items()
        if any(needs_pettingzoo(provider) for provider in providers)
    ]
    modules = [module for package in sorted(packages) for module in siblings(package)]
    return [*sorted(pettingzoo.parallel_registry), *(module for module in modules if re.search(r"_v\d+$", module))]


def needs_pettingzoo(distribution: str) -> bool:
    """Whether an installed distribution asks for PettingZoo, and is not marlpipe."""
    needs = metadata.requires(distribution) or []
    return distribution != "marlpipe" and any(re.match(r"pettingzoo\b", need, re.IGNORECASE) for need in needs)


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
