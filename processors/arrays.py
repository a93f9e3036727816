"""The array types that signatures name: one alias for what an array contains."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
#: Which of n items are meant.
Mask: TypeAlias = npt.NDArray[np.bool_]
#: Positions of items in another array, as `numpy.flatnonzero` returns them.
Indexer: TypeAlias = npt.NDArray[np.intp]
#: Items by their number, as `numpy.bincount` returns them.
Counts: TypeAlias = npt.NDArray[np.intp]
#: Securities, indices and exchanges as ids (`processors.codes`).
Ids: TypeAlias = npt.NDArray[np.int32]
#: Trade dates as days since 1970-01-01 (`processors.days`).
Days: TypeAlias = npt.NDArray[np.int32]
#: Revisions of rows.
Revisions: TypeAlias = npt.NDArray[np.int32]
#: Ids, or ids with a day in the upper bits.
Keys: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]
