"""What commands print: nothing is cut off, and no text is taken for markup."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.text import Text as RichText
from typer.testing import CliRunner

from alerts.commands import FeedRun
from alerts.model import Acknowledgement, Alert, AlertEvent, DigestSection, EndedBy, Evidence, Input, Severity, State
from alerts.model import Text as Both
from alerts.record import CaseRow, RecordCard
from console import question
from console.theme import View
from feeds.feed_report import FeedReport
from processors.industry_periods import IndustryPeriod, Period
from processors.outputs import MarketSignal
from processors.parameters import DEFAULTS, Parameters
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from streams import alert_provenance, morning_sheet, readers, system_status
from streams.alert_rules import rules_of
from streams.cli import main, terminal
from streams.cli.main import app
from streams.cli.publish import print_reports
from streams.cli.render import alerts, signals
from streams.cli.render.alerts import print_alert, print_reason, print_record
from streams.cli.render.signals import print_explanation, print_market, print_periods, print_values
from streams.cli.render.tables import print_status
from streams.errors import NothingYetError
from streams.explain import declaration
from streams.records import PlainRecord
from streams.settings import Settings

REASON = "margin.daily of SZSE is not closed [see `marginwatch status`]: the sum of both exchanges has an unknown part"


def signal(name: str, subject: str = "market") -> MarketSignal:
    return MarketSignal(
        signal=name, subject=subject, trade_date=date(2024, 6, 3), available_at=datetime(2024, 6, 4, tzinfo=UTC),
        revision=0, value=None, reason=REASON,
    )  # fmt: skip


def digest(**changes: Any) -> Alert:
    now = datetime(2024, 7, 1, 2, tzinfo=UTC)
    section = DigestSection(rule="fin_streak", subject="securities", alert="s1", figures={}, thresholds={},
                            text=Both("Streaks: 3", "连续增减：3"))  # fmt: skip
    return Alert(**{
        "id": "a1", "rule": "securities_digest", "severity": Severity.INFO, "subject": "market", "revision": 0,
        "trade_date": date(2024, 6, 28), "state": State.FIRING, "available_at": now, "raised_at": now,
        "changed_at": now, "figures": {}, "thresholds": {}, "text": Both("flags", "提示"), "sections": [section],
        "invalidation": Both("", ""), "provenance": [], "acknowledged": Acknowledgement("li", now, "known"), **changes,
    })  # fmt: skip


def narrow(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    console = Console(width=80, force_terminal=True, color_system=None, highlight=False, markup=False, soft_wrap=True)
    monkeypatch.setattr(module, "out", console)


def test_off_a_terminal_a_row_of_a_table_is_one_line() -> None:
    command = [sys.executable, "-m", "streams", "rules", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "80"})
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("balance_new_high ")]
    assert "SSE Composite higher 20 days later" in line
    assert "…" not in done.stdout


def test_words_of_rules_are_whole_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (alerts, terminal):
        narrow(monkeypatch, module)
    alerts.print_rules(rules := rules_of(Settings()))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    first = [line.split()[0] for line in lines if line[:1].strip()]
    assert {rule.name for rule in rules} <= set(first)
    assert [line for line in lines if line.startswith("peak_warning") and " critical " in line and " market " in line]
    assert [line for line in lines if line.startswith("peak_warning") and " [DG22] " in line]


def test_off_a_terminal_a_reason_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_market({"fin_buy_ratio_5d": signal("fin_buy_ratio_5d")}, Parameters())
    assert REASON in capsys.readouterr().out


def test_the_chinese_answer_of_a_terminal_has_its_reason_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    absent = msgspec.structs.replace(signal("verdict"), reason="margin.market of 2024-06-03 is not known")
    print_market({"verdict": absent}, Parameters())
    shown = capsys.readouterr().out
    assert "The ratio of 2024-06-03 is absent: margin.market of 2024-06-03 is not known." in shown
    assert "2024-06-03占比缺失：2024-06-03的margin.market未知。" in shown


def test_a_narrow_terminal_folds_names_and_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(monkeypatch, signals)
    name = "fin_balance_to_float_cap/000300.SH"
    print_market({name: signal("fin_balance_to_float_cap", "000300.SH")}, Parameters())
    row = IndustryPeriod("农林牧渔", 1234567890123.4, 31, 9876543210987.6, 123456789012345.6, 0.0801, 17)
    print_periods([Period(date(2024, 6, 3), date(2024, 6, 28), 19, (), (row,))])
    shown = capsys.readouterr().out
    assert "…" not in shown.replace("2024-06-03 … 2024-06-28", "")
    together = "".join(shown.split())
    assert all(one in together for one in (REASON.split()[-1], "农林牧渔", "12,345.68", "98,765.43"))
    assert "fin_balance_to" in together


@pytest.mark.parametrize(("charset", "shown"), [("ascii", "-12.35%?"), ("gbk", "-12.35%行"), ("utf-8", "−12.35%行")])
def test_a_fall_keeps_its_sign_on_a_terminal_without_a_minus_sign(
    charset: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, charset))
    monkeypatch.setattr(main, "app", lambda **_: print(f"{signals.figure(-0.123456, 'ratio')}行"))
    main.main()
    assert written.getvalue().decode(charset).rstrip() == shown


@pytest.mark.parametrize("charset", ["ascii", "gbk", "utf-8"])
@pytest.mark.parametrize(
    ("command", "shown"),
    [(["explain", "heat", "--json"], "行业热度"), (["alerts", "--json"], "连续增减：3"), (["reports"], "文件")],
    ids=["a value", "alerts", "reports of feeds"],
)
def test_json_is_utf_8_whatever_the_encoding_of_the_terminal(
    charset: str, command: list[str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "newest_alerts", lambda _settings: [digest()])
    reports = typer.Typer()
    reports.command()(lambda: print_reports([FeedReport(source="文件")], json=True))
    result = CliRunner(charset=charset).invoke(*((reports, []) if command == ["reports"] else (app, command)))
    assert shown in msgspec.json.encode(msgspec.json.decode(result.stdout_bytes)).decode()


def test_a_subject_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    alert = {"severity": "critical", "rule": "peak_warning", "subject": "fin_buy_ratio_5d", "trade_date": "2024-06-03"}
    print_status({
        "replayed_to": None, "workers": ["[red]host (process 7)"],
        "workers_silent_s": {"[red]host (process 7)": 90},
        "feeds": {
            "margin.daily[0]": {"newest": None, "closed": False, "rows": 0, "due": "2024-06-03", "late": False},
            "margin.market": {"newest": "2024-05-31", "closed": True, "rows": 2, "due": "2024-06-03", "late": True},
        },
        "signals": {"llt": {"value": None, "reason": "[bold] of :ok: no member"}}, "alerts_firing": [alert],
        "tables": {}, "calendar_days_left": 100,
    })  # fmt: skip
    shown = capsys.readouterr().out
    assert "peak_warning [fin_buy_ratio_5d] of 2024-06-03" in shown
    assert "Workers: [red]host (process 7)" in shown and "[red]host (process 7) hangs" in shown
    assert "llt: [bold] of :ok: no member" in shown
    (waiting,) = (line.split() for line in shown.splitlines() if "margin.daily[0]" in line)
    assert waiting == ["margin.daily[0]", "nothing", "yet", "open", "0"]
    assert "late: 2024-06-03 is due" in shown


@pytest.mark.parametrize("spelling", ["600519", "sh600519", "600519.sh", "600519.SH"])
def test_a_security_is_found_by_any_spelling_of_its_code(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(system_status, "latest_security", lambda *found: asked.append(found[-1]) or {"code": found[-1]})
    monkeypatch.setattr(system_status, "name_of", lambda *_: "")
    assert CliRunner().invoke(app, ["latest", "security", spelling, "--json"]).exit_code == 0
    assert asked == ["600519.SH"]


@pytest.mark.parametrize("newest", [date(2024, 6, 3), date(2024, 6, 4), None])
def test_a_security_that_has_left_the_margin_list_has_no_newest_figures(
    newest: date | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"code": "600519.SH", "trade_date": "2024-06-03", "fin_balance": 1e9}
    monkeypatch.setattr(system_status, "latest_security", lambda *_: found)
    monkeypatch.setattr(system_status, "name_of", lambda *_: "")
    monkeypatch.setattr(system_status, "securities_day", lambda *_: newest)
    title = CliRunner().invoke(app, ["latest", "security", "600519"]).stdout.splitlines()[0]
    assert ("⚠ the last figures that are known; 2024-06-04 has none of it" in title) is (newest == date(2024, 6, 4))


@pytest.mark.parametrize("spelling", ["600519", "sh600519", "600519.SH"])
def test_a_value_is_explained_by_any_spelling_of_its_code(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "security_signals", lambda *_args, **_options: [])
    result = CliRunner().invoke(app, ["explain", "fin_change", "--date", "2024-06-03", "--of", spelling])
    assert "nothing was published of fin_change of 600519.SH" in str(result.exception)


def test_a_word_that_is_no_code_is_a_wrong_argument() -> None:
    assert CliRunner().invoke(app, ["latest", "security", "Moutai"]).exit_code == 2


@pytest.mark.parametrize(
    ("signal_id", "of", "said"),
    [
        ("heat", "银", "银 is none of them: name one with --of: 农林牧渔"),
        ("heat", None, "heat is a signal of industries: name one with --of: 农林牧渔"),
        ("fin_change", "Moutai", "code 'Moutai' is in no style that is known"),
        ("fin_change", None, "name one with --of, e.g. --of 600519.SH"),
        ("verdict", "600519", "one value for the market, none of 600519: leave --of out"),
        ("index_return", "000300", "and 000300 is none of them: name one with --of: 000300.SH"),
    ],
)
def test_a_subject_that_a_signal_does_not_have_is_a_wrong_argument(
    signal_id: str, of: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = [signal("index_return", "000300.SH")]
    monkeypatch.setattr(readers, "market_signals", lambda *_args, **_options: published)
    named = () if of is None else ("--of", of)
    arguments = ["explain", signal_id, "--date", "2024-06-03", *named]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "400"})
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_period_of_which_nothing_is_published_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "industry_signals", lambda *_args, **_options: [])
    result = CliRunner().invoke(app, ["latest", "industries", "--from", "2030-01-01"])
    assert isinstance(result.exception, NothingYetError)
    assert "from 2030-01-01 to now" in str(result.exception)


@pytest.mark.parametrize(("day", "reason"), [(date(2024, 6, 5), "later than today, 2024-06-04"),
                                             (date(1999, 1, 4), "nothing was known on 1999-01-04")])  # fmt: skip
def test_a_sheet_is_of_a_day_that_was_known(day: date, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {name: [] for name in ("market_signals", "security_signals", "industry_signals", "newest_alerts")}
    found["market_signals"].append(signal("fin_buy_ratio"))
    for name, published in found.items():
        monkeypatch.setattr(readers, name, lambda _settings, published=published: published)
    monkeypatch.setattr(morning_sheet, "load_security_names", lambda _settings: {})
    replayed = datetime(2024, 6, 3, 17, tzinfo=UTC)  # the next day in Shanghai
    _replay(replayed, monkeypatch)
    with pytest.raises(NothingYetError, match=reason):
        morning_sheet.model_of(Settings(), day)
    assert morning_sheet.model_of(Settings(), date(2024, 6, 4)).latest


def test_a_sheet_without_redis_is_no_error_of_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("market_signals", "security_signals", "industry_signals", "newest_alerts"):
        monkeypatch.setattr(readers, name, lambda _settings: [])
    with pytest.raises(RedisError, match="refused"):
        morning_sheet.model_of(Settings(redis_url="redis://127.0.0.1:9/0"), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("day", [None, date(2024, 6, 3)])
def test_there_is_no_sheet_before_the_first_signal(day: date | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("market_signals", "security_signals", "industry_signals", "newest_alerts"):
        monkeypatch.setattr(readers, name, lambda _settings: [])
    monkeypatch.setattr(morning_sheet, "load_security_names", lambda _settings: {})
    _replay(datetime(2024, 6, 3, 17, tzinfo=UTC), monkeypatch)
    with pytest.raises(NothingYetError, match="no market signal has been computed yet"):
        morning_sheet.model_of(Settings(), day)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "  • Streaks: 3 ✓ acknowledged by li: known"),
        ({"state": State.RESOLVED, "resolved_on": date(2024, 7, 4), "ended_by": EndedBy.NEXT_FACT},
         "○ securities_digest [market] of 2024-06-28. Over since 2024-07-04: a newer one replaces it."),
        ({"state": State.SUPERSEDED},
         "○ securities_digest [market] of 2024-06-28. Withdrawn: corrected data replaced or removed it."),
        ({"state": State.PENDING}, "○ securities_digest [market] of 2024-06-28. Pending."),
    ],
)  # fmt: skip
def test_an_alert_in_the_terminal_has_its_sections_who_has_it_in_hand_and_why_it_ended(
    changes: dict[str, Any], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_alert(digest(**changes))
    assert " ".join(shown.split()) in " ".join(capsys.readouterr().out.split())


def test_a_line_of_a_note_does_not_pass_for_a_line_of_the_history(capsys: pytest.CaptureFixture[str]) -> None:
    note = "known\n2024-06-29 09:00:00 UTC  resolved by li"
    one = digest(acknowledged=Acknowledgement("li", datetime(2024, 6, 29, 1, tzinfo=UTC), note))
    event = AlertEvent(alert=one.id, rule=one.rule, subject=one.subject, trade_date=one.trade_date,
                       at=datetime(2024, 6, 29, 1, tzinfo=UTC), what="acknowledged", by="li", note=note)  # fmt: skip
    print_reason({"alert": one, "inputs": [], "history": [event]})
    lines = capsys.readouterr().out.splitlines()
    assert sum("acknowledged by li: known 2024-06-29 09:00:00 UTC  resolved by li" in line for line in lines) == 2
    assert [line for line in lines if line.startswith("2024")] == [
        "2024-06-29 01:00:00 UTC  acknowledged by li: known 2024-06-29 09:00:00 UTC  resolved by li"
    ]


def _replay(to: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the market's clock, and the newest day of one feed."""
    feeds = {"margin.market": {"newest": "2024-06-03", "closed": True, "rows": 2}}
    monkeypatch.setattr(system_status, "status", lambda *_: {"feeds": feeds, "calendar_days_left": 100})
    monkeypatch.setattr(system_status, "replayed_to", lambda *_: to)


def test_command_and_sheet_say_in_the_same_words_that_the_answer_is_late(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("market_signals", "security_signals", "industry_signals", "newest_alerts"):
        monkeypatch.setattr(readers, name, lambda _settings: [])
    monkeypatch.setattr(readers, "market_signals", lambda _settings: [signal("verdict")])
    monkeypatch.setattr(morning_sheet, "load_security_names", lambda _settings: {})
    for hour, late in ((1, ""), (2, " · ⚠ late: figures of 2024-06-04 are due")):  # due at 09:10 in Shanghai
        _replay(datetime(2024, 6, 5, hour, tzinfo=UTC), monkeypatch)
        asked = f"Near a top? · figures of 2024-06-03{late}"
        assert question.dated(morning_sheet.model_of(Settings(), None), View(Parameters(), "en")) == asked
        monkeypatch.setattr(system_status, "latest_market", lambda *_: {"verdict": signal("verdict")})
        shown = CliRunner().invoke(app, ["latest", "market"]).stdout
        assert f"{asked}  UNKNOWN" in shown
        assert ("⚠ 迟到：2024-06-04数据应已公布" in shown) is bool(late)


def test_flags_and_ranks_are_no_raw_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"extreme": -1.0, "excess_top": 1.0, "chart_top": 0.0, "fin_streak": 9.0, "theme_score_rank": 29.0}
    print_values(
        "600519.SH", {**found, "excess_kind": 1.0, "code": "600519.SH", "degraded": False}, SIGNALS, Parameters()
    )
    shown = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert {name: value for name, value, *_ in shown} == {
        "extreme": "−1", "excess_top": "yes", "chart_top": "no", "fin_streak": "9", "theme_score_rank": "29",
        "excess_kind": "1", "code": "600519.SH", "degraded": "False",
    }  # fmt: skip


def test_a_figure_in_the_terminal_has_a_name_and_six_digits(capsys: pytest.CaptureFixture[str]) -> None:
    print_values("600519.SH", {"excess_score": 0.11378343447119699, "fin_change": 0.0110637}, SIGNALS, Parameters())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for name, value in (("excess_score", "0.113783"), ("fin_change", "1.11%")):
        assert [name, value, SIGNALS[name].title_zh] in lines


def test_what_was_left_out_of_an_industry_has_its_reason_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"heat": 0.5, "heat_rsi_14": None, "left_out": {"heat_rsi_14": "known of 0 industries, 20 are needed"}}
    print_values("银行", found, INDUSTRY_SIGNALS, Parameters())
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown == [
        f"heat 0.5 {INDUSTRY_SIGNALS['heat'].title_zh}",
        "heat_rsi_14 – known of 0 industries, 20 are needed",
    ]


@pytest.mark.parametrize(
    ("unit", "value", "shown"), [("ratio", 0.0994453, "9.94%"), ("", 2.05, "2.05"), ("CNY", 1.5e12, "15,000.00 亿元")]
)
def test_the_figure_of_a_past_case_has_its_unit(
    unit: str, value: float, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = CaseRow(
        alert="a", subject="market", trade_date=date(2024, 6, 3), figure=value, entry_date=None, entry=None,
        returns={"5": None, "20": None, "60": None}, drawdown=None, hit=None,
    )  # fmt: skip
    evidence = Evidence(since=date(2024, 1, 2), definition=Both("en", "zh"))
    card = RecordCard(
        rule="peak_warning", subject="market", source="[DG22]", figure="ratio", unit=unit, until=date(2024, 7, 1),
        evidence=evidence, rows=[row],
    )  # fmt: skip
    print_record([card])
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("streak", 3, "3 days"), ("peak_lag", -9, "−9 days"), ("lead_lag", 1, "1 day"), ("index_cycle", 2.5, "2.5 years")],
)
def test_days_and_years_have_their_unit(name: str, value: float, shown: str) -> None:
    assert signals.figure(value, SIGNALS[name].unit) == shown


def test_explain_states_the_parameters_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """Title, formula, window and needs stated the defaults, above a line with the value in force."""
    monkeypatch.setenv("MARGINWATCH_PARAMETERS__EXCESS_LAG_DAYS", "30")
    text = CliRunner().invoke(app, ["explain", "excess_financing"]).output
    assert "over 30 days" in text and "（30日）" in text and "B_{t−30}" in text
    assert "31 trading days" in text and "30 days before" in text
    assert "15" not in text and "excess_lag_days days" not in text


def test_the_panel_of_the_market_has_value_day_revision_and_marks_of_each_signal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = msgspec.structs.replace(signal("fin_buy_ratio"), value=0.0994453, reason=None, revision=2)
    print_market({
        "fin_buy_ratio": msgspec.structs.replace(known, provisional=True),
        "fin_balance_to_float_cap/000300.SH": msgspec.structs.replace(
            known, signal="fin_balance_to_float_cap", value=0.05, provisional=True, degraded=True
        ),
        "streak": signal("streak"),
    }, DEFAULTS)  # fmt: skip
    name, title, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert (name, title) == (["Market"], ["signal", "value", "date", "rev", "what"])
    assert lines == [
        ["fin_buy_ratio", "9.94%", "2024-06-03", "2", "provisional", *SIGNALS["fin_buy_ratio"].title_zh.split()],
        ["fin_balance_to_float_cap/000300.SH", "5.00%", "2024-06-03", "2", "provisional", "degraded",
         *SIGNALS["fin_balance_to_float_cap"].title_zh.split()],
        ["streak", "–", "2024-06-03", "0", *REASON.split()],
    ]  # fmt: skip


def test_each_figure_of_an_industry_has_its_column_unit_and_rank(capsys: pytest.CaptureFixture[str]) -> None:
    row = IndustryPeriod("银行", 1.25e9, 3, 2.5e10, 4e11, 0.0625, 17)
    days = tuple(date(2024, 6, day) for day in range(3, 16))
    print_periods([Period(days[0], date(2024, 6, 28), 19, days, (row,)), Period(days[0], days[1], 2, (), ())])
    title, header, line, empty, _ = capsys.readouterr().out.splitlines()
    missing = ", ".join(map(str, days[:12]))
    assert title.rstrip() == f"2024-06-03 … 2024-06-28, 19 sessions, nothing of {missing}"
    assert " ".join(header.split()) == (
        "industry 净买入 net buy rank 买入额 buys 成交额 turnover 买入/成交 buys/turnover rank"
    )
    assert line.split() == ["银行", "12.50", "亿元", "3", "250.00", "亿元", "4,000.00", "亿元", "6.25%", "17"]
    assert empty.rstrip() == "2024-06-03 … 2024-06-04, 2 sessions"
    print_periods([])
    assert capsys.readouterr().out == "No day of the industries is published.\n"


LEFT = "have left the state: see the export of the day's run"
EXPLAINED: dict[str, Any] = {
    "signal": "fin_buy_ratio_5d", "trade_date": date(2024, 6, 3), "value": 0.0994453, "reason": None,
    "available_at": datetime(2024, 6, 4, 1, 5, tzinfo=UTC), "revision": 2, "input_revisions": {"margin.market": 1},
    "missing": {}, "details": {}, "inputs": {"margin.market fin_buy": {"sum": 99_999.0}},
}  # fmt: skip


def test_a_declaration_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    ratio, premium = SIGNALS["fin_buy_ratio_5d"], SIGNALS["risk_premium_by_index"]
    print_explanation([one for signal in (ratio, premium) for one in declaration(Settings(), signal.id)], None)
    shown = capsys.readouterr().out.splitlines()
    assert shown[: shown.index(f"{premium.id}  {premium.title}  {premium.title_zh}")] == [
        f"fin_buy_ratio_5d  {ratio.title}  {ratio.title_zh}",
        "  of          market, in ratio",
        f"  formula     {ratio.formula}",
        f"  source      {ratio.source}",
        *(f"  needs       {need.text(DEFAULTS)}" for need in ratio.needs),
        "  window      5 trading days",
        "  parameter   ratio_window_days = 5",
    ]
    assert "  of          market (per subject), in ratio" in shown
    assert "  window      1 trading day" in shown
    assert shown[-1] == "  parameter   expanding_since = 2016-01-04"


def test_what_a_value_comes_from_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    window = [0.5, None, *map(float, range(11))]  # one more than a terminal shows
    print_explanation(declaration(Settings(), "fin_buy_ratio_5d"), {
        **EXPLAINED,
        "missing": {"margin.daily SZSE": -1, "margin.daily SSE": 3, "etf.daily SSE": 0},
        "details": {"fin_buy_cny": 123_456_789.25, "lowest": -100_000.0, "median": None},
        "left_out": {"heat_pe": "too few"},
        "inputs": {
            "margin.market fin_buy": {"sum": window, "SSE": window[1:]},
            "margin.daily fin_balance": {f"{n:06d}.SZ": 99_999.0 for n in range(14)},
        },
    })  # fmt: skip
    later = ", ".join(f"{n}.0" for n in range(11))
    _, _, shown = capsys.readouterr().out.partition("\n\n")
    assert shown.splitlines() == [
        "2024-06-03  fin_buy_ratio_5d = 9.94%",
        "  known at    2024-06-04 01:05 UTC, revision 2",
        "  of          margin.market, revision 1",
        "  missing     margin.daily SZSE: everything",
        "  missing     margin.daily SSE: 3",
        "  missing     etf.daily SSE: 0",
        f"  {'fin_buy_cny':32} 123,456,789.25",
        f"  {'lowest':32} -100,000.00",
        f"  {'median':32} unknown",
        "  left out    heat_pe: too few",
        "",
        "  margin.market fin_buy",
        f"    {'sum':12} … unknown, {later}",
        f"    {'SSE':12} unknown, {later}",
        "",
        "  margin.daily fin_balance",
        *(f"    {f'{n:06d}.SZ':12} 99999.0" for n in range(12)),
        "    … and 2 more: --json prints all of them",
    ]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"value": None, "reason": REASON}, [f"  absent      {REASON}"]),
        (
            {"inputs": {}},
            ["  inputs      the figures of this day have left the state: see the export of the day's run"],
        ),
        (
            {"inputs": {}, "provisional": True},
            ["  inputs      those of the running session, which changes them: the final value shows its own"],
        ),
    ],
)
def test_an_absent_or_provisional_value_is_explained_in_words(
    changes: dict[str, Any], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    print_explanation(declaration(Settings(), "fin_buy_ratio_5d"), EXPLAINED | changes)
    _, _, derived = capsys.readouterr().out.partition("\n\n")
    head, *shown = derived.splitlines()
    value = "–" if "value" in changes else "9.94%"
    mark = "  (provisional)" if "provisional" in changes else ""
    assert head == f"2024-06-03  fin_buy_ratio_5d = {value}{mark}"
    said = [line for line in shown if line.startswith(("  absent", "  inputs"))]
    assert said == lines


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (True, "flag", "yes"), (0.0, "flag", "no"), (None, "flag", "–"), (-0.123456, "ratio", "−12.35%"),
        (1.5e12, "CNY", "15,000.00 亿元"), (3.0, "count", "3"), (1234567.0, "shares", "1234567"),
        (0.12345678, "sigma", "0.123457"), (-1, "years", "−1 year"), (2.0, "days", "2 days"), ("HOT", "label", "HOT"),
    ],
)  # fmt: skip
def test_a_figure_is_printed_in_its_unit(value: Any, unit: str, shown: str) -> None:
    assert signals.figure(value, unit) == shown


def test_a_text_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    note = "\x1b[2J\x1b]0;owned\x07\u202e 万\u3000科"
    table = terminal.table_of("note")
    table.add_row(note)
    for printed in (note, RichText(note, style="bold"), table):
        terminal._console(stderr=False).print(printed)
        found = capsys.readouterr().out
        assert r"\x1b[2J\x1b]0;owned" in found and "万\u3000科" in found
        assert not {*found} & {*"\x1b\x07\u202e"}


def test_the_input_of_an_alert_about_a_feed_is_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    run = FeedRun(source="vendor", trade_date=date(2020, 7, 22), at=datetime(2020, 7, 22, 9, tzinfo=UTC), rows={})
    record = PlainRecord("alerts.commands.v1", 0, 1, 0, None, msgspec.json.encode(run), [])
    monkeypatch.setattr(readers, "record_at", lambda *_: record)
    found = alert_provenance._input(Settings(), digest(), Input(record.topic, 0, 1, 0))
    assert (found["content"]["source"], found["note"]) == ("vendor", "what a feed has reported")
