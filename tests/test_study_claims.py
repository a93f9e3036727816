"""The claims of studies: verdicts by hand, headlines, the report on a phone's width, and its Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from processors.studies import STUDIES
from processors.studies.claims import Verdict, claims_of, verdict_of
from processors.studies.portfolios import TAILS, Trading, Weeks
from processors.studies.result import Bars, Chart, Curve, Finding, Kind, Line, Mode, Result, Table, Unit
from processors.studies.samples import share_in_sample
from streams.studies import labels
from streams.studies.chinese import CHINESE
from streams.studies.report import report
from streams.studies.run import Study, StudyPlan


def result(mode: Mode, *findings: Finding, source: str = "[SW14]") -> Result:
    chart = Chart("c", "By length", Unit.RATIO, bars=[Bars("+8", 0.1, 0.05, 0.2, 0.15), Bars("-8", -0.1)])
    lines = Chart("l", "Deciles", Unit.NUMBER, lines=[Line("hold", ["2020-01-02", "2020-01-03"], [0.0, 0.1])],
                  levels={"hot 10.3%": 0.05}, marks=["2020-01-03"])  # fmt: skip
    curves = [Curve("β", [0, 1], [0.1, None]), Curve("published", [1], [0.6], published=True)]
    curve = Chart("k", "By threshold", Unit.NUMBER, curves=curves)
    lying = Chart("v", "By threshold", Unit.RATIO, bars=[Bars("close of the next session", 0.1)], upright=False)
    table = Table("t", "By length", ("length", "mean"), [("+8", 0.0123), ("汽车", None)], {"mean": Unit.RATIO})
    notes = ["weeks are calendar weeks, Σ margin buys / Σ turnover"]
    charts = [chart, lines, curve, lying]
    title = "Timing 择时: LLT and GFTD"
    return Result("streaks", title, source, mode, "2016-01-04", "2021-03-31", list(findings), [table], charts, notes)


@pytest.mark.parametrize(
    ("kind", "ours", "published", "base", "interval", "verdict"),
    [
        (Kind.NONE, 0.1, None, None, (None, None), None),
        (Kind.LEVEL, None, 0.1, None, (None, None), Verdict.UNCHECKED),
        (Kind.LEVEL, 0.109, 0.1, None, (None, None), Verdict.REPRODUCED),
        (Kind.LEVEL, 0.072, 0.1, None, (None, None), Verdict.WEAKER),
        (Kind.LEVEL, -0.1, 0.1, None, (None, None), Verdict.NOT_FOUND),
        (Kind.EFFECT, 0.18, 0.20, None, (0.10, 0.25), Verdict.REPRODUCED),
        (Kind.EFFECT, 0.18, 0.20, None, (-0.01, 0.35), Verdict.WEAKER),  # chance explains it
        (Kind.EFFECT, 0.10, 0.20, None, (0.02, 0.15), Verdict.WEAKER),
        (Kind.EFFECT, 0.03, 0.20, None, (0.01, 0.05), Verdict.NOT_FOUND),
        (Kind.EFFECT, -0.18, 0.20, None, (-0.25, -0.10), Verdict.NOT_FOUND),
        (Kind.EFFECT, 0.55, 0.80, 0.52, (0.40, 0.70), Verdict.NOT_FOUND),  # the base rate is as high
        (Kind.EFFECT, -0.022, -0.020, -0.008, (-0.030, -0.010), Verdict.REPRODUCED),
        (Kind.LOSS, 0.08, 0.10, None, (None, None), Verdict.REPRODUCED),
        (Kind.LOSS, 0.14, 0.10, None, (None, None), Verdict.WEAKER),
        (Kind.LOSS, 0.17, 0.10, None, (None, None), Verdict.NOT_FOUND),
        (Kind.BELOW, 0.34, 0.35, 0.39, (0.30, 0.40), Verdict.REPRODUCED),
        (Kind.BELOW, 0.37, 0.35, 0.39, (0.30, 0.40), Verdict.WEAKER),
        (Kind.BELOW, 0.41, 0.35, 0.39, (0.37, 0.46), Verdict.NOT_FOUND),
        (Kind.ABOVE, 0.61, 0.60, 0.12, (None, None), Verdict.REPRODUCED),
        (Kind.ABOVE, 0.55, 0.60, 0.12, (None, None), Verdict.WEAKER),
        (Kind.ABOVE, 0.10, 0.60, 0.12, (None, None), Verdict.NOT_FOUND),
        (Kind.RISES, 0.01, None, None, (0.005, 0.02), Verdict.REPRODUCED),
        (Kind.RISES, 0.01, None, None, (-0.005, 0.02), Verdict.WEAKER),
        (Kind.FALLS, 0.01, None, None, (0.005, 0.02), Verdict.NOT_FOUND),
    ],
)
def test_verdicts(kind: Kind, ours: float | None, published: float | None, base: float | None,
                  interval: tuple[float | None, float | None], verdict: Verdict | None) -> None:  # fmt: skip
    low, high = interval
    assert verdict_of(Finding("x", ours, published=published, low=low, high=high, kind=kind, base=base)) is verdict


def test_a_figure_of_too_few_cases_for_its_interval_neither_reproduces_a_claim_nor_refutes_it() -> None:
    """Five weeks were taken for a figure beyond chance."""
    for ours in (0.0073, -0.0047):
        thin = Finding(
            "dual_2: weekly mean", ours, published=0.003, interval="block bootstrap", cases=5, kind=Kind.EFFECT
        )
        (claim,) = claims_of([result(Mode.POINT_IN_TIME, thin)])
        assert (claim.verdict, claim.note) == (Verdict.UNCHECKED, "too few cases for an interval")
        assert labels.translate(claim.note) == "案例太少，无法给出区间"


def test_the_verdict_is_on_what_a_reader_could_act_on() -> None:
    found = (Finding("x", 0.2, published=0.2, kind=Kind.EFFECT), Finding("x", 0.01, published=0.2, kind=Kind.EFFECT))
    modes = [result(mode, one) for mode, one in zip(Mode, found, strict=True)]
    (claim,) = claims_of(modes)
    assert (claim.as_source, claim.point_in_time, claim.verdict) == (0.2, 0.01, Verdict.NOT_FOUND)
    (alone,) = claims_of(modes[:1])
    assert (alone.as_source, alone.point_in_time, alone.verdict) == (0.2, None, Verdict.REPRODUCED)


def test_a_claim_that_fails_out_of_sample_is_named_at_the_top() -> None:
    good = Finding("weekly maximum", 0.1, published=0.1, kind=Kind.LEVEL)
    bad = Finding("weekly mean", 0.0001, published=0.003, low=-0.001, high=0.001, kind=Kind.EFFECT)
    unknown = Finding("weekly median", None, published=0.1, kind=Kind.LEVEL)
    failing, fine, unchecked = (
        claims_of([result(Mode.POINT_IN_TIME, *found)]) for found in ((good, bad, unknown), (good,), (unknown,))
    )
    period = ("2016-01-04", "2021-03-31")
    sentence = labels.headline(failing, *period, "en")
    assert sentence.startswith("Out of sample, 1 of 2 published claims that can be checked is not found, or weaker: ")
    assert "weekly mean (published 0.30%, ours 0.01%, not beyond chance)" in sentence
    assert "周均超额（发表值 0.30%，本系统 0.01%，未超出随机）" in labels.headline(failing, *period, "zh")
    assert "the only published claim that can be checked is reproduced." in labels.headline(fine, *period, "en")
    assert "can't check any" in labels.headline(unchecked, *period, "en")
    ours_alone = claims_of([result(Mode.POINT_IN_TIME, Finding("network: rank IC", 0.05))])
    assert labels.headline(ours_alone, *period, "en") == "The source publishes no figure to compare with."
    assert labels.headline(fine, "2013-02-01", "2014-12-30", "en").startswith("In the period of the source")
    assert share_in_sample("[GF25]", *period) is None


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(-0.0204, Unit.RATIO, "−2.04%"), (-0.00001, Unit.RATIO, "0.00%"), (-1234.5, Unit.NUMBER, "−1,234.5"),
     (-0.4, Unit.NUMBER, "−0.400"), (-3, None, "−3"), (-0.0001, Unit.NUMBER, "0.000"), (None, Unit.RATIO, "–"),
     ("< -5%", None, "< −5%"), ("2018-01-02, -3 to 5%-10%", None, "2018-01-02, −3 to 5%-10%")],
)  # fmt: skip
def test_a_figure_has_the_minus_sign_of_print_and_none_where_it_rounds_to_zero(
    value: float | int | str | None, unit: Unit | None, shown: str
) -> None:
    assert labels.figure(value, unit) == shown


def test_a_text_has_the_minus_sign_of_print_in_both_languages() -> None:
    english = "years: 2016, 2017; best 17.67%, worst -6.70%"
    assert labels.text(english, "en").endswith("worst −6.70%")
    assert labels.text(english, "zh").endswith("最差−6.70%")


def test_every_chinese_text_has_the_numbers_of_the_english_one() -> None:
    assert [text for text, chinese in CHINESE.items() if text.count("#") != chinese.count("#")] == []
    assert labels.translate("dual_2: weekly mean") == "双选2：周均超额"
    assert labels.translate("CSI 300: Sharpe") == "沪深300：夏普比率"
    assert (
        labels.translate("years: 2016, 2017; best 17.67%, worst -6.70%") == "年份：2016, 2017；最好17.67%，最差-6.70%"
    )
    assert all(labels.translate(study.TITLE) != study.TITLE for study in STUDIES.values())


def test_a_report_is_self_contained_and_each_cell_names_its_column(tmp_path: Path) -> None:
    findings = (
        Finding("weekly mean", 0.001, published=0.003, kind=Kind.EFFECT, note="<b>"),
        Finding("IR", 1.0, Unit.NUMBER),
    )
    results = [result(mode, *findings) for mode in Mode]
    study = Study(results, claims_of(results))
    plan = StudyPlan(tmp_path, ("streaks",), tuple(Mode))
    for language in ("en", "zh"):
        page = report([study], plan, ["a note"], language)
        assert not re.search(r'(src|href)="(?!#)', page.replace("xlink:href", ""))
        assert "&lt;b&gt;" in page
        body = re.sub(r"(?s)<svg.*?</svg>", "", page)
        # On a phone a row is a card: no header is visible, so each cell but the first names its column.
        for row in re.findall(r"(?s)<tr>(<td.*?)</tr>", body):
            first, *cells = re.findall(r"<td[^>]*>", row)
            assert all("data-label=" in cell for cell in cells), first
        assert page.count("<svg ") == 4
        assert not re.search(r'<svg [^>]*width="', page)  # the page decides on the width
        assert all(float(size) >= 7 for size in re.findall(r"font: ([\d.]+)px", page))
    assert "汽车" in report([study], plan, [], "zh") and "Autos" in report([study], plan, [], "en")


class _Panel:
    """Five stocks over three days, of which one is suspended on the last."""

    levels = np.array([[1.0, 1, 1, 1, 1], [1.1, 1.0, 0.9, 1.2, 1.0], [1.2, 1.0, 0.9, np.nan, 1.1]])
    open_levels = levels
    traits = np.zeros((3, 5), dtype=np.uint8)
    days = np.arange(3)


def test_a_suspended_stock_keeps_its_last_price_at_the_exit() -> None:
    weeks = object.__new__(Weeks)
    weeks.panel, weeks.trading = _Panel(), Trading(Mode.AS_SOURCE)  # type: ignore[assignment]
    weeks.at_open, weeks.filled = False, np.where(np.isnan(_Panel.levels), _Panel.levels[1], _Panel.levels)
    weeks.entry, weeks.starts, weeks.stops = np.arange(3), np.array([0]), np.array([2])
    np.testing.assert_allclose(weeks.path(0, np.array([0, 3])), [1.15, 1.2])
    weeks.at_open = True
    np.testing.assert_allclose(weeks.path(0, np.array([0, 3]))[-1], 1.2)
    assert len(weeks) == 1 and TAILS[0] == 0.1
