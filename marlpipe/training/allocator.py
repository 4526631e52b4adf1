"""The memory of a run: freed memory is kept for the next update, and what cannot be had is an error of the user's."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from marlpipe.errors import UserError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
LARGEST_KEPT = 2**30  # bytes of one allocation


def keep_freed_memory() -> None:
    """Each update frees about as much as the next one needs; returned memory would be faulted in page by page."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def memory_errors_as_user_errors() -> Iterator[None]:
    """Turns torch's errors for memory that cannot be had into a UserError with the keys that take most of it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        raise UserError(
            f"the run needs more memory than there is: {str(error).splitlines()[0]}\n"
            "  next: a smaller profile.replay_episodes, profile.batch_episodes or profile.parallel_episodes"
        ) from error
