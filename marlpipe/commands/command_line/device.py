"""The device of --device."""

import torch

from marlpipe.errors import UserError


def usable(device: str) -> torch.device:
    """UserError for what torch does not know, and for what this machine does not have."""
    try:
        made = torch.zeros(1, device=device)
        made.item()  # which some of torch's devices have not
        return made.device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device={device} cannot be used: {reason}\n  valid: cpu, or a GPU such as cuda") from error
