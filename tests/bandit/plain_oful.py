"""OFUL (Abbasi-Yadkori, Pál, Szepesvári 2011), written plainly: numpy, one loop over rounds, one over arms."""

from collections.abc import Callable
from itertools import product
from math import log, sqrt

import numpy as np


class PlainOful:
    """Least squares and optimism for each joint action of some agents. `factor` is |P| in the logarithm."""

    def __init__(self, n_agents: int, n_actions: int, dim: int, noise: float, parameter_radius: float, factor: int = 1):
        self.actions = list(product(range(n_actions), repeat=n_agents))
        self.gram = [np.eye(dim) for _ in self.actions]
        self.response = [np.zeros(dim) for _ in self.actions]
        self.n_agents, self.dim, self.noise, self.s, self.factor = n_agents, dim, noise, parameter_radius, factor

    def choice(self, t: int, x: np.ndarray, delta: float, ridge: float = 1.0, alpha: float = 1.0) -> int:
        """The arm of round t, counted from 1: the first of the highest upper confidence."""
        inside = self.dim * log(self.factor * len(self.actions) * (1 + t) / (ridge * delta))
        beta = sqrt(ridge) * self.n_agents * self.s + self.noise * sqrt(inside)
        best, chosen = -np.inf, -1
        for arm in range(len(self.actions)):
            inverse = np.linalg.inv(self.gram[arm])
            score = x @ inverse @ self.response[arm] + alpha * beta * sqrt(x @ inverse @ x)
            if score > best:
                best, chosen = score, arm
        return chosen

    def learn(self, arm: int, x: np.ndarray, reward: float) -> None:
        self.gram[arm] = self.gram[arm] + np.outer(x, x)
        self.response[arm] = self.response[arm] + x * reward


def played(
    learner: PlainOful, contexts: np.ndarray, reward: Callable[[int, tuple[int, ...]], float], delta: float
) -> np.ndarray:
    """The actions (T, N) that the learner takes at these contexts; `reward` is of a round, from 0, and actions."""
    taken = []
    for t, x in enumerate(contexts):
        arm = learner.choice(t + 1, x, delta)
        learner.learn(arm, x, reward(t, learner.actions[arm]))
        taken.append(learner.actions[arm])
    return np.array(taken)
