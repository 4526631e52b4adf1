"""What Optuna proposes, as a function of the finished trials: the same trials give the same proposals."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial

Sampler = Callable[..., BaseSampler]  # completed by a seed

optuna.logging.set_verbosity(optuna.logging.WARNING)


def distribution(override: Override) -> BaseDistribution:
    """The domain of one key. Values of a choice are texts, as they are typed."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        low, high, step = value.start, value.end, None
    elif isinstance(value, RangeSweep):
        values = sorted(value.range())
        low, high, step = values[0], values[-1], abs(value.step)
    else:
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    assert low is not None
    assert high is not None
    log = "log" in value.tags
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def propose(
    earlier: Sequence[FrozenTrial],
    space: Mapping[str, BaseDistribution],
    *,
    count: int,
    sampler: Sampler,
    seed: int,
) -> tuple[optuna.Study, list[Trial]]:
    """The next so many trials, none of which knows how the others end.

    Each is sampled with a seed that its number decides, so a search that was interrupted goes on as if it had not been.

    Returns:
        The trials, and a study in memory that takes what becomes of them.
    """
    study = optuna.create_study(direction="maximize")
    study.add_trials(earlier)
    trials = []
    for number in range(len(earlier), len(earlier) + count):
        [own] = np.random.SeedSequence([seed, number]).generate_state(1)
        study.sampler = sampler(seed=int(own))
        trials.append(study.ask(dict(space)))
    return study, trials
