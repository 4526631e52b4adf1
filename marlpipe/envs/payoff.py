"""Matrix games: rewards are entries of a payoff table, and the state never changes.

LOMAQ uses one to show what a partition can represent (appendix, "Limitations of Monotonic Utilities" and Figure 7),
QTRAN, WQMIX and QPLEX use others to show what a monotonic mixer cannot represent.
"""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.scene import Box, Label, Line, Scene, Shape
from marlpipe.errors import Bound, UserError, bounds_of, check_numbers
from marlpipe.types import EnvSpec, Observation, Timestep

TAKEN, OPTIMAL = "#d55e00", "#b8860b"


class PayoffState(NamedTuple):
    """The only state of a matrix game, with the elapsed time."""

    elapsed: Int[Tensor, " B"]  # env steps since the reset


def parse_payoffs(
    team_payoffs: Sequence[Any] | None, local_payoffs: Sequence[Any] | None
) -> Float[Tensor, " N *joint_actions"]:
    """One table per agent from nested lists, in float64. Team payoffs go to agent 0, so that the sum is the payoff."""
    given = {"team_payoffs": team_payoffs, "local_payoffs": local_payoffs}
    named = [(name, payoffs) for name, payoffs in given.items() if payoffs is not None]
    if len(named) != 1:
        raise UserError(
            f"{' and '.join(name for name, _ in named) or 'no payoffs'} given to a payoff game.\n"
            "  valid: either team_payoffs (one table) or local_payoffs (a list of one table per agent)\n"
            "  next: set exactly one of env.team_payoffs and env.local_payoffs, the other to null"
        )
    [(name, payoffs)] = named
    try:
        tables = torch.tensor(payoffs, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # ragged, or not numbers
        raise _not_a_table(name, str(error)) from error
    if name == "team_payoffs":
        tables = torch.stack([tables, *[torch.zeros_like(tables)] * (tables.dim() - 1)])
    n_agents, *n_actions = tables.shape
    if len(n_actions) != n_agents or len(set(n_actions)) != 1 or 0 in n_actions:
        raise _not_a_table(name, f"its shape is {tuple(torch.tensor(payoffs).shape)}")
    if not tables.to(torch.get_default_dtype()).isfinite().all():
        raise _not_a_table(name, "it holds a number that is not finite, or too large")
    return tables


def _not_a_table(name: str, reason: str) -> UserError:
    shape = {
        "team_payoffs": "nested lists of numbers, one level per agent and one entry per action in each: A × … × A",
        "local_payoffs": "for each of the N agents nested lists of numbers, N levels deep: N × A × … × A",
    }[name]
    return UserError(
        f"{name} is not a table of payoffs: {reason}.\n"
        f"  valid: {shape}, with the same number A of actions for every agent\n"
        f"  next: give every row of env.{name} the same length, as in env.{name}="
        + ("[[1,0],[0,1]]" if name == "team_payoffs" else "[[[1,0],[0,1]],[[0,1],[1,0]]]")
    )


def shade(share: float) -> str:
    """From white for the lowest payoff, share 0, to blue for the highest, share 1."""
    return "#" + "".join(f"{round(255 + share * (full - 255)):02x}" for full in (0x6B, 0xAE, 0xD6))


def frame(x: int, y: int) -> Line:
    """A line just inside the cell with this lower left corner, which is 1 wide and high."""
    inside = [(0.04, 0.04), (0.96, 0.04), (0.96, 0.96), (0.04, 0.96), (0.04, 0.04)]
    return Line([(x + across, y + up) for across, up in inside], TAKEN, 4)


class PayoffGame:
    """Any number of agents and actions, the same table in each of `horizon` env steps, then termination.

    Observations and state are vectors of ones of length `obs_dim`. With `local_payoffs` the reward of agent i is
    from table i; with `team_payoffs` only the sum over agents is meaningful.

    `team_table` holds the team's payoff for each joint action (A × … × A), `optimum` the highest of them for one env
    step, `optimal_actions` (K × N) every joint action that earns it.
    """

    def __init__(
        self,
        *,
        team_payoffs: Sequence[Any] | None = None,
        local_payoffs: Sequence[Any] | None = None,
        obs_dim: Annotated[int, Bound(1, 10_000)],
        horizon: Annotated[int, Bound(1, 10**6)],
    ) -> None:
        check_numbers("env", {"obs_dim": obs_dim, "horizon": horizon}, bounds_of(PayoffGame.__init__))
        tables = parse_payoffs(team_payoffs, local_payoffs)
        team = tables.sum(0)
        self.team_table = team.to(torch.get_default_dtype())
        self.optimum = float(team.max())
        self.optimal_actions = (self.team_table == self.team_table.max()).nonzero()
        self._rewards = tables.movedim(0, -1).to(self.team_table)  # A … A N
        self.spec = EnvSpec(
            n_agents=len(tables),
            n_actions=len(self.team_table),
            obs_dim=obs_dim,
            state_dim=obs_dim,
            horizon=horizon,
            graph=graphs.complete(len(tables)),
            local_rewards=local_payoffs is not None,
        )

    def reset(self, n: int, generator: torch.Generator) -> PayoffState:
        return PayoffState(torch.zeros(n, dtype=torch.long, device=generator.device))

    def observe(self, state: PayoffState) -> Observation:
        n, device, spec = len(state.elapsed), state.elapsed.device, self.spec
        return Observation(
            obs=torch.ones((n, spec.n_agents, spec.obs_dim), device=device),
            state=torch.ones((n, spec.state_dim), device=device),
            avail_actions=torch.ones((n, spec.n_agents, spec.n_actions), dtype=torch.bool, device=device),
        )

    def step(
        self,
        state: PayoffState,
        actions: Int[Tensor, "B N"],
        generator: torch.Generator,  # noqa: ARG002 payoffs are certain
    ) -> tuple[PayoffState, Timestep]:
        self._rewards = self._rewards.to(actions.device)  # copied once, when the world moves to another device
        elapsed = state.elapsed + 1
        terminated = elapsed >= self.spec.horizon
        return PayoffState(elapsed), Timestep(
            rewards=self._rewards[actions.unbind(1)], terminated=terminated, truncated=torch.zeros_like(terminated)
        )

    def scene(self, state: PayoffState, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        """The table of the team's payoffs: agent 0 chooses the row, agent 1 the column, the joint action is framed.

        Of three agents and more it is the slice that the others' actions select, their first ones after the last step.
        """
        spec, rows = self.spec, self.spec.n_actions
        columns = rows if spec.n_agents > 1 else 1
        joint = [0] * spec.n_agents if actions is None else actions.tolist()
        size, margin = min(14.0, 90 / rows), rows / 3  # so that small and large tables have margins of one width
        shapes: list[Shape] = []
        for row, column in product(range(rows), range(columns)):
            cell = [row, column, *joint[2:]][: spec.n_agents]
            shapes += self._cell(cell, column, rows - 1 - row, size)
        if actions is not None:
            shapes += [frame(joint[1] if columns > 1 else 0, rows - 1 - joint[0])]
        shapes += [Label((-0.15 * margin, rows - 0.5 - row), str(row), size=size) for row in range(rows)]
        shapes += [Label((-0.6 * margin, rows / 2), "agent 0")]
        if columns > 1:
            shapes += [Label((column + 0.5, rows + 0.15 * margin), str(column), size=size) for column in range(columns)]
            shapes += [Label((columns / 2, rows + 0.45 * margin), "agent 1")]
        others = "".join(f", agent {agent} takes {joint[agent]}" for agent in range(2, spec.n_agents))
        caption = f"env step {int(state.elapsed[copy])} of {spec.horizon}{others}"
        shapes += [Label((columns / 2, -0.2 * margin), caption)]
        return Scene((-margin, columns + 0.4 * margin), (-0.4 * margin, rows + 0.65 * margin), shapes)

    def _cell(self, joint_action: list[int], x: int, y: int, size: float) -> list[Shape]:
        """The team's payoff, with a star if it is the optimum, above the agents' own payoffs where they have such."""
        index, lowest = tuple(joint_action), float(self.team_table.min())
        share = (float(self.team_table[index]) - lowest) / ((self.optimum - lowest) or 1)
        shapes: list[Shape] = [Box((x, y), 1, 1, shade(share), "#808080")]
        shapes += [Label((x + 0.5, y + 0.5), f"{float(self.team_table[index]):.3g}", size=size)]
        if self.spec.local_rewards:
            own = ", ".join(f"{payoff:.3g}" for payoff in self._rewards[index].tolist())
            shapes += [Label((x + 0.5, y + 0.2), f"({own})", "#404040", 0.7 * size)]
        if joint_action in self.optimal_actions.tolist():
            shapes += [Label((x + 0.85, y + 0.85), "★", OPTIMAL, size)]
        return shapes
