"""What commands print: nothing is cut off, and no text is taken for markup."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import pytest
from rich.console import Console

from processors.industry_periods import IndustryPeriod, Period
from processors.outputs import MarketSignal
from processors.registry import SIGNALS
from streams.cli.render import signals
from streams.cli.render.signals import print_market, print_periods, print_values
from streams.cli.render.tables import print_status

REASON = "margin.daily of SZSE is not closed [see `marginwatch status`]: the sum of both exchanges has an unknown part"


def signal(name: str, subject: str = "market") -> MarketSignal:
    return MarketSignal(
        signal=name, subject=subject, trade_date=date(2024, 6, 3), available_at=datetime(2024, 6, 4, tzinfo=UTC),
        revision=0, value=None, reason=REASON,
    )  # fmt: skip


def narrow(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    console = Console(width=80, force_terminal=True, color_system=None, highlight=False, markup=False, soft_wrap=True)
    monkeypatch.setattr(module, "out", console)


def test_off_a_terminal_a_row_of_a_table_is_one_line() -> None:
    command = [sys.executable, "-m", "streams", "rules", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "80"})
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("balance_new_high ")]
    assert "SSE Composite higher 20 days later" in line
    assert "…" not in done.stdout


def test_off_a_terminal_a_reason_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_market({"fin_buy_ratio_5d": signal("fin_buy_ratio_5d")})
    assert REASON in capsys.readouterr().out


def test_a_narrow_terminal_folds_names_and_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(monkeypatch, signals)
    name = "fin_balance_to_float_cap/000300.SH"
    print_market({name: signal("fin_balance_to_float_cap", "000300.SH")})
    row = IndustryPeriod("农林牧渔", 1234567890123.4, 31, 9876543210987.6, 123456789012345.6, 0.0801, 17)
    print_periods([Period(date(2024, 6, 3), date(2024, 6, 28), 19, (), (row,))])
    shown = capsys.readouterr().out
    assert "…" not in shown.replace("2024-06-03 … 2024-06-28", "")
    together = "".join(shown.split())
    assert all(one in together for one in (REASON.split()[-1], "农林牧渔", "12,345.68", "98,765.43"))
    assert "fin_balance_to" in together


def test_a_subject_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    alert = {"severity": "critical", "rule": "peak_warning", "subject": "fin_buy_ratio_5d", "trade_date": "2024-06-03"}
    print_status({
        "replayed_to": None, "feeds": {"margin.daily[0]": {"newest": None, "closed": False, "rows": 0}},
        "signals": {"llt": {"value": None, "reason": "[bold] of :ok: no member"}}, "alerts_firing": [alert],
        "tables": {}, "calendar_days_left": 100,
    })  # fmt: skip
    shown = capsys.readouterr().out
    assert "peak_warning [fin_buy_ratio_5d] of 2024-06-03" in shown
    assert "llt: [bold] of :ok: no member" in shown
    assert "margin.daily[0]" in shown


def test_flags_and_ranks_are_no_raw_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"extreme": -1.0, "excess_top": 1.0, "chart_top": 0.0, "fin_streak": 9.0, "theme_score_rank": 29.0}
    print_values("600519.SH", {**found, "excess_kind": 1.0, "code": "600519.SH", "degraded": False}, SIGNALS)
    shown = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert dict(shown) == {
        "extreme": "-1", "excess_top": "yes", "chart_top": "no", "fin_streak": "9", "theme_score_rank": "29",
        "excess_kind": "1", "code": "600519.SH", "degraded": "False",
    }  # fmt: skip
