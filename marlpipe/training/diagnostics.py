"""Metrics of evaluations: returns of episodes, and whether the learned factorisation keeps the method's promises."""

from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.models.monotonicity.jacobian import violation_rate
from marlpipe.models.utilities import greedy_actions
from marlpipe.types import EpisodeBatch, JointValueView, Metrics

MOST_JOINT_ACTIONS = 64  # tried at each time step; all of them where there are no more
SMALLEST_GAP = 1e-4  # relative to the larger value; rounding in sums over agents stays below it

Value = Callable[[Int[Tensor, "B T N"]], Float[Tensor, "B T"]]


def episode_metrics(played: EpisodeBatch) -> Metrics:
    """Team returns (undiscounted) and lengths (env steps) of complete episodes, as the log names them after "eval/"."""
    returns = played.team_rewards.sum(1)
    return {
        "return_mean": returns.mean(),
        "return_std": returns.std(correction=0),
        "return_min": returns.min(),
        "return_max": returns.max(),
        "length_mean": played.lengths.float().mean(),
    }


def joint_actions(
    greedy: Int[Tensor, "B T N"], avail_actions: Bool[Tensor, "B T N A"], most: int = MOST_JOINT_ACTIONS
) -> Iterator[Int[Tensor, "B T N"]]:
    """Joint actions to compare with the greedy one: all of them where A^N ≤ `most`, else a sample of `most`.

    Half of a sample is uniform over the available actions, the other half changes the greedy action of one agent. Equal
    shapes draw equal samples. The greedy action replaces an unavailable one.
    """
    n_agents, n_actions = avail_actions.shape[-2:]
    few = n_actions**n_agents <= most
    for tried in _each(greedy, n_actions) if few else _sample(greedy, avail_actions, most):
        available = avail_actions.gather(-1, tried.unsqueeze(-1)).squeeze(-1)
        yield torch.where(available, tried, greedy)


def _each(greedy: Int[Tensor, "B T N"], n_actions: int) -> Iterator[Int[Tensor, "B T N"]]:
    each = torch.cartesian_prod(*(torch.arange(n_actions, device=greedy.device),) * greedy.shape[-1])
    return (tried.expand_as(greedy) for tried in each.view(-1, greedy.shape[-1]))


def _sample(
    greedy: Int[Tensor, "B T N"], avail_actions: Bool[Tensor, "B T N A"], most: int
) -> Iterator[Int[Tensor, "B T N"]]:
    draw = torch.Generator(greedy.device).manual_seed(0)
    weights = (avail_actions | ~avail_actions.any(-1, keepdim=True)).flatten(0, -2).float()
    agents = torch.arange(greedy.shape[-1], device=greedy.device)
    for number in range(most):
        tried = torch.multinomial(weights, 1, generator=draw).view_as(greedy)
        changed = torch.randint(len(agents), (*greedy.shape[:-1], 1), generator=draw, device=greedy.device)
        yield tried if number % 2 else torch.where(agents == changed, tried, greedy)


def igm_consistency(
    value: Value, greedy: Int[Tensor, "B T N"], tried: Iterable[Int[Tensor, "B T N"]], valid: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """The share of valid time steps at which no tried joint action has a higher value than the greedy one.

    Individual-global-max (Son et al. 2019, eq. 1). Differences within rounding do not count.
    """
    of_greedy = value(greedy)
    best = of_greedy
    for actions in tried:
        best = torch.maximum(best, value(actions))
    consistent = best - of_greedy <= SMALLEST_GAP * best.abs().clamp(min=1)
    return (consistent & valid).sum() / valid.sum()


def gradient_shares(learned: JointValueView) -> Float[Tensor, " J"]:
    """Each block's share of the sum of all blocks' gradient norms: which blocks the agents learn from."""
    norms = learned.block_gradients()
    return norms / norms.sum().clamp(min=torch.finfo(norms.dtype).tiny)


def value_table(value: Value, valid: Bool[Tensor, "B T"], n_agents: int, n_actions: int) -> Float[Tensor, " *joint"]:
    """The value of each joint action (A × … × A) at the first time step of the first episode."""
    each = torch.cartesian_prod(*(torch.arange(n_actions, device=valid.device),) * n_agents)
    rows = [value(actions.expand(*valid.shape, n_agents))[0, 0] for actions in each.view(-1, n_agents)]
    return torch.stack(rows).view((n_actions,) * n_agents)


@torch.no_grad()
def diagnostic_metrics(
    learned: JointValueView, batch: EpisodeBatch, team_table: Float[Tensor, " *joint"] | None
) -> Metrics:
    """All diagnostics: scalars, and the vectors and tables that figures show.

    Args:
        learned: the factorisation on `batch`.
        batch: complete episodes.
        team_table: A × … × A, the true payoffs of a matrix game whose episodes last one env step; None elsewhere.
    """
    avail_actions = batch.avail_actions[:, :-1]
    greedy = greedy_actions(learned.utilities, avail_actions)
    shares, tried = gradient_shares(learned), joint_actions(greedy, avail_actions)
    metrics = {
        "monotonicity_violation_rate": violation_rate(learned.slopes(), learned.reads, batch.valid),
        "igm_consistency": igm_consistency(learned.joint_value, greedy, tried, batch.valid),
    }
    if learned.optimal_value is not None:
        tried = joint_actions(greedy, avail_actions)
        metrics["igm_consistency_q_star"] = igm_consistency(learned.optimal_value, greedy, tried, batch.valid)
    if len(shares) > 1:
        metrics |= {"gradient_share_largest": shares.max(), "gradient_shares": shares}
    if team_table is not None:
        truth = team_table.to(learned.utilities)
        table = value_table(learned.joint_value, batch.valid, truth.dim(), len(truth))
        found = truth[tuple(greedy[0, 0].tolist())] == truth.max()
        metrics |= {
            "optimum_found": found.to(truth),
            "payoff_error": (table - truth).square().mean().sqrt(),
            "learned_table": table,
            "true_table": truth,
        }
        if learned.optimal_value is not None:
            optimal = value_table(learned.optimal_value, batch.valid, truth.dim(), len(truth))
            metrics |= {"payoff_error_q_star": (optimal - truth).square().mean().sqrt(), "q_star_table": optimal}
    return metrics
