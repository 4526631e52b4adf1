"""What a search may vary, in the syntax of Hydra's sweeps: choice(), range(), interval(), and tag(log, …)."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig

from marlpipe.errors import UserError
from marlpipe.runs.extras import install

GROUP = "hparams_search"  # of our config


@dataclass(frozen=True)
class Asked:
    """A command line, divided into what makes it a search, what all runs have, what is searched, and their seeds."""

    search: list[str]
    fixed: list[str]
    space: dict[str, Override]  # by key, with the + in front of a new one
    seeds: list[int]


def is_search(config: DictConfig) -> bool:
    """Whether a composed config is swept by a search."""
    return "search" in config.hydra.sweeper


def divide(typed: Sequence[Override]) -> Asked:
    """The parts of a command line, of which a later override of a key replaces an earlier one.

    Raises:
        UserError: nothing is searched, or in a way that has no meaning; or no seed is given.
    """
    latest = {override.key_or_group: override for override in typed}
    seed = latest.pop("seed", None)
    if seed is None:
        raise UserError("the trials of a search have no seeds\n  next: say which, as in seed=0,1,2")
    swept = {override.get_key_element(): override for override in latest.values() if override.is_sweep_override()}
    if not swept:
        raise UserError(
            "there is nothing to search\n"
            "  next: give a space, as in 'profile.optimizer.lr=tag(log, interval(1e-4, 1e-2))' agent.hidden=32,64"
        )
    for override in swept.values():
        check_domain(override)
    seeds = list(seed.sweep_iterator()) if seed.is_sweep_override() else [seed.value()]
    plain = [override for override in latest.values() if not override.is_sweep_override()]
    return Asked(
        search=[str(override.input_line) for override in plain if makes_a_search(override)],
        fixed=[str(override.input_line) for override in plain if not makes_a_search(override)],
        space=swept,
        seeds=seeds,  # type: ignore[arg-type] # the planner checks them
    )


def makes_a_search(override: Override) -> bool:
    """Whether an override selects or sets a sweeper, and nothing of the runs."""
    return override.key_or_group == GROUP or override.key_or_group.startswith(("hydra/sweeper", "hydra.sweeper"))


def check_domain(override: Override) -> None:
    """UserError for a domain that holds no value, or that has another tag than `log`."""
    typed, value = override.input_line, override.value()
    tags: set[str] = getattr(value, "tags", set())
    if unknown := tags - {"log"}:
        raise UserError(f"{typed}: a search knows no tag {', '.join(sorted(unknown))}\n  valid: log")
    found = ends(override)
    if not found or (isinstance(value, IntervalSweep) and not value.start < value.end):  # type: ignore[operator]
        raise UserError(f"{typed} holds no value\n  valid: choice(A, B, …), or interval(LOW, HIGH), LOW below HIGH")
    if tags and (override.is_choice_sweep() or min(map(float, found)) <= 0):
        raise UserError(f"{typed} has no logarithmic scale\n  valid: tag(log, interval(LOW, HIGH)), LOW above 0")
    if tags and isinstance(value, RangeSweep) and value.step != 1:
        raise UserError(f"{typed}: a logarithmic range has no steps\n  valid: tag(log, range(LOW, HIGH))")


def ends(override: Override) -> list[str]:
    """The values at the ends of a domain, all of a choice, as they are typed."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    values = list(override.sweep_string_iterator())
    return values if override.is_choice_sweep() else list(dict.fromkeys([*values[:1], *values[-1:]]))


def ends_of_space(asked: Asked) -> list[list[str]]:
    """The fewest runs, all seeds of each, that have every end of every domain once: what a search may try."""
    found = {key: ends(override) for key, override in asked.space.items()}
    arms = [
        [*asked.search, *asked.fixed, *(f"{key}={values[number % len(values)]}" for key, values in found.items())]
        for number in range(max(map(len, found.values())))
    ]
    return [[*arm, f"seed={seed}"] for arm, seed in product(arms, asked.seeds)]


def check_installed() -> None:
    """UserError where Optuna, which is an extra, is missing."""
    if find_spec("optuna") is None:
        raise UserError(f"a search needs Optuna, which is not installed\n  next: {install('search')}")
