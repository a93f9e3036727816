"""Charts: images against a slow drawing, no look-ahead, labels, training on made markets, scores of the stream."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from html import escape
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from alerts.desk import AlertDesk
from alerts.model import Input, State, timeless_alert
from alerts.rules import rules
from processors.chart_scores import NO_MODEL, scored
from processors.chart_windows import ChartWindows
from processors.charts import (
    CLOSE,
    EMPTY,
    HEIGHT,
    HIGH,
    LOW,
    MEAN,
    WIDTH,
    Bars,
    draw,
    enough,
    from_words,
    heights,
    images,
    numbers,
    to_words,
)
from processors.days import to_day
from processors.events import RowBatch
from processors.history import History, end_of_day
from processors.needs import CHARTS, PRICES
from processors.outputs import IndustrySignals, SecuritySignals
from processors.parameters import Parameters
from processors.price_levels import PriceLevels
from processors.studies import charts as charts_study
from processors.studies.chart_rows import ChartRows
from processors.studies.collecting import collect
from processors.studies.panel import Panel
from processors.studies.result import Finding, Mode, Result
from streams.calendars import xshg
from streams.charts import gallery
from streams.settings import Settings
from streams.stages.charts_stage import ChartsStage
from streams.topics import Topic, Topics
from tests.charts import MadeModel, made_bars
from tests.made_market import SMALL, ids, rows, small_market
from tests.oracle.charts import picture

CALENDAR = xshg()
NOW = datetime(2020, 2, 1, tzinfo=UTC)
NAMES = ("opens", "highs", "lows", "closes", "means", "volumes")


# -- images ----------------------------------------------------------------------------------------------------


def slow_picture(of: Bars, i: int) -> list[list[int]]:
    lines = [getattr(of, name)[i].tolist() for name in NAMES]
    names = ("open", "high", "low", "close", "mean", "volume")
    return picture([dict(zip(names, session, strict=True)) for session in zip(*lines, strict=True)])


def test_images_are_those_of_a_slow_drawing() -> None:
    made = made_bars(60)
    found = images(made)
    assert found.shape == (60, HEIGHT, WIDTH)
    assert found.dtype == np.uint8
    for i in range(60):
        np.testing.assert_array_equal(found[i], np.array(slow_picture(made, i)) * 255)


def one_window(**lines: Any) -> Bars:
    flat = {name: np.full((1, 20), 10.0) for name in NAMES}
    return Bars(**flat | {name: np.array([values], dtype=float) for name, values in lines.items()})


@pytest.mark.parametrize(
    "made",
    [
        one_window(),  # all prices are equal
        one_window(closes=[np.nan] * 20),  # no price at all
        one_window(volumes=[0.0] * 20),
        one_window(volumes=[np.nan] * 20),
        one_window(means=[12.0] * 20, closes=[9.0] * 10 + [11.0] * 10),  # the mean lies outside
        one_window(highs=[np.nan] * 20, lows=[np.nan] * 20, opens=[np.nan] * 20, closes=range(1, 21)),
        one_window(highs=[9.0] * 20),  # a high below the close
    ],
)  # fmt: skip
def test_images_of_odd_windows_are_those_of_a_slow_drawing(made: Bars) -> None:
    np.testing.assert_array_equal(images(made)[0], np.array(slow_picture(made, 0)) * 255)


def test_a_suspended_session_leaves_its_columns_empty() -> None:
    made = one_window(closes=[10.0, np.nan, *range(11, 29)])
    assert not images(made)[0][:, 3:6].any()
    assert images(made)[0][:, 0:3].any()


@given(factor=st.floats(1e-3, 1e6), volume=st.floats(1e-3, 1e9), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_an_image_does_not_depend_on_the_scale_of_prices_and_volumes(factor: float, volume: float, seed: int) -> None:
    made = made_bars(4, seed)
    other = Bars(*(getattr(made, name) * (volume if name == "volumes" else factor) for name in NAMES))
    np.testing.assert_array_equal(heights(made), heights(other))


def test_the_gallery_draws_a_stock_of_which_only_closes_are_known() -> None:
    unknown, closes = [np.nan] * 20, [*range(10, 20), np.nan, *range(21, 30)]
    made = one_window(opens=unknown, highs=unknown, lows=unknown, volumes=unknown, closes=closes)
    axes = Figure().subplots(1, 2)
    gallery.candles(axes[0], axes[1], made)
    assert axes[0].get_ylim() == (10.0, 29.0)


def test_heights_survive_the_columns_of_a_frame() -> None:
    found = heights(made_bars(7))
    np.testing.assert_array_equal(from_words(to_words(found)), found)
    assert from_words(to_words(found[:0])).shape == (0, 20, 6)
    assert numbers(found).shape == (7, 100)
    assert 0 <= numbers(found).min() <= numbers(found).max() <= 1


def test_a_chart_needs_fifteen_prices() -> None:
    assert enough(one_window(closes=[np.nan] * 5 + [1.0] * 15)).tolist() == [True]
    assert enough(one_window(closes=[np.nan] * 6 + [1.0] * 14)).tolist() == [False]


# -- windows ---------------------------------------------------------------------------------------------------

STOCKS = np.sort(ids([f"{600000 + i}.SH" for i in range(6)]))


def price_rows(day: int, rng: np.random.Generator, last: np.ndarray) -> RowBatch:
    close = (last * np.exp(rng.normal(0, 0.02, len(last)))).round(2)
    figures = {"open": last, "high": np.maximum(last, close) * 1.01, "low": np.minimum(last, close) * 0.99,
               "close": close, "prev_close": last, "volume": rng.lognormal(8, 1, len(last)).round()}  # fmt: skip
    return rows(PRICES, day, STOCKS, figures)


def made_days(count: int, seed: int = 3) -> list[RowBatch]:
    rng, last, out = np.random.default_rng(seed), np.full(len(STOCKS), 10.0), []
    for day in CALENDAR.between(to_day(date(2020, 1, 2)), to_day(date(2020, 12, 31))).tolist()[:count]:
        out.append(price_rows(day, rng, last))
        last = out[-1].figures["close"]
    return out


def fold(days: list[RowBatch]) -> PriceLevels:
    prices = PriceLevels(Parameters(), CALENDAR)
    for one in days:
        applied = prices.store.fold(one)
        applied.add(prices.store.fold(end_of_day(one)))
        prices.update(applied)
    return prices


def charts_on(prices: PriceLevels, day: int) -> np.ndarray:
    return heights(ChartWindows(prices, CALENDAR).bars(day, prices.store.columns_on(day)))


def test_the_mean_is_that_of_twenty_adjusted_closes() -> None:
    days = made_days(45)
    found = ChartWindows(fold(days), CALENDAR).bars(int(days[-1].days[0]), np.arange(len(STOCKS)))
    closes = np.array([one.figures["close"] for one in days])
    level = closes / closes[0]
    means = np.array([level[t - 19 : t + 1].mean(axis=0) for t in range(25, 45)]).T
    np.testing.assert_allclose(found.means, means, rtol=1e-12)
    np.testing.assert_allclose(found.closes, level[25:].T, rtol=1e-12)


def test_a_split_changes_no_chart() -> None:
    """Half the price and twice the shares from a day on, announced by the previous close."""
    days = made_days(45)

    def halved(one: RowBatch) -> RowBatch:
        figures = {name: values / 2 for name, values in one.figures.items()}
        return replace(one, figures=figures | {"volume": one.figures["volume"] * 2})

    split = days[:35] + [halved(one) for one in days[35:]]
    day = int(days[-1].days[0])
    np.testing.assert_array_equal(charts_on(fold(days), day), charts_on(fold(split), day))


@given(change=st.floats(0.5, 2.0), back=st.integers(1, 12), seed=st.integers(0, 20))
@settings(max_examples=12, deadline=None)
def test_no_later_price_changes_a_chart(change: float, back: int, seed: int) -> None:
    days = made_days(46, seed)
    changed = days[:-back] + [
        replace(one, figures={n: v * change for n, v in one.figures.items()}) for one in days[-back:]
    ]
    day = int(days[-back - 1].days[0])
    np.testing.assert_array_equal(charts_on(fold(days), day), charts_on(fold(changed), day))


def test_bars_that_were_computed_before_a_correction_follow_it() -> None:
    days, columns = made_days(45), np.arange(len(STOCKS))
    prices, day = fold(days), int(days[-1].days[0])
    windows = ChartWindows(prices, CALENDAR)
    before = windows.bars(day, columns)
    figures = {name: values * 1.01 for name, values in days[-8].figures.items()}
    corrected = replace(days[-8], figures=figures, revisions=days[-8].revisions + 1)
    prices.update(prices.store.fold(corrected))
    after, anew = windows.bars(day, columns), ChartWindows(prices, CALENDAR).bars(day, columns)
    for name in Bars.__slots__:
        np.testing.assert_array_equal(getattr(after, name), getattr(anew, name))
    assert (after.closes != before.closes).any()


# -- scores in the stream --------------------------------------------------------------------------------------


def outputs(model: Any, days: dict[int, dict[str, RowBatch]]) -> tuple[History, list[Any]]:
    history = History(SMALL, ("SSE", "SZSE"), CALENDAR, model)
    return history, [one for _, feeds in sorted(days.items()) for one in history.fold(feeds)]


@pytest.fixture(scope="module")
def market() -> dict[int, dict[str, RowBatch]]:
    return small_market(sessions=40, gaps=False)


def newest(found: list[Any], kind: type, day: int) -> list[Any]:
    return [one for one in found if isinstance(one, kind) and to_day(one.status.trade_date) == day]


def test_without_a_model_the_signals_are_absent_with_the_reason(market: dict[int, dict[str, RowBatch]]) -> None:
    _, found = outputs(NO_MODEL, market)
    day = max(day for day in market if CALENDAR.ends_week(day))
    industries = newest(found, IndustrySignals, day)[-1]
    assert np.isnan(industries.columns["theme_score"]).all()
    assert industries.left_out["theme_score"] == NO_MODEL
    assert industries.status.models == {}
    groups = [
        one for one in found if getattr(one, "signal", "") == "group_theme_score" and to_day(one.trade_date) == day
    ]
    assert {one.reason for one in groups} == {NO_MODEL}


def test_a_model_s_digest_is_published_with_its_scores(market: dict[int, dict[str, RowBatch]]) -> None:
    _, found = outputs(MadeModel(), market)
    day = max(day for day in market if CALENDAR.ends_week(day))
    for kind in (IndustrySignals, SecuritySignals):
        one = newest(found, kind, day)[-1]
        assert one.status.models == {CHARTS: "made"}
    pricing = [one for one in newest(found, SecuritySignals, day) if one.family == "pricing"][-1]
    assert (~np.isnan(pricing.columns["chart_score"])).any()


@pytest.mark.parametrize("model", [NO_MODEL, MadeModel()], ids=["no model", "model"])
def test_scores_that_arrive_late_supersede_no_alert_that_does_not_read_them(
    market: dict[int, dict[str, RowBatch]], model: Any
) -> None:
    history = History(SMALL, ("SSE", "SZSE"), CALENDAR, model)
    fold, prompt, late = history.market.fold, [], []
    history.market.fold = lambda items: fold([one for one in items if getattr(one, "topic", "") != CHARTS])  # type: ignore[method-assign]
    for _, feeds in sorted(market.items()):
        prompt += history.fold(feeds)
        late += fold([one for one in history.frames if one.topic == CHARTS])
    frames = [one for one in prompt if isinstance(one, IndustrySignals | SecuritySignals)]
    again = [one for one in late if isinstance(one, IndustrySignals | SecuritySignals)]
    assert {type(one) for one in again} == {IndustrySignals, SecuritySignals}
    in_time, only_late = (AlertDesk(rules(SMALL), CALENDAR) for _ in range(2))

    def publish(desk: AlertDesk, found: list[Any]) -> list[Any]:
        changes = []
        for one in found:
            origin = Input("signals", 0, 0, one.status.revision)
            changes += desk.fold(one, origin, NOW) + desk.update_evidence(origin, NOW)
        return [(change.alert.rule, change.alert.state) for change in changes]

    first = {rule for rule, state in publish(in_time, frames) if state is State.FIRING}
    assert {"industry_risk_high", "securities_digest"} <= first
    raised = publish(in_time, again)
    assert {rule for rule, _ in raised} == ({"themes", "chart_top"} if isinstance(model, MadeModel) else set())
    # A worker that reads a day's last frame alone has the same alerts.
    last = {(type(one), getattr(one, "family", ""), one.status.trade_date): one for one in (*frames, *again)}
    publish(only_late, sorted(last.values(), key=lambda one: one.status.trade_date))
    assert timeless_alerts(only_late) == timeless_alerts(in_time)


def timeless_alerts(desk: AlertDesk) -> dict[str, Any]:
    return {identity: timeless_alert(alert) for identity, alert in sorted(desk.lifecycle.alerts.items())}


def test_a_year_before_the_model_has_no_scores_and_the_reason() -> None:
    class Later(MadeModel):
        def chances(self, _year: int, _of: Any) -> Any:
            return None

    found = scored(chart_frame(), Later())
    assert np.isnan(found.columns["chart_score"]).all()
    assert "no network for" in found.header.reason


def chart_frame() -> Any:
    history = History(SMALL, ("SSE", "SZSE"), CALENDAR)
    for _, feeds in sorted(small_market(sessions=35, gaps=False).items()):
        history.fold(feeds)
        if history.charts:
            return history.charts[0]
    raise AssertionError("no week ends")


def test_a_later_model_raises_the_revision() -> None:
    class Second(MadeModel):
        revision = 1

    frame = chart_frame()
    assert scored(frame, Second()).header.revision == scored(frame, MadeModel()).header.revision + 1


def test_scores_are_rounded_and_a_replay_is_equal(market: dict[int, dict[str, RowBatch]]) -> None:
    class Noisy(MadeModel):
        def chances(self, year: int, of: Any) -> Any:
            return super().chances(year, of) + 1e-7

    def columns(model: Any) -> list[bytes]:
        return [
            one.columns[name].tobytes()
            for one in outputs(model, market)[1]
            for name in ("chart_score", "theme_score")
            if isinstance(one, SecuritySignals | IndustrySignals) and name in one.columns
        ]

    assert columns(MadeModel()) == columns(MadeModel()) == columns(Noisy())


# -- training on made markets ----------------------------------------------------------------------------------


def samples_of(made: Bars, labels: np.ndarray, days: np.ndarray) -> Any:
    from streams.charts.samples import Samples

    keys = np.arange(len(days), dtype=np.int32)
    return Samples(heights(made), days, keys, np.stack([labels, labels], axis=1).astype(float), "all stocks", "made")


def made_samples(*, planted: bool, count: int = 3_000) -> Any:
    """Charts of random walks; the label is a rise over the last five sessions (with noise), or a coin."""
    rng = np.random.default_rng(5)
    made = made_bars(count, 8, gaps=0.02)
    known = CALENDAR.between(to_day(date(2018, 1, 2)), to_day(date(2019, 12, 31)))
    days = np.sort(rng.choice(known, count)).astype(np.int32)
    closes = made.closes
    rise = np.nan_to_num(closes[:, 19] - closes[:, 14])
    labels = (rise < 0) if planted else rng.random(count) < 0.5
    return samples_of(made, np.where(rng.random(count) < 0.1, ~labels, labels), days)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    pytest.importorskip("torch")
    samples = made_samples(planted=True)
    return samples, train_on(samples, tmp_path_factory.mktemp("model"))


def train_on(samples: Any, model: Path, years: tuple[int, ...] = (2019,)) -> Path:
    from streams.charts import train as module
    from streams.charts.training import TrainingPlan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read_samples", lambda *_: samples)
        module.train(Path("made"), model, years, TrainingPlan(seeds=(1, 2), epochs=4), CALENDAR, Parameters(),
                     lambda *_: None, lambda _: None)  # fmt: skip
    return model


def accuracy(samples: Any, model: Path) -> tuple[float, int]:
    from streams.charts.model import ChartModel

    rows = np.flatnonzero(samples.days >= to_day(date(2019, 1, 1)))
    chances = ChartModel(model).chances(2019, samples.heights[rows])
    assert chances is not None
    return float(((chances[:, 0] > 0.5) == (samples.labels[rows, 0] == 1)).mean()), len(rows)


def test_a_year_that_no_chart_comes_near_is_not_trained(tmp_path: Path) -> None:
    from streams.charts.errors import ChartModelError

    pytest.importorskip("torch")
    with pytest.raises(ChartModelError, match=r"the charts end in 2019, .* up to 2020: leave out 2050"):
        train_on(made_samples(planted=True), tmp_path, (2019, 2050))
    assert not list(tmp_path.glob("*.onnx"))


def test_training_finds_a_planted_pattern(planted: tuple[Any, Path]) -> None:
    pytest.importorskip("onnxruntime")
    assert accuracy(*planted)[0] > 0.60


def test_training_finds_nothing_in_a_random_walk(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    samples = made_samples(planted=False)
    found, cases = accuracy(samples, train_on(samples, tmp_path))
    assert abs(found - 0.5) < 3.5 * 0.5 / np.sqrt(cases)


def test_onnx_gives_what_pytorch_gives(planted: tuple[Any, Path]) -> None:
    pytest.importorskip("onnxruntime")
    import torch

    from streams.charts.model import ChartModel
    from streams.charts.network import Ensemble, Network

    samples, model = planted
    networks = []
    for seed in (1, 2):
        network = Network()
        network.load_state_dict(torch.load(model / "training" / f"2019-{seed}.pt", weights_only=True)["best"])
        networks.append(network)
    with torch.no_grad():
        theirs = Ensemble(networks).eval()(torch.from_numpy(draw(samples.heights[:700]))).numpy()
    np.testing.assert_allclose(ChartModel(model).chances(2019, samples.heights[:700]), theirs, atol=2e-6)


def test_an_interrupted_training_ends_with_the_same_network(planted: tuple[Any, Path], tmp_path: Path) -> None:
    from streams.charts.training import TrainingPlan, TrainingProgress, train_year

    samples, model = planted

    class Stop(Exception):  # noqa: N818 - what a person does
        pass

    def stop(at: TrainingProgress) -> None:
        if (at.seed, at.epoch) == (1, 2):
            raise Stop

    with pytest.raises(Stop):
        train_year(samples, 2019, TrainingPlan(seeds=(1,), epochs=4), CALENDAR, tmp_path, stop)
    entry, _ = train_year(samples, 2019, TrainingPlan(seeds=(1,), epochs=4), CALENDAR, tmp_path, lambda _: None)
    from streams.charts.card import read_card

    (whole,) = read_card(model).years
    assert (entry.losses[0], entry.accuracies[0], entry.epochs[0]) == (
        whole.losses[0], whole.accuracies[0], whole.epochs[0]
    )  # fmt: skip


def test_a_network_whose_process_is_killed_ends_the_training(planted: tuple[Any, Path], tmp_path: Path) -> None:
    from streams.charts.errors import ChartModelError
    from streams.charts.training import TrainingPlan, train_year

    def kill(_: object) -> None:
        for process in active_children():
            process.kill()

    with pytest.raises(ChartModelError, match="network 1 for 2019 ended with exit code -9"):
        train_year(planted[0], 2019, TrainingPlan(seeds=(1,), epochs=4), CALENDAR, tmp_path, kill)
    assert not active_children()


def test_the_card_names_files_and_weaknesses(planted: tuple[Any, Path]) -> None:
    from streams.charts.card import page, read_card

    card = read_card(planted[1])
    text = page(card)
    for part in (card.digest, card.years[0].digest, "2019.onnx", *card.weaknesses):
        assert escape(part) in text
    assert (planted[1] / "card.html").read_text() == text


def test_another_training_in_the_folder_is_the_next_revision(planted: tuple[Any, Path], tmp_path: Path) -> None:
    from streams.charts.card import ModelCard, write_card
    from streams.charts.train import _begin
    from streams.charts.training import TrainingPlan

    write_card(ModelCard(revision=4, data="x", data_digest="other", universe="", plan=""), tmp_path)
    assert _begin(tmp_path, Path("made"), planted[0], TrainingPlan()).revision == 5
    assert _begin(planted[1], Path("made"), planted[0], TrainingPlan(seeds=(1, 2), epochs=4)).revision == 0


def test_a_damaged_model_is_refused(planted: tuple[Any, Path], tmp_path: Path) -> None:
    from streams.charts.errors import ChartModelError
    from streams.charts.model import ChartModel

    copy = tmp_path / "model"
    shutil.copytree(planted[1], copy)
    (copy / "2019.onnx").write_bytes(b"another file")
    with pytest.raises(ChartModelError, match=r"2019\.onnx is not the file that its card names"):
        ChartModel(copy)
    (copy / "2019.onnx").unlink()
    with pytest.raises(ChartModelError, match=r"2019\.onnx can't be read"):
        ChartModel(copy)
    with pytest.raises(ChartModelError, match="train a model"):
        ChartModel(tmp_path)


def test_charts_and_mean_have_the_bounds_of_their_rows() -> None:
    found = heights(made_bars(50))
    priced = found[..., CLOSE] != EMPTY
    assert (found[..., LOW][priced] <= found[..., CLOSE][priced]).all()
    assert (found[..., HIGH][priced] <= 50).all()
    assert ((found[..., MEAN] <= 50) | (found[..., MEAN] == EMPTY)).all()


# -- live and study --------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """A message as a consumer returns it."""

    value: bytes
    headers: list[Any]
    topic: str = "features.chart.v1"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None


def test_the_charts_stage_publishes_the_scores_of_a_study(
    planted: tuple[Any, Path], make_settings: Callable[..., Settings], market: dict[int, dict[str, RowBatch]]
) -> None:
    pytest.importorskip("onnxruntime")
    from streams.charts.model import ChartModel

    model = planted[1]
    (card := json.loads((model / "card.json").read_text()))["years"][0]["year"] = 2018
    folder = planted[1].parent / "earlier"
    shutil.copytree(model, folder, dirs_exist_ok=True)
    (folder / "card.json").write_text(json.dumps(card))  # so that the made market has a network
    settings_ = make_settings(partitions=1, parameters=SMALL, chart_model=folder)
    stage = ChartsStage(settings_, Topics(settings_), CALENDAR)
    state = stage.open(0)
    history = History(SMALL, ("SSE", "SZSE"), CALENDAR, ChartModel(folder))
    weeks = 0
    for _, feeds in sorted(market.items()):
        history.fold(feeds)
        for charts, studied in zip(history.charts, [one for one in history.frames if one.topic == CHARTS], strict=True):
            sent = stage.codecs.encode(Topic.CHARTS, charts, "features.chart.v1")
            (out,) = state.fold(Topic.CHARTS, [Sent(sent.value, [*sent.headers])])
            live = stage.codecs.decode(Topic.FEATURES, Sent(out.value, [*out.headers]))
            assert live.header == studied.header
            assert live.columns["chart_score"].tobytes() == studied.columns["chart_score"].tobytes()
            weeks += bool((~np.isnan(studied.columns["chart_score"])).any())
    assert weeks > 2
    assert "none" in ChartsStage(make_settings(), Topics(make_settings()), CALENDAR).open(0).schema
    assert ChartModel(folder).digest in state.schema


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91" * 1000])
def test_what_is_no_chart_is_refused(value: bytes, make_settings: Callable[..., Settings]) -> None:
    stage = ChartsStage(make_settings(), Topics(make_settings()), CALENDAR)
    (letter,) = stage.open(0).fold(Topic.CHARTS, [Sent(value, [])])
    assert letter.topic == "features.chart.v1.dlq"


# -- the study -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def panel() -> Panel:
    days = [feeds for _, feeds in sorted(small_market(gaps=False).items())]
    return collect(days, SMALL, ("SSE", "SZSE"), CALENDAR, model=MadeModel())


def finding(result: Result, what: str) -> Finding:
    return next(one for one in result.findings if one.what == what)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_rank_ic_of_the_study_is_that_of_plain_pandas(panel: Panel, mode: Mode) -> None:
    rows = panel.charts
    table = pd.DataFrame({"at": rows.at, "key": rows.keys, "network": rows.score, "logistic": rows.rival})
    levels = pd.DataFrame(panel.levels, columns=panel.level_keys)
    last, opens = levels.ffill(), pd.DataFrame(panel.open_levels, columns=panel.level_keys)
    ics: dict[str, list[float]] = {"network": [], "logistic": [], "reversal": []}
    for at, week in table.groupby("at"):
        if at + 5 >= len(levels) or at < 20:
            continue
        entry = levels.loc[at, week["key"]] if mode is Mode.AS_SOURCE else opens.loc[at + 1, week["key"]]
        values = week.assign(
            returns=(last.loc[at + 5, week["key"]] / entry - 1).to_numpy(),
            reversal=(1 - last.loc[at, week["key"]] / last.loc[at - 20, week["key"]]).to_numpy(),
        ).dropna()
        if len(values) >= 30:
            for name in ics:
                ics[name].append(values[name].rank().corr(values["returns"].rank()))
    result = charts_study.run(panel, mode)
    for name, title in (("network", "network"), ("logistic", "logistic regression"), ("reversal", "20-day reversal")):
        found = finding(result, f"{title}: rank IC")
        assert found.cases == len(ics[name]) > 3
        assert found.ours == pytest.approx(np.mean(ics[name]), rel=1e-9)


def test_the_deciles_of_the_study_pay_for_what_is_new_in_each(panel: Panel) -> None:
    rows = panel.charts
    table = pd.DataFrame({"at": rows.at, "key": rows.keys, "score": rows.score})
    last, opens = (pd.DataFrame(v, columns=panel.level_keys) for v in (panel.levels, panel.open_levels))
    last, weeks, held = last.ffill(), [], [set[int]()] * 10
    for at, week in table.groupby("at"):
        if at + 5 >= len(last) or at < 20:
            continue
        gains = last.loc[at + 5, week["key"]] / opens.loc[at + 1, week["key"]] - 1
        known = week.assign(gains=gains.to_numpy(), moved=last.loc[at - 20, week["key"]].to_numpy()).dropna()
        if len(known) < 30:
            continue
        place = ((known["score"].rank() - 0.5) * 10 // len(known)).clip(upper=9)
        excess = known["gains"] - known["gains"].mean()
        now = [set(known["key"][place == i]) for i in range(10)]
        cost = [0.003 * (1 - len(new & old) / len(new)) if new else np.nan for new, old in zip(now, held, strict=True)]
        weeks.append([excess[place == i].mean() - paid for i, paid in enumerate(cost)])
        held = now
    result = charts_study.run(panel, Mode.POINT_IN_TIME)
    (deciles,) = (one for one in result.tables if one.name == "deciles")
    ours = next(row for row in deciles.rows if row[:2] == ("network", "all"))
    means = np.nanmean(weeks, axis=0)
    np.testing.assert_allclose(np.array(ours[2:], dtype=float), means, rtol=1e-9, atol=1e-12)
    assert finding(result, "network: top decile after costs, weekly").ours == pytest.approx(means[-1])


def test_momentum_is_the_opposite_of_reversal_and_deciles_sum_to_nothing(panel: Panel) -> None:
    result = charts_study.run(panel, Mode.POINT_IN_TIME)
    reversal, momentum = (finding(result, f"20-day {name}: rank IC").ours for name in ("reversal", "momentum"))
    assert reversal == pytest.approx(-momentum)
    assert {row[0] for row in result.tables[0].rows} == {*charts_study.PREDICTORS}


def test_without_scores_the_study_says_why(panel: Panel) -> None:
    result = charts_study.run(replace(panel, charts=ChartRows(model=NO_MODEL)), Mode.POINT_IN_TIME)
    assert NO_MODEL in result.notes[0]
    assert all(one.ours is None for one in result.findings)


@pytest.mark.parametrize(
    ("added", "pays", "parts"),
    [
        (
            (0.04, 4.0),
            (0.001, 3.0),
            ("The network adds to 20-day reversal", "its top decile earns more than its costs"),
        ),
        ((0.04, 1.0), (0.001, 0.5), ("adds nothing that is sure", "does not surely earn its costs")),
        ((-0.04, -4.0), (-0.001, -3.0), ("adds nothing that is sure", "does not surely earn its costs")),
    ],
)
def test_the_verdict_follows_from_the_figures(
    added: tuple[float, float], pays: tuple[float, float], parts: tuple[str, str]
) -> None:
    def made(what: str, value: float, t: float) -> Finding:
        return Finding(what, value, note=f"t (HAC, 4 lags) {t:.2f}")

    text = charts_study.verdict(
        [
            made("network: rank IC of what 20-day reversal does not explain", *added),
            made("network: rank IC", 0.05, 4.0),
            made("20-day reversal: rank IC", 0.02, 1.0),
            made("network: top decile after costs, weekly", *pays),
        ]
    )
    assert all(part in text for part in parts)
