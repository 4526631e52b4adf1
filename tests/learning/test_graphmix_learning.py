"""GraphMIX on one-step games: it learns the one that a monotone value can hold, and not the one that it cannot."""

import pytest

from tests.learning.exploring import greedy_payoff, learn


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_the_optimum_of_a_monotone_game_is_found_and_that_of_the_classic_game_is_not(seed: int) -> None:
    """Uniform visits make a safe joint action the best of the classic game's monotone values."""
    env, algorithm = learn("+experiment=games/classic", "algo=graphmix", seed=seed, updates=100, episodes=16)
    assert env.optimum == 8
    assert greedy_payoff(env, algorithm) == 0

    monotone = ["env=payoff_lomaq", "profile.discount=0.0"]
    env, algorithm = learn("+experiment=games/classic", "algo=graphmix", *monotone, seed=seed, updates=100, episodes=16)
    assert greedy_payoff(env, algorithm) == env.optimum
