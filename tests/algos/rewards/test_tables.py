"""What a run writes of the learned rewards of two agents who see one number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer

from marlpipe.envs import graphs
from marlpipe.runs.folder import RunFolder
from marlpipe.training.callbacks.reward_tables import RewardTables
from marlpipe.training.learner import Learner
from marlpipe.training.learning_rate import LinearDecay
from tests.support.composition import build
from tests.support.synthetic import make_spec

SPEC = make_spec(n_agents=2, obs_dim=8, graph=graphs.line(2))


def written(tmp_path: Path, *overrides: str, spec: Any = SPEC) -> tuple[Any, list[dict[str, Any]]]:
    algorithm = build(*overrides, spec=spec)
    folder = RunFolder(tmp_path).create()
    callback = RewardTables(folder=folder)
    callback.env_steps = 70
    learner = Learner(
        algorithm=algorithm,
        optimizer=torch.optim.Adam,
        learning_rate=LinearDecay(end=1.0, env_steps=1),
        gradient_clip=0.0,
        target_update_episodes=1,
        team_table=None,
        generator=torch.Generator(),
    )
    callback.on_validation_end(Trainer(accelerator="cpu", logger=False, enable_checkpointing=False), learner)
    return algorithm, folder.read_tables()


def test_a_row_holds_each_sets_reward_of_all_pairs_of_distances(tmp_path: Path) -> None:
    algorithm, [row] = written(tmp_path, "algo=lomaq_rd", "reward=learned_pairs", "reward.model.features=[6]")
    assert row["env_steps"] == 70
    assert row["decomposition/seen"] == pytest.approx([0.1 * step for step in range(15)])
    assert row["decomposition/sets"] == [[0], [1], [0, 1]]
    obs = torch.zeros(1, 2, 8, dtype=torch.float64)
    for a, b in [(0, 0), (3, 0), (0, 14), (7, 2)]:
        obs[0, :, 6] = torch.tensor([a / 10, b / 10])
        with torch.no_grad():
            expected = algorithm.reward.model(obs)[0].tolist()
        assert [table[a][b] for table in row["decomposition/rewards"]] == pytest.approx(expected, abs=1e-6)
        assert row["decomposition/predicted"][a][b] == pytest.approx(sum(expected), abs=1e-6)
    first, second, _ = np.array(row["decomposition/rewards"])
    assert np.ptp(first[:, 0]) > 1e-3
    np.testing.assert_allclose(first, np.broadcast_to(first[:, :1], (15, 15)), atol=1e-9)  # a row is agent 0's number
    np.testing.assert_allclose(second, first.T, atol=1e-9)  # one network for both


@pytest.mark.parametrize(
    "overrides",
    [["algo=lomaq"], ["algo=lomaq_rd"], ["algo=lomaq_rd", "reward.model.features=[5,6]"]],
    ids=["local rewards", "a whole observation", "two numbers"],
)
def test_what_cannot_be_drawn_is_not_written(tmp_path: Path, overrides: list[str]) -> None:
    assert written(tmp_path, *overrides)[1] == []


def test_three_agents_cannot_be_drawn(tmp_path: Path) -> None:
    spec = make_spec(n_agents=3, obs_dim=8)
    assert written(tmp_path, "algo=lomaq_rd", "reward.model.features=[6]", spec=spec)[1] == []
