"""The allocators: freed memory goes back to the system while a history is read, and at its end.

By default glibc raises the size from which an array has pages of its own to that of the largest freed one, up to 32 MB,
and Arrow's allocator retains the buffers of a file that it has read. A process that reads years of a market then keeps
two thirds of what it frees.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # malloc.h
_MB = 2**20
#: From this size on a block has pages of its own, while a history is read and later; free bytes at the end of the heap.
_READING_BYTES, _COMPUTING_BYTES, _KEPT_BYTES = 2 * _MB, 32 * _MB, 64 * _MB


@contextmanager
def returning_freed_memory() -> Iterator[None]:
    """Give large arrays pages of their own, in the whole process; at the end return all gaps. Without glibc do nothing.

    Arrow uses the C library's allocator in the meantime. Afterwards only the largest arrays have pages of their own, as
    is glibc's habit: new pages cost more time than gaps that are used again.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    libc.mallopt(_MMAP_THRESHOLD, _READING_BYTES)
    arrow = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(arrow)
        libc.mallopt(_MMAP_THRESHOLD, _COMPUTING_BYTES)
        libc.malloc_trim(ctypes.c_size_t(0))
