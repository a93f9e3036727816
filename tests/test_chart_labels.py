"""Labels of charts, the logistic regression beside the network, and the sessions that decide a score."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.chart_labels import GAP, HORIZONS, above_median, forward
from processors.chart_scores import occlusion
from processors.charts import heights
from processors.days import to_date, to_day
from processors.logistic import NoFitError, fit, probability
from streams.calendars import xshg
from tests.charts import MadeModel, made_bars

CALENDAR = xshg()


def test_a_return_runs_from_the_next_open_to_the_last_close_of_its_horizon() -> None:
    opens, levels = np.arange(1.0, 9.0)[:, None], np.arange(10.0, 90.0, 10)[:, None]
    assert forward(opens, levels, 5)[:, 0].tolist()[:3] == [60 / 2 - 1, 70 / 3 - 1, 80 / 4 - 1]
    assert np.isnan(forward(opens, levels, 5)[3:]).all()
    assert np.isnan(forward(opens, levels, 20)).all()
    assert above_median(np.array([3.0, np.nan, 1.0, 2.0])).tolist()[2:] == [0.0, 0.0]
    assert np.isnan(above_median(np.full(3, np.nan))).all()


@given(day=st.integers(0, 59), move=st.floats(0.5, 2))
@settings(max_examples=30, deadline=None)
def test_a_label_depends_on_the_sessions_of_its_horizon_alone(day: int, move: float) -> None:
    rng = np.random.default_rng(1)
    opens, levels = rng.uniform(9, 11, (60, 5)), rng.uniform(9, 11, (60, 5))
    for horizon in HORIZONS:
        before = forward(opens, levels, horizon)
        other_opens, other_levels = opens.copy(), levels.copy()
        other_opens[day] *= move
        other_levels[day] *= move
        changed = np.flatnonzero(
            ((forward(other_opens, other_levels, horizon) != before) & ~np.isnan(before)).any(axis=1)
        )
        assert {*changed.tolist()} <= {day - 1, day - horizon}


@given(year=st.sampled_from([2018, 2019, 2020]), share=st.floats(0.05, 0.5))
@settings(max_examples=20, deadline=None)
def test_no_label_of_a_training_reaches_into_what_stops_it_or_into_its_year(year: int, share: float) -> None:
    pytest.importorskip("torch")
    from streams.charts.training import split

    days = CALENDAR.between(to_day(date(2017, 1, 3)), to_day(date(2020, 12, 31)))[::3]
    first, last = split(days, year, share, CALENDAR)
    ends = [CALENDAR.after(int(days[rows].max()), GAP) for rows in (first, last)]
    assert ends[0] is not None and ends[0] < days[last].min()
    assert ends[1] is not None and to_date(ends[1]).year < year


def test_the_logistic_regression_finds_its_coefficients() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40_000, 3))
    wanted = np.array([0.3, -1.0, 0.5, 0.0])
    y = (rng.random(len(x)) < probability(x, wanted)).astype(float)
    np.testing.assert_allclose(fit(x, y), wanted, atol=0.05)
    with pytest.raises(NoFitError, match="cases of both kinds"):
        fit(x, np.ones(len(x)))


def test_a_session_that_decides_has_the_largest_weight_of_the_map() -> None:
    chart = heights(made_bars(1, gaps=0))[0]
    found = occlusion(MadeModel(), 2020, chart)
    assert found is not None and found.shape == (20,)
    assert (found[:15] == 0).all()  # the made model reads the last five sessions
    assert (found[15:] > 0).all()
