"""What monotone values of two agents can hold at best: least squares over all tables that rise in both utilities.

Utilities order each agent's actions. A table that falls along neither order is a constant plus non-negative multiples
of indicators of upper sets, which contain with a cell all that come after it in both orders.
"""

from functools import cache
from itertools import pairwise, permutations, product
from typing import NamedTuple

import torch
from scipy.optimize import nnls
from torch import Tensor


class MonotoneFit(NamedTuple):
    """A table, and Σ w (table − payoffs)², where w is 1 for cells below the payoff and α for those above."""

    cost: float
    table: Tensor


def best_monotone_fit(payoffs: Tensor, alpha: float = 1.0, top: int | None = None) -> MonotoneFit:
    """The best over all orders of the actions; with `top` over those in which it is the last of both agents."""
    orders = [order for order in permutations(range(len(payoffs))) if top in (None, order[-1])]
    fits = (fit_in_order(payoffs, rows, columns, alpha) for rows, columns in product(orders, orders))
    return min(fits, key=lambda fit: fit.cost)


def fit_in_order(payoffs: Tensor, rows: tuple[int, ...], columns: tuple[int, ...], alpha: float = 1.0) -> MonotoneFit:
    """The best table that rises along `rows` and `columns`, which name the actions from the lowest utility up."""
    place = torch.tensor(rows)[:, None], torch.tensor(columns)[None, :]
    wanted, basis, weights = payoffs[place].flatten(), generators(len(payoffs)), torch.ones(payoffs.numel())
    for _ in range(100):
        root = weights.double().sqrt()
        multiples, _ = nnls((basis * root[:, None]).numpy(), (wanted * root).numpy())
        found = basis @ torch.from_numpy(multiples)
        again = torch.where(found <= wanted + 1e-9, 1.0, alpha)
        if torch.equal(again, weights):
            break
        weights = again
    table = torch.empty_like(payoffs)
    table[place] = found.view_as(payoffs)
    return MonotoneFit(float((weights * (found - wanted) ** 2).sum()), table)


@cache
def generators(n_actions: int) -> Tensor:
    """(A², K): indicators of upper sets, the constant with both signs among them."""
    heights = product(range(n_actions + 1), repeat=n_actions)
    falling = [h for h in heights if all(a >= b for a, b in pairwise(h))]
    sets = [[float(column >= height) for height in h for column in range(n_actions)] for h in falling]
    return torch.tensor([*sets, [-1.0] * n_actions**2], dtype=torch.float64).T
