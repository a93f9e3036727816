"""The desk's margin positions from files, stream entries and requests; without Kafka and Redis."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from alerts.delivery.signing import HEADER, SignatureError, signature, verify
from feeds import http_listener
from feeds.errors import InputError, LedgerError
from feeds.files import vendor
from feeds.intraday import margin_positions
from feeds.intraday.intraday_outlet import IntradayOutlet
from feeds.intraday.margin_positions import PositionRow
from feeds.intraday.positions_stream import Entry, ParsedEntries
from feeds.intraday.positions_webhook import WebhookTask, signing_key
from feeds.intraday.rate_limit import TokenBucket
from feeds.plan import PositionsFolder, PositionsWebhook
from processors.codes import to_codes
from processors.days import SHANGHAI, moment, to_day
from processors.events import MarginIntraday, RowBatch
from streams.calendars import xshg
from streams.errors import PublishError
from streams.feed_services import FrameCodec
from streams.settings import Settings
from tests.harness import wait_until
from tests.publishing import MemoryStore, no_broker

DAY = date(2024, 6, 3)
NOW = datetime(2024, 6, 3, 14, 0, tzinfo=SHANGHAI).timestamp()
SECRET = "0123456789abcdef-nobody-sees"


def plain(rows: RowBatch) -> list[tuple[str, str, float, float]]:
    times = [f"{moment(ts).astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" for ts in rows.stamps.tolist()]
    figures = rows.figures["fin_buy"].tolist(), rows.figures["fin_repay"].tolist()
    return list(zip(to_codes(rows.keys), times, *figures, strict=True))


def parsed(text: str) -> list[tuple[str, str, float, float]]:
    return plain(
        margin_positions.rows_of(vendor.parse_csv(text.encode(), "positions.csv"), "positions.csv", (), to_day(DAY))
    )


def test_a_position_row_is_a_row_of_the_topic() -> None:
    fields = {field.name for field in msgspec.structs.fields(MarginIntraday)}
    assert {field.name for field in msgspec.structs.fields(PositionRow)} == fields - {"source", "revision"}


# -- tables ------------------------------------------------------------------------------------------------------

ROW = ("600519.SH", "2024-06-03 10:00:00", 1.5e6, 2e5)


@pytest.mark.parametrize(
    "text",
    [
        "code,ts,fin_buy,fin_repay\n600519.SH,2024-06-03T10:00:00+08:00,1500000,200000",
        "code,ts,fin_buy,fin_repay\n600519.SH,2024-06-03T02:00:00Z,1500000,2e5",
        "code,ts,fin_buy,fin_repay\nsh600519,2024-06-03T10:00:00,1500000,200000",
        "code,ts,fin_buy(万元),fin_repay(元)\n600519.SH,20240603 10:00:00,150,200000",
        "证券代码,时间,融资买入额(元),融资偿还额(万元)\n600519,10:00:00,1500000,20",
        "证券代码,数据时间,本日融资买入额（元）,本日融资偿还额（元）\n600519,2024/6/3 10:00:00,1500000,200000",
        "code,ts,fin_buy,fin_repay\n600519.SH,2024-06-03 10:00,1500000,200000",
        "code,ts,fin_buy,fin_repay\n600519.SH,2024/6/3 10:00,1500000,200000",
        "code,ts,fin_buy,fin_repay\n600519.SH,10:00,1500000,200000",
        "代码,更新时间,买入额(亿元),偿还额(千元)\n600519,20240603100000,0.015,200",
    ],
)
def test_headers_say_what_columns_are(text: str) -> None:
    assert parsed(text) == [ROW]


def test_a_column_may_have_moments_of_several_zones() -> None:
    head, utc = "code,ts,fin_buy,fin_repay\n", "600519.SH,2024-06-03T02:00:00Z,1500000,200000\n"
    assert parsed(head + utc + utc.replace("02:00:00Z", "10:00:00+08:00")) == [ROW, ROW]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("证券代码,时间,融资买入额,融资偿还额(元)\n600519,10:00:00,1,2", "融资买入额|fin_buy: no unit is given"),
        ("证券代码,时间,融资买入额(股),融资偿还额(元)\n600519,10:00:00,1,2", "does not measure money"),
        ("证券代码,时间,融资买入额(元)\n600519,10:00:00,1", "no column fin_repay or 融资偿还额"),
        ("code,fin_buy,fin_repay\n600519,1,2", "no column ts or 时间"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,03/04/2024 10:00,1,2", "ambiguous or unknown"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,,2", "row 2: fin_buy of 600519.SH is absent"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,-2", "row 2: fin_repay of 600519.SH is -2.0"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,2\n,,,\n600519.SH,10:01:00,-1,2", "row 4: fin_buy of 600519"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,x", "row 2, fin_repay: 'x' is no number"),
        (
            "code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,2\n600036.SH,10:00:00,abc,待定",
            "row 3, fin_.*: '.*' is no number",
        ),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,2\n600519.SH,later,1,2", "not written as %H:%M:%S"),
        ("code,ts,fin_buy,fin_repay\nMoutai,10:00:00,1,2", "no style that is known"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,—", "fin_repay of 600519.SH is absent"),
        ("code,ts,fin_buy,fin_repay\n999999.SH,10:00:00,1,2", "no exchange gives out such a number"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,45446.4167,1,2", "time '45446.4167' is ambiguous or unknown"),
        ("code;ts;fin_buy;fin_repay\n600519.SH;10:00:00;1500000,5;2", "'1500000,5' is no number"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1.5E+06,2", "is rounded to 2 digits"),
        ("code,ts,fin_buy,fin_repay\n600519.SZ,10:00:00,1,2", "600519.SZ: such a number is .* of another exchange"),
        (
            "code,ts,fin_buy(亿元),fin_repay\n600519.SH,10:00:00,1000000,2",
            r"row 2: fin_buy of .*0.0: expected an amount below 1e\+11",
        ),
        (
            "code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,2\ncode,ts,fin_repay,fin_buy\n",
            "row 3 is a header of other",
        ),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,500,2", "more cells than its header"),
        ("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1,500,000,2", "more cells than its header"),
        ("code,ts,fin_buy,融资买入额(元),fin_repay\n600519.SH,10:00:00,1,2,3", None),
        ("code,ts,fin_buy,fin_buy(元),fin_repay\n600519.SH,10:00:00,1,2,3", "both fin_buy"),
    ],
)
def test_what_is_not_clear_is_refused(text: str, said: str | None) -> None:
    if said is None:
        assert parsed(text)[0][2:] == (1.0, 3.0)
        return
    with pytest.raises(InputError, match=said):
        parsed(text)


def test_a_blank_line_behind_the_header_is_no_time() -> None:
    text = "code,ts,fin_buy,fin_repay\n\n600519.SH,2024-06-03T09:31:00+08:00,5,3\n"
    assert parsed(text) == [("600519.SH", "2024-06-03 09:31:00", 5.0, 3.0)]


def test_a_time_that_is_written_otherwise_is_named_with_its_row() -> None:
    lines = ["code,ts,fin_buy,fin_repay", *(f"600519.SH,2024-06-03 09:{at},5,3" for at in ("31:00", "32:00", "33"))]
    with pytest.raises(
        InputError, match=r"row 4, ts: column 'ts': '2024-06-03 09:33' is not written as \S+ \S+: correct"
    ):
        parsed("\n".join(lines))


def test_moments_of_a_parquet_file_have_a_zone(tmp_path: Path) -> None:
    stamps = pd.to_datetime(["2024-06-03 09:31:00.5"]).tz_localize(SHANGHAI).tz_convert("UTC")
    frame = pd.DataFrame({"code": ["600519.SH"], "ts": stamps, "fin_buy": [5.0], "fin_repay": [3.0]})
    frame.to_parquet(tmp_path / "a.parquet")
    rows = margin_positions.rows_of(vendor.load(tmp_path / "a.parquet"), "a.parquet", (), to_day(DAY))
    assert plain(rows) == [("600519.SH", "2024-06-03 09:31:00", 5.0, 3.0)]


def test_files_of_a_folder_and_a_mapping_file(tmp_path: Path) -> None:
    plain_file, other = tmp_path / "a.csv", tmp_path / "b.csv"
    plain_file.write_text("code,ts,fin_buy,fin_repay\n600519.SH,10:00:00,1500000,200000\n")
    os.utime(plain_file, (datetime(2024, 6, 3, 18, tzinfo=SHANGHAI).timestamp(),) * 2)
    other.write_text("sec;x\n")
    feed = PositionsFolder(path=tmp_path)
    assert plain(margin_positions.read_files("x", feed, [plain_file])) == [ROW]  # the day on which the file was written
    rules = tmp_path / "map.toml"
    rules.write_text("""
        [[table]]
        files = "desk_*"
        topic = "margin.intraday"
        code = { column = "sec", style = "sh600519" }
        ts = { column = "t", format = "%H%M%S" }
        columns.fin_buy = { column = "b", unit = "万元" }
        columns.fin_repay = { formula = "b - net", unit = "万元" }
    """)
    mapped = tmp_path / "desk_1.csv"
    mapped.write_text("sec,t,b,net\nsh600519,100000,150,130\n")
    os.utime(mapped, (NOW,) * 2)
    feed = PositionsFolder(path=tmp_path, map=rules)
    assert plain(margin_positions.read_files("x", feed, [mapped, plain_file])) == [ROW]
    with pytest.raises(InputError, match=r"fits a\.csv"):
        margin_positions.read_files("x", feed, [plain_file])
    rules.write_text(rules.read_text().replace("margin.intraday", "prices.intraday").replace("fin_buy", "last")
                     .replace("fin_repay", "prev_close").replace("万元", "元"))  # fmt: skip
    with pytest.raises(InputError, match=r"gives margin\.intraday"):
        margin_positions.read_files("x", feed, [mapped])


@pytest.mark.parametrize("with_mapping", [True, False])
def test_a_sheet_that_is_not_read_refuses_its_workbook(with_mapping: bool, tmp_path: Path) -> None:
    rows = [["code", "ts", "fin_buy", "fin_repay"], ["600519.SH", "2024-06-03 10:00:00", 1500000, 200000]]
    book = pytest.importorskip("openpyxl").Workbook()
    for sheet, cells in ((book.active, rows), (book.create_sheet("B"), [["账户"], [300000]])):
        for row in cells:
            sheet.append(row)
    book.save(tmp_path / "desk.xlsx")
    rules = tmp_path / "map.toml"
    rules.write_text("""
        [[table]]
        files = "desk*"
        topic = "margin.intraday"
        code = { column = "code", style = "600519.SH" }
        ts = { column = "ts", format = "%Y-%m-%d %H:%M:%S" }
        columns.fin_buy = { column = "fin_buy", unit = "元" }
        columns.fin_repay = { column = "fin_repay", unit = "元" }
    """)
    feed = PositionsFolder(path=tmp_path, map=rules if with_mapping else None)
    with pytest.raises(InputError, match=r"desk\.xlsx \[B\] is not read: 1 rows with figures"):
        margin_positions.read_files("x", feed, [tmp_path / "desk.xlsx"])
    del book["B"]
    book.save(tmp_path / "desk.xlsx")
    assert plain(margin_positions.read_files("x", feed, [tmp_path / "desk.xlsx"])) == [ROW]


# -- stream entries ----------------------------------------------------------------------------------------------


def entry(number: int, **fields: str) -> Entry:
    added = int(datetime(2024, 6, 3, 10, 0, tzinfo=SHANGHAI).timestamp() * 1000)
    return Entry(f"{added}-{number}", {name.encode(): value.encode() for name, value in fields.items()})


def test_entries_that_are_wrong_are_named_and_the_others_count() -> None:
    row = {"code": "600519.SH", "ts": "10:00:00", "fin_buy": "1500000", "fin_repay": "200000"}
    as_json = {"code": "600519.SH", "ts": "2024-06-03T02:00:00Z", "fin_buy": 1500000, "fin_repay": 200000}
    entries = [
        entry(0, **row),
        entry(1, **row | {"fin_buy": "lots"}),
        entry(2, **row),
        entry(3, hello="world"),
        entry(4, json=json.dumps(as_json)),
        entry(5, json=json.dumps(as_json | {"fin_buy": -1})),
        entry(6, json="{"),
        Entry("1717380000000-7", {b"code": b"\xff"}),
        entry(9, json=json.dumps(as_json | {"code": "600519.SZ"})),
        entry(8, **{"证券代码": "600519", "时间": "10:00:00", "融资买入额(万元)": "150", "融资偿还额(元)": "200000"}),
    ]
    found = ParsedEntries(None).add(entries)
    assert [one.id[-1] for one in found.entries] == ["0", "2", "4", "8"]
    assert [plain(rows) for rows in found.batches] == [[ROW]] * 4
    reasons = {one.id[-1]: reason for one, reason in found.refused}
    assert list(reasons) == ["1", "3", "5", "6", "7", "9"]
    for number, said in {
        "1": "'lots' is no number",
        "3": "no column code",
        "5": "fin_buy",
        "6": "truncated",
        "9": "another exchange",
    }.items():
        assert said in reasons[number]


# -- rates and signatures ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), min_size=1))
def test_a_bucket_keeps_its_rate_whoever_takes_what(steps: list[tuple[float, int]]) -> None:
    now = 0.0
    bucket = TokenBucket(10, 20, lambda: now)
    taken = 0
    for pause, wanted in steps:
        now += pause
        now += bucket.delay() + 1e-9
        assert bucket.delay() == 0
        # Before this one, no more than the rate and what may be saved up; the one before it may have gone into debt.
        assert taken <= 20 + 10 * now + 1e-6
        bucket.take(wanted)
        taken += wanted
    assert bucket.delay() <= max(0, steps[-1][1]) / 10


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_openssl_makes_the_same_signature() -> None:
    """As the documentation shows it."""
    digest = """printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$key" | sed 's/.* //'"""
    shell = f'printf "t=$t,v1=$({digest})"'
    made = subprocess.run(["sh", "-c", shell], env=os.environ | {"t": "1000", "body": '{"买": 1}', "key": SECRET},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert made.stdout == signature(SECRET.encode(), '{"买": 1}'.encode(), 1000)


def test_signatures_are_checked_with_their_clock() -> None:
    key, body = SECRET.encode(), b'{"a":1}'
    header = signature(key, body, 1000)
    verify(key, body, header, 1299, 300)
    verify(key, body, header.replace(",", ", "), 800, 300)
    for wrong, wrong_body, now, said in (
        (None, body, 1000, "missing"),
        ("t=1000", body, 1000, "missing"),
        ("t=x,v1=00", body, 1000, "missing"),
        (f"t={'1' * 4_301},v1=00", body, 1000, "missing"),
        (header[:-1] + "z", body, 1000, "does not fit"),
        (header, body + b" ", 1000, "does not fit"),
        (header.replace("t=1000", "t=1001"), body, 1000, "does not fit"),
        (header, body, 1301, r"\+301 s off"),
        (header, body, 699, "-301 s off"),
    ):
        with pytest.raises(SignatureError, match=said):
            verify(key, wrong_body, wrong, now, 300)


# -- the webhook -------------------------------------------------------------------------------------------------


class MemoryAnswers:
    """The two commands of Redis that the webhook uses."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.away = False

    def get(self, name: str) -> bytes | None:
        if self.away:
            raise RedisConnectionError("away")
        return self.kept.get(name)

    def set(self, name: str, value: bytes, ex: int) -> None:
        assert ex == 86_400
        self.kept[name] = value


class Desk:
    """The webhook in a thread, and a client that calls it."""

    def __init__(self, **feed: Any) -> None:
        self.now = NOW
        self.sent: list[RowBatch] = []
        self.error: Exception | None = None
        self.redis = MemoryAnswers()
        outlet = IntradayOutlet(
            no_broker,
            xshg(),
            MemoryStore(),
            FrameCodec(Settings()),
            source="x",
            clock=lambda: self.now,
            wait=lambda _seconds: False,
        )
        outlet._send = self._send  # type: ignore[method-assign]
        made = PositionsWebhook(listen="127.0.0.1:0", **feed)
        key = signing_key(made, SECRET)
        self.run = WebhookTask("desk", made, outlet, self.redis, "mw", key, lambda: self.now)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.run.tick, args=(self.now,), daemon=True)
        self.thread.start()
        wait_until(lambda: self.run.port != 0, 10, "the webhook")

    def _send(self, rows: RowBatch) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(rows)

    def call(
        self, body: object, *, key: str = "", signed: str | None = "", path: str = "/v1/margin.intraday", **more: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = more | ({"Idempotency-Key": key} if key else {})
        if signed is not None:
            headers[HEADER] = signed or signature(SECRET.encode(), data, int(self.now))
        connection = http.client.HTTPConnection("127.0.0.1", self.run.port, timeout=120)
        try:
            connection.request("POST" if data else "GET", path, data or None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), dict(answer.headers)
        finally:
            connection.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.run.end()
    made.thread.join(10)
    assert not made.thread.is_alive()


GOOD = {"code": "600519.SH", "ts": "2024-06-03T10:00:00+08:00", "fin_buy": 1.5e6, "fin_repay": 2e5}


def test_rows_are_published_and_counted_and_a_repetition_changes_nothing(desk: Desk) -> None:
    assert desk.call(GOOD)[:2] == (200, {"rows": 1, "published": 1, "unchanged": 0, "late": 0})
    assert plain(desk.sent[0]) == [ROW]
    later = GOOD | {"ts": "2024-06-03T10:01:00+08:00", "fin_buy": 1.6e6}
    assert desk.call([GOOD, later])[1] == {"rows": 2, "published": 1, "unchanged": 1, "late": 0}
    assert desk.call([GOOD, later])[1] == {"rows": 2, "published": 0, "unchanged": 1, "late": 1}
    assert desk.call(later | {"fin_buy": 1.55e6})[1]["published"] == 1
    assert desk.sent[-1].revisions.tolist() == [1]
    assert desk.call(b"", path="/healthz")[:2] == (200, {"status": "alive"})


def test_a_key_in_any_encoding_is_a_key_and_a_body_that_is_not_as_its_headers_say_is_refused(desk: Desk) -> None:
    assert [desk.call(GOOD, key="clé")[1]["published"] for _ in range(2)] == [1, 1]  # the stored answer
    status, answer, _ = desk.call(GOOD, **{"Content-Encoding": "gzip"})
    assert (status, answer["error"][:25]) == (400, "the body can't be read: 4")


def test_a_request_whose_head_never_ends_occupies_no_connection(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(http_listener, "HEAD_S", 0.5)
    desk = request.getfixturevalue("desk")
    with socket.create_connection(("127.0.0.1", desk.run.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/margin.intraday HTTP/1.1\r\nX-Note: ")
        assert connection.recv(1) == b""
    assert desk.call(GOOD)[0] == 200


def test_a_request_that_is_not_signed_for_this_body_and_time_is_refused(desk: Desk) -> None:
    body = json.dumps(GOOD).encode()
    other = signature(b"another key, another key", body, int(NOW))
    old = signature(SECRET.encode(), body, int(NOW) - 301)
    for signed in (None, "t=1,v1=00", "v1", other, old):
        status, answer, _ = desk.call(body, signed=signed)
        assert status == 401, signed
        assert SECRET not in str(answer)
    assert desk.call(body + b" ", signed=signature(SECRET.encode(), body, int(NOW)))[0] == 401
    assert desk.sent == []
    recorded = signature(SECRET.encode(), body, int(NOW))
    assert desk.call(body, signed=recorded)[0] == 200
    assert desk.call(body, signed=recorded)[1]["published"] == 0  # a replayed request changes nothing
    desk.now += 301
    assert desk.call(body, signed=recorded)[0] == 401


@pytest.mark.parametrize(
    ("body", "status", "row", "field"),
    [
        (b"{no", 400, None, None),
        (b"\xff\xfe", 400, None, None),
        ([], 422, None, None),
        ({"code": "600519.SH"}, 422, 0, "ts"),
        ([GOOD, GOOD | {"fin_buy": -1}], 422, 1, "fin_buy"),
        ([GOOD, GOOD | {"fin_buy": "1"}], 422, 1, "fin_buy"),
        ([GOOD, GOOD | {"fin_buy": 1e300}], 422, 1, "fin_buy"),
        ([GOOD, GOOD | {"fin_repay": 1e11}], 422, 1, "fin_repay"),
        ([GOOD, GOOD | {"code": "600519"}], 422, 1, "code"),
        ([GOOD, GOOD | {"code": "600519.SZ"}], 422, 1, "code"),
        ([GOOD, GOOD | {"code": "000300.SH"}], 422, 1, "code"),
        ([GOOD, GOOD | {"ts": "2024-06-03T10:00:00"}], 422, 1, "ts"),
        ([GOOD, GOOD | {"colour": "red"}], 422, 1, "colour"),
        ([GOOD, GOOD | {"ts": "2024-06-03T14:02:00+08:00"}], 422, 1, "ts"),  # in the future
        ([GOOD, GOOD | {"ts": "2024-06-02T10:00:00+08:00"}], 422, 1, "ts"),  # a Sunday
        ([GOOD, GOOD | {"ts": "0001-01-01T00:00:00+14:00"}], 422, 1, "ts"),  # before the year 1
        ([GOOD, GOOD | {"ts": "9999-12-31T23:59:59-12:00"}], 422, 1, "ts"),  # after the year 9999
        ([GOOD, GOOD | {"fin_buy": 9}], 422, 1, "fin_buy"),  # the same moment
        ([GOOD, GOOD | {"ts": "2024-06-03T10:01:00+08:00", "fin_buy": 9}], 422, 1, "fin_buy"),  # fell
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_published(
    desk: Desk, body: object, status: int, row: int | None, field: str | None
) -> None:
    found, answer, _ = desk.call(body)
    assert found == status
    assert answer["error"]
    reported = answer.get("rows", [{"row": None, "field": None}])[0]
    assert (reported["row"], reported["field"]) == (row, field)
    assert desk.sent == []


def test_an_idempotency_key_brings_the_first_answer_and_belongs_to_one_body(desk: Desk) -> None:
    first = desk.call(GOOD, key="a")[1]
    assert desk.call(GOOD, key="a")[1] == first  # not "unchanged"
    status, answer, _ = desk.call(GOOD | {"fin_buy": 2e6}, key="a")
    assert (status, "another body" in answer["error"]) == (409, True)
    assert desk.call(GOOD, key="b")[1]["unchanged"] == 1
    assert desk.call(GOOD, key="k" * 257)[0] == 400
    assert len(desk.sent) == 1


def test_too_much_and_too_fast() -> None:
    desk = Desk(max_bytes=2048, max_rows_per_s=0.5)
    try:
        assert desk.call([GOOD] * 100)[0] == 413
        assert desk.call(GOOD)[0] == 200
        status, _, headers = desk.call(GOOD)
        assert (status, headers["Retry-After"]) == (429, "1")
        assert desk.call(GOOD, signed="t=1,v1=0")[0] == 401  # unsigned requests do not use up the rate of the desk
    finally:
        desk.run.end()
        desk.thread.join(10)


@pytest.mark.parametrize("error", [PublishError("no broker"), LedgerError("contended"), RedisConnectionError("away")])
def test_when_kafka_or_redis_is_away_the_same_request_may_come_again(desk: Desk, error: Exception) -> None:
    desk.error = error
    status, _, headers = desk.call(GOOD, key="a")
    assert (status, headers["Retry-After"]) == (503, "10")
    desk.error = None
    desk.redis.away = True
    assert desk.call(GOOD, key="a")[0] == 503
    desk.redis.away = False
    assert desk.call(GOOD, key="a")[1]["published"] == 1


def test_a_webhook_needs_a_real_key_and_never_shows_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="MARGINWATCH_POSITIONS_SECRET"):
        signing_key(PositionsWebhook(), None)
    with pytest.raises(InputError, match="shorter than 16 bytes") as caught:
        signing_key(PositionsWebhook(), "hush")
    assert "hush" not in str(caught.value)
    with pytest.raises(InputError, match="can't be read"):
        signing_key(PositionsWebhook(secret_file=tmp_path / "none"), None)
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    assert signing_key(PositionsWebhook(secret_file=path), None).secret == SECRET.encode()
    with capture_logs() as logs:
        made = Desk()
        made.call(GOOD)
        made.call(GOOD, signed="t=1,v1=0")
        made.run.end()
        made.thread.join(10)
    assert len(logs) >= 3
    assert SECRET not in str(logs) + repr(made.run.__dict__)
