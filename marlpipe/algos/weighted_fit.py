"""Values, targets and weights of a projection of the unrestricted Q* onto monotone values.

    y = returns of Q*′(s′, û),  w = projection(Q_tot, y, Q*′, …)

(Rashid et al. 2020, §4. CW-QMIX, OW-QMIX and QPro differ in w; PAC in whose actions û are.)
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.algos.blocks import Fit, greedy_blocks, mixed
from marlpipe.algos.optimal_value import JointValues
from marlpipe.mixers.mixer import Mixer
from marlpipe.projections.context import Projection, ProjectionContext
from marlpipe.rewards import BlockRewards
from marlpipe.targets import chosen
from marlpipe.types import EpisodeBatch


def weighted_fit(
    batch: EpisodeBatch,
    paid: BlockRewards,
    all_utilities: Float[Tensor, "B T1 N A"],
    greedy: Int[Tensor, "B T1 N"],
    *,
    mixer: Mixer,
    target: JointValues,
    projection: Projection,
    returns: Callable[..., Tensor],
    partition: Float[Tensor, "J N"],
) -> Fit:
    """Q_tot of the actions taken, with y and w. all_utilities: what is mixed. greedy: û. target: Q*′."""
    state = batch.state[:, :-1]
    utilities = chosen(all_utilities[:, :-1], batch.actions)
    values = mixed(mixer, utilities, state, batch.valid)
    with torch.no_grad():
        of_greedy = target.at_all_moments(greedy)
        context = ProjectionContext(
            values=values.detach(),
            targets=returns(paid.rewards, of_greedy, batch.terminated, batch.valid),
            valid=paid.trusted,
            is_greedy=greedy_blocks(greedy[:, :-1] == batch.actions, partition),
            utilities=all_utilities[:, :-1].detach(),
            avail_actions=batch.avail_actions[:, :-1],
            actions=batch.actions,
            reads=mixer.reads,
            slopes=lambda: mixer.slopes(utilities.detach(), state),
            greedy_optimal_values=of_greedy[:, :-1],
            optimal_values=lambda: target.of(batch.actions),
        )
        weights = projection(context)
    return Fit(values=values, utilities=utilities, context=context, weights=weights)
