"""A run that diverges, or whose loop ends too early, has not finished."""

from pathlib import Path

import pytest
import torch
from torch import nn

from marlpipe.commands.drill.verdict import departures
from marlpipe.errors import DivergenceError
from marlpipe.runs.folder import RunFolder
from marlpipe.training.learner import check_finite, check_finite_parameters
from marlpipe.training.loaders import TrainingLoader
from marlpipe.training.session import train
from marlpipe.types import Update
from tests.training.test_resuming import task

ONE, INFINITE, NAN = torch.tensor(1.0), torch.tensor(torch.inf), torch.tensor(torch.nan)


@pytest.mark.parametrize(
    ("loss", "norm", "message"),
    [
        (NAN, ONE, "the loss of its values is nan (gradient step 9)"),
        (-INFINITE, ONE, "the loss of its values is -inf (gradient step 9)"),
        (ONE, INFINITE, "the gradient of its values is inf (gradient step 9)"),
        (ONE, NAN, "the gradient of its values is nan (gradient step 9)"),
    ],
)
def test_a_loss_or_gradient_that_is_not_finite(loss: torch.Tensor, norm: torch.Tensor, message: str) -> None:
    with pytest.raises(DivergenceError) as error:
        check_finite(Update("values", loss, {}), norm, after="gradient step 9")
    assert message in str(error.value)


def test_large_and_small_numbers_are_finite() -> None:
    check_finite(Update("values", torch.tensor(-1e38), {}), torch.tensor(1e38), after="")


def test_a_parameter_that_is_not_finite() -> None:
    network = nn.Linear(2, 2)
    check_finite_parameters(network)
    with torch.no_grad():
        network.bias[1] = torch.nan
    with pytest.raises(DivergenceError, match="1 of its parameters are not finite, as bias"):
        check_finite_parameters(network)


@pytest.mark.parametrize("clip", ["profile.gradient_clip=1e30", "profile.gradient_clip=10.0"])
def test_a_run_that_diverges_has_failed(clip: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(DivergenceError, match=r"gradient step \d+, \d+ env steps"):
        train(task(folder.path, "profile.optimizer.lr=1e30", clip))
    assert folder.status.state == "failed"
    assert "the run diverged" in str(folder.status.reason)
    assert not folder.final_state.exists()


def test_a_loop_that_ends_early_is_an_interruption_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    train(task(whole.path))
    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoader, "__len__", lambda _: 3)  # Lightning stops after so many batches
        with pytest.raises(KeyboardInterrupt):
            train(task(cut.path, "checkpoint_minutes=0.0"))
    assert cut.status.state == "interrupted"
    assert cut.status.reason == "Lightning ended its loop before env_steps were reached"
    assert cut.last_checkpoint.exists()
    assert not cut.final_state.exists()
    train(task(cut.path))
    assert cut.status.state == "finished"
    assert departures(whole, cut) == []
