"""Notices in what agents are paid that they do not play as one team."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def group(agent: str) -> str:
    """An agent's name without its number: adversary_0 and adversary_1 are of one group."""
    return re.sub(r"[_\-]?\d+$", "", agent) or agent


class OpposedRewards:
    """Watches the rewards of a world until they show opposed sides, and says so once.

    Names alone show nothing, since the knights and archers of one team have different ones. Nor do opposite signs
    alone, since one of a team may pay for a collision while another one scores. Two things do:

    - in one env step a group of agents gains in total and a group of another name loses;
    - whatever the agents are paid, it always adds up to nothing, over `ENOUGH` env steps in which any is paid.
    """

    ENOUGH = 20

    def __init__(self, agents: Sequence[str]) -> None:
        names = [group(agent) for agent in agents]
        self.groups = list(dict.fromkeys(names))
        self._member = np.array([[name == of for of in self.groups] for name in names], dtype=np.float32)  # N G
        self._done, self._cancelled = len(agents) < 2, 0

    def seen(self, rewards: Float[ndarray, "B N"]) -> str | None:
        """A remark about the rewards of one env step of all copies, with those before it; None where there is none."""
        if self._done or not rewards.any():
            return None
        totals = rewards @ self._member
        opposed = np.flatnonzero((totals > 0).any(1) & (totals < 0).any(1))
        if len(opposed) and len(self.groups) > 1:
            self._done = True
            paid = zip(self.groups, totals[opposed[0]].tolist(), strict=True)
            sides = ", ".join(f"{name} {total:g}" for name, total in paid)
            return f"groups of its agents are paid against each other, in one env step {sides}"
        paid_at_all = rewards.any(1)
        if not np.allclose(rewards[paid_at_all].sum(1), 0, atol=1e-6):
            self._cancelled = -1
        elif self._cancelled >= 0:
            self._cancelled += int(paid_at_all.sum())
        if self._cancelled < self.ENOUGH:
            return None
        self._done = True
        return f"what its agents are paid added up to 0 in all of {self._cancelled} env steps, as among opponents"
