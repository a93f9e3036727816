"""The stages in the order of the stream."""

from __future__ import annotations

from streams.alerts_stage import AlertsStage
from streams.charts_stage import ChartsStage
from streams.market_stage import MarketStage
from streams.securities_stage import SecuritiesStage
from streams.stage import Stage

STAGES: tuple[type[Stage], ...] = (SecuritiesStage, ChartsStage, MarketStage, AlertsStage)
