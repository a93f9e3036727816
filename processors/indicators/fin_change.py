"""fin_change 融资余额变动率: a security's day-to-day growth of its margin balance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats
from processors.needs import security
from processors.signal import Level, Signal

FIN_CHANGE = Signal(
    "fin_change",
    Level.SECURITY,
    "Change of the margin balance",
    "融资余额变动率",
    "ratio",
    (security("fin_balance"), security("fin_balance", back=1)),
    "Δ = B_t / B_{t−1} − 1; absent on the first <inclusion_quiet_days> days after inclusion in the eligible list and below a "
    "balance of <minimum_balance_cny:,.0f> CNY",
    "[SW14], exclusions ours",
    parameters=("inclusion_quiet_days", "minimum_balance_cny"),
)
SIGNALS = (FIN_CHANGE,)

#: Age of a security that was included before the first day of the data.
LONG_AGO = 1_000_000


def fin_change(
    balance: Floats, previous: Floats, age: npt.NDArray[np.int32], *, quiet_days: int, minimum_balance: float
) -> Floats:
    """Return Δ of every security (n,), a fraction; NaN where absent.

    Parameters
    ----------
    balance, previous : (n,) CNY, NaN where the security is not in the day's list.
    age : (n,) days in the list since inclusion; 0 on the day of inclusion.
    quiet_days : days after inclusion on which Δ is absent.
    minimum_balance : CNY; Δ is absent below it.
    """
    usable = (previous > 0) & (balance >= minimum_balance) & (age > quiet_days)
    out = np.full(len(balance), np.nan)
    np.divide(balance, previous, out=out, where=usable)
    return np.asarray(out - 1.0)
