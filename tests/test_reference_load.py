"""The security master: reading files, refusals that name the row, and the published rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from feeds import security_master
from feeds.daily.security_names import SecurityNames
from feeds.errors import InputError
from processors.codes import to_id
from processors.days import to_day
from processors.events import FIGURES
from processors.industries import INDUSTRIES
from streams import feed_services
from streams.calendars import xshg
from streams.cli.main import app
from streams.clients import redis_client
from streams.codecs.row_codec import Decoder
from streams.feed_services import store_security_names
from streams.local.local_redis import EmbeddedRedis
from streams.records import ARROW, CONTENT_TYPE
from streams.settings import Settings
from streams.system_status import name_of
from tests.publishing import Message, sent

__all__ = ["sent"]

ROWS = pd.DataFrame(
    {
        "code": ["600519.SH", "000001.SZ", "600519.SH"],
        "name": ["贵州茅台", "平安银行", "茅台"],
        "industry": ["食品饮料", "银行", "食品饮料"],
        "csi300": [1, 1, 0],
        "csi500": ["否", "", "是"],
        "chinext_index": ["", "是", ""],
        "eligible_from": ["2010-03-31", "20100331", "2010/03/31"],
        "eligible_to": ["", "2024-06-28", ""],
        "float_shares": ["1,256,197,800", "", "1256197801"],
        "effective_date": ["2024-06-15", "2024-06-17", "2024-06-18"],  # the 15th is a Saturday
    }
)
CHINESE = {
    "code": "证券代码",
    "name": "证券简称",
    "industry": "申万一级行业",
    "csi300": "沪深300",
    "csi500": "中证500",
    "chinext_index": "创业板指",
    "eligible_from": "纳入日期",
    "eligible_to": "剔除日期",
    "float_shares": "流通股本(股)",
    "effective_date": "生效日期",
}


def written(frame: pd.DataFrame, folder: Path, kind: str = "csv") -> Path:
    path = folder / f"master.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_excel(path, index=False)
    return path


def load(*arguments: object):
    return CliRunner().invoke(app, ["reference", "load", *map(str, arguments)], env={"COLUMNS": "300"})


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
@pytest.mark.parametrize("headers", [{}, CHINESE], ids=["English", "Chinese"])
def test_a_file_is_read(tmp_path: Path, kind: str, headers: dict[str, str]) -> None:
    frame = ROWS.rename(columns=headers).astype(str if kind == "parquet" else object)
    found = security_master.read([written(frame, tmp_path, kind)], xshg())
    (part,) = found.tables
    first, second, third = part.frame.to_dict("records")
    assert (first["day"], first["key"]) == (to_day(date(2024, 6, 17)), to_id("600519.SH"))
    assert INDUSTRIES[int(second["industry"])] == "银行"
    assert [r["csi300"] for r in (first, second, third)] == [1, 1, 0]
    assert [r["csi500"] for r in (first, second, third)] == [0, 0, 1]
    assert [r["chinext_index"] for r in (first, second, third)] == [0, 1, 0]
    assert first["eligible_from"] == second["eligible_from"] == to_day(date(2010, 3, 31))
    assert second["eligible_to"] == to_day(date(2024, 6, 28)) and np.isnan(first["eligible_to"])
    assert first["float_shares"] == 1_256_197_800 and np.isnan(second["float_shares"])
    names = SecurityNames()
    names.learn(found.tables)
    assert names.known() == {"600519.SH": "茅台", "000001.SZ": "平安银行"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "茅台"}, "row 2, code: code '茅台' is in no style that is known"),
        ({"industry": "白酒"}, "'白酒' is no industry"),
        ({"csi300": "maybe"}, "neither yes"),
        ({"eligible_from": "last year"}, "'last year' is ambiguous or unknown"),
        ({"eligible_from": "2030-01-01", "eligible_to": "2029-01-01"}, "leaves the margin list before it joins"),
        ({"float_shares": "-5"}, "no number of shares"),
        ({"effective_date": ""}, "no date"),
        ({"effective_date": "2050-01-01"}, "after the end of the trading calendar"),
        ({"chairman": "someone"}, "column 'chairman' is not known"),
        ({"代码": "600519"}, "is a second column of code"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        security_master.read([written(ROWS.assign(**change), tmp_path)], xshg())


@pytest.mark.parametrize(("name", "industry"), [("化工", "基础化工"), ("休闲服务", "社会服务"), ("黑色金属", "钢铁")])
def test_an_industry_may_have_its_name_of_an_earlier_edition(tmp_path: Path, name: str, industry: str) -> None:
    (part,) = security_master.read([written(ROWS.assign(industry=name), tmp_path)], xshg()).tables
    assert {INDUSTRIES[int(place)] for place in part.frame["industry"]} == {industry}


def test_a_split_industry_of_an_earlier_edition_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'采掘' is no industry"):
        security_master.read([written(ROWS.assign(industry="采掘"), tmp_path)], xshg())


def test_a_file_without_dates_needs_one(tmp_path: Path) -> None:
    path = written(ROWS.drop(columns="effective_date").iloc[:2], tmp_path)
    with pytest.raises(InputError, match="--date"):
        security_master.read([path], xshg())
    found = security_master.read([path], xshg(), date(2024, 6, 15))
    assert set(found.tables[0].frame["day"]) == {to_day(date(2024, 6, 17))}
    with pytest.raises(InputError, match="no column of codes"):
        security_master.read([written(ROWS.drop(columns="code"), tmp_path)], xshg())


def test_check_shows_rows_and_publishes_nothing(tmp_path: Path, sent: list[Message]) -> None:
    result = load(written(ROWS, tmp_path), "--check")
    assert result.exit_code == 0, result.output
    assert (
        "2024-06-17 600519.SH: industry 食品饮料, csi300 1, csi500 0, chinext_index 0, eligible_from 2010-03-31"
        in result.output
    )
    assert sent == []


def test_a_duplicate_security_of_one_date_stops(tmp_path: Path, sent: list[Message]) -> None:
    twice = pd.concat([ROWS.iloc[:1], ROWS.iloc[:1].assign(industry="银行")])
    result = load(written(twice, tmp_path), "--no-ledger")
    assert isinstance(result.exception, InputError) and "600519.SH" in str(result.exception)
    assert sent == []


def test_names_are_kept_for_commands(
    tmp_path: Path, sent: list[Message], redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARGINWATCH_REDIS_URL", redis_server.url)
    monkeypatch.setenv("MARGINWATCH_NAMESPACE", "master")
    monkeypatch.setattr(feed_services, "store_security_names", store_security_names)  # `sent` has replaced it
    result = load(written(ROWS, tmp_path), "--as", "events")
    assert result.exit_code == 0, result.output
    with redis_client(settings := Settings()) as client:
        assert name_of(settings, client, "600519.SH") == "茅台"
        assert name_of(settings, client, "600000.SH") == ""
    events = [msgspec.json.decode(m[3]) for m in sent if m[2]]
    assert {e["trade_date"] for e in events} == {"2024-06-17", "2024-06-18"}
    first = next(e for e in events if e["code"] == "600519.SH" and e["trade_date"] == "2024-06-17")
    assert first["eligible_from"] == to_day(date(2010, 3, 31))
    assert "eligible_to" not in first
    rows, dead = decoder().decode([record(m[3]) for m in sent if m[2]])
    assert not dead and sum(map(len, rows)) == 3  # type: ignore[arg-type]


def decoder() -> Decoder:
    return Decoder("reference", xshg(), ("SSE", "SZSE"), None, 10**7)


def record(value: bytes, *headers: tuple[str, bytes]):
    return SimpleNamespace(topic="t", partition=0, offset=0, timestamp=0, key=None, value=value, headers=headers)


@pytest.mark.parametrize(("name", "taken"), [("茅台", True), ("", False), ("x" * 65, False), (5, False)])
def test_a_name_is_taken_and_checked_but_is_no_figure(name: object, taken: bool) -> None:
    event = {"code": "600519.SH", "name": name, "source": "s", "trade_date": "2024-06-17",
             "available_at": "2024-06-17T00:00:00Z", "float_shares": 5}  # fmt: skip
    rows, dead = decoder().decode([record(msgspec.json.encode(event))])
    assert (len(rows), len(dead)) == ((1, 0) if taken else (0, 1))
    if taken:
        assert rows[0].figures["float_shares"][0] == 5  # type: ignore[union-attr]
    assert "name" not in {column.name for column in FIGURES["reference"]}


def test_a_frame_may_carry_names() -> None:
    table = pa.record_batch({"code": ["600519.SH"], "name": ["茅台"], "eligible_from": [17000.0]})
    table = table.replace_schema_metadata(
        {"source": "s", "trade_date": "2024-06-17", "available_at": "2024-06-17T00:00:00+00:00"}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table)
    rows, dead = decoder().decode([record(bytes(sink.getvalue()), (CONTENT_TYPE, ARROW))])
    assert not dead
    assert rows[0].figures["eligible_from"].tolist() == [17000.0]  # type: ignore[union-attr]
