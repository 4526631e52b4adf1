"""Freed memory is kept for the next update instead of being handed back to the system and zeroed again."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
LARGEST_KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Each update frees about as much as the next one needs; glibc would give it back and fault it in page by page."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
