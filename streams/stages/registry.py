"""The stages in the order of the stream."""

from __future__ import annotations

from streams.stages.alerts_stage import AlertsStage
from streams.stages.charts_stage import ChartsStage
from streams.stages.market_stage import MarketStage
from streams.stages.securities_stage import SecuritiesStage
from streams.stages.stage import Stage

STAGES: tuple[type[Stage], ...] = (SecuritiesStage, ChartsStage, MarketStage, AlertsStage)
