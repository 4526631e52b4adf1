"""What an evaluation reads of every algorithm, with gradients switched off as Lightning does."""

import pytest
import torch

from marlpipe.training.diagnostics import diagnostic_metrics
from tests.support.cases import ALGOS
from tests.support.composition import build
from tests.support.synthetic import make_spec, ragged_batch

SPEC = make_spec(n_agents=3)


@pytest.mark.parametrize("algo", ALGOS)
def test_the_diagnostics_need_no_gradients_from_outside(algo: str) -> None:
    algorithm = build(f"algo={algo}", spec=SPEC)
    batch = ragged_batch(SPEC, lengths=[4, 2], terminal=[True, False], dtype=torch.float64)
    with torch.no_grad():
        metrics = diagnostic_metrics(algorithm.joint_value_view(batch), batch, None)
    assert metrics
    assert all(torch.as_tensor(value).isfinite().all() for value in metrics.values())
