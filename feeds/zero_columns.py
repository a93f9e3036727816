"""Columns of zeros in place of figures that a vendor does not have: they are absent, not zero.

Shenzhen publishes no repayments and Shanghai no value of lent shares. A vendor that writes 0 there would turn every buy
into a net buy. A market in which nobody repays does not exist, so that a column of zeros shows itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from feeds.validate import Finding, Severity
from processors.codes import EXCHANGES, exchange_of
from processors.days import to_date

#: Figure → the figure beside which zeros in every row can't be, and the least number of such rows of a day.
_BESIDE = {"fin_repay": ("fin_buy", 2), "short_repay": ("short_sell", 20), "short_balance": ("short_volume", 3)}


def zero_columns_removed(frame: pd.DataFrame, topic: str, where: str) -> Iterator[Finding]:
    """Make figures absent that are zero in all rows of an exchange and day; report each column once.

    Parameters
    ----------
    frame : rows of a topic, changed in place.
    """
    if not topic.startswith("margin.") or not len(frame):
        return
    totals = topic == "margin.market"
    exchange = frame["key"].to_numpy() if totals else exchange_of(frame["key"].to_numpy(np.int32))
    day = frame["day"].to_numpy() if "day" in frame else np.zeros(len(frame))
    for name, (beside, least) in _BESIDE.items():
        if name not in frame or beside not in frame:
            continue
        values = frame[name].to_numpy()
        counted = frame[beside].to_numpy() > 0
        group = [pd.Series(day), pd.Series(exchange)]
        only_zeros = ~pd.Series((values != 0) & ~np.isnan(values)).groupby(group).transform("any").to_numpy(bool)
        rows = pd.Series(counted & (values == 0)).groupby(group).transform("sum").to_numpy()
        zero = only_zeros & (values == 0) & (rows >= (1 if totals else least))
        if zero.any():
            frame.loc[zero, name] = np.nan
            places = ", ".join(EXCHANGES[one] for one in np.unique(exchange[zero]).tolist())
            first = f" from {to_date(int(day[zero].min()))} on" if "day" in frame else ""
            text = (
                f"{where}, {name}: 0 in every row of {places}{first}, though {beside} is not: the source does not have "
                "this figure; it is absent"
            )
            yield Finding(Severity.WARNING, "zeros", topic, None, text)
