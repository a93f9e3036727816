"""Messages that once stopped a partition for good, one of each kind."""

from __future__ import annotations

from streams.records import ARROW, BARRIER_TYPE, CE_TYPE, CLOSE_TYPE, CONTENT_TYPE, PARTIAL_TYPE
from streams.topics import Topic

CLOSE, BARRIER = [(CE_TYPE, CLOSE_TYPE)], [(CE_TYPE, BARRIER_TYPE)]
#: Topic, value and headers; each is refused.
POISON: list[tuple[Topic, bytes, list[tuple[str, bytes]]]] = [
    (Topic.MARGIN_DAILY, b'{"feed":"margin.daily\xff","trade_date":"2020-01-02","expected":{},"source":"x"}', CLOSE),
    (Topic.MARGIN_DAILY, b'{"feed":"margin.daily","trade_date":"2020-01-02","expected":{"SSE":1%s},"source":"x"}'
     % (b"0" * 40), CLOSE),
    (Topic.MARGIN_DAILY, b'{"barrier":"\xff"}', BARRIER),
    (Topic.PRICES_DAILY, b'{"barrier":' + b"[" * 100_000, BARRIER),
    (Topic.INDICES_INTRADAY, b'{"code":"000001.SH","ts":"9999-12-31T23:59:59-08:00","source":"x","last":1,'
     b'"prev_close":1,"volume":1,"turnover":1}', []),
    (Topic.RATES_DAILY, b'{"tenor":"CN10Y","trade_date":"2020-01-02","available_at":"0001-01-01T00:00:00+08:00",'
     b'"source":"x","yield":0.03}', []),
    (Topic.REFERENCE, b"\xff\xff\xff\xff" * 5, [(CONTENT_TYPE, ARROW)]),
    (Topic.FEATURES, b"\xc1", [(CE_TYPE, PARTIAL_TYPE)]),
    (Topic.FEATURES, b"\x91" * 100_000, [(CE_TYPE, PARTIAL_TYPE)]),
    (Topic.FEATURES, b'{"barrier":"b"}', BARRIER),  # without its origin
    (Topic.FEATURES, b"", []),
    (Topic.SIGNALS_MARKET, b"\xff", []),
    (Topic.SIGNALS_MARKET, b'{"signal":"fin_balance","subject":"market","trade_date":"0001-01-01",'
     b'"available_at":"2020-01-03T00:00:00Z","revision":0,"value":1}', []),
    (Topic.SIGNALS_SECURITY, b"no frame", [(CONTENT_TYPE, ARROW)]),
    (Topic.SIGNALS_INDUSTRY, b"", []),
    (Topic.ALERT_COMMANDS, b'{"type":"acknowledge","alert":"a","by":"\xff","at":"2020-01-03T00:00:00Z"}', []),
    (Topic.ALERT_COMMANDS, b'{"type":"silence","silence":{"id":"s","until":"2099-01-01T00:00:00","by":"li"},'
     b'"at":"2020-01-03T00:00:00Z"}', []),
    (Topic.ALERT_COMMANDS, b'{"type":"acknowledge","alert":"a","by":"li","at":"9999-12-31T23:59:59-08:00"}', []),
]  # fmt: skip
