"""Keeps freed memory for the next update, where glibc would return it to the system."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
LARGEST_KEPT = 2**30  # bytes of one allocation


def keep_freed_memory() -> None:
    """Each update frees about as much as the next one needs; returned memory would be faulted in page by page."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
