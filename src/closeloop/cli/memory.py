"""Keeps a command's memory near what it uses, where the C library would keep what was freed."""

from __future__ import annotations

import ctypes
import sys

M_ARENA_MAX = -8
"""The parameter's number in glibc's malloc.h."""
ARENAS = 2


def keep_memory_low() -> None:
    """Let all threads share two heaps (glibc only), and Arrow use them.

    Each thread else keeps a heap of its own with what it freed. A first run over 400,000 reviews
    peaks at 1.4 GB instead of 1.8, in the same time.
    """
    import pyarrow as pa

    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None and mallopt(M_ARENA_MAX, ARENAS):
            pa.set_memory_pool(pa.system_memory_pool())
