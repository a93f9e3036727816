"""The guide "How to add an indicator", followed word for word on a copy of the tree."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "pages" / "guides" / "indicator.md"
COPIED = ("processors", "alerts", "feeds", "console", "streams", "docs")
#: What a newcomer looks at afterwards, from the copy.
LOOK = """
import json
from datetime import UTC, datetime
from pathlib import Path
from prometheus_client import REGISTRY
from alerts.rules import custom
from console import labels
from docs import sample, signal_pages
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from processors.registry import SIGNALS
from processors.signal import Level
from streams import explain, metrics
from streams.settings import Settings

signal = SIGNALS["fin_repay_ratio"]
curve = sample.curves()[Level.MARKET, signal.id]
last = MarketSignal(signal=signal.id, subject="market", trade_date=curve.days[-1], available_at=datetime.now(UTC),
                    revision=0, value=curve.values[-1])
metrics.observe_signal(last)
(declared,) = explain.declaration(Settings(), signal.id)
rules = Path("rules.toml")
rules.write_text("[rules.repaid]\\nsignal = 'fin_repay_ratio'\\nabove = 0.1\\nseverity = 'info'\\ntitle = 'Repaid'")
print(json.dumps({
    "values": curve.values,
    "metric": REGISTRY.get_sample_value(
        "marginwatch_signal", {"signal": signal.id, "subject": "market", "provisional": "false"}
    ),
    "inputs": declared["inputs"],
    "window": declared["window_days"],
    "provisional": declared["provisional"],
    "page": signal_pages.pages()[signal_pages.path(signal)],
    "index": signal_pages.index(),
    "console": [labels.signal_title(signal.id, language, Parameters()) for language in ("en", "zh")],
    "rules": [rule.name for rule in custom.load(rules, ())],
}))
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree after the steps of the guide: its file, and its line in the registry."""
    tree = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    shutil.copy(ROOT / "CHANGELOG.md", tree)
    steps = re.findall(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert [(kind, path) for kind, path, _ in steps] == [
        ("python", "processors/indicators/fin_repay_ratio.py"),
        ("diff", "processors/registry.py"),
    ], "one file and one line"
    for kind, path, text in steps:
        if kind == "python":
            assert not (tree / path).exists()
            (tree / path).write_text(text, "utf-8")
        else:
            before = "".join(line[1:] for line in text.splitlines(keepends=True) if line[0] != "+")
            after = "".join(line[1:] for line in text.splitlines(keepends=True) if line[0] != "-")
            assert len(after.splitlines()) == len(before.splitlines()) + 1, "one line"
            source = (tree / path).read_text("utf-8")
            assert source.count(before) == 1, "the guide's context is not that of the registry"
            (tree / path).write_text(source.replace(before, after), "utf-8")
    return tree


def test_whoever_follows_it_has_value_metric_explanation_page_console_and_rule(followed: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=followed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    known = [value for value in found["values"] if value is not None]
    assert len(known) >= len(found["values"]) - 1  # the derived repayments of the first day have no day before
    assert all(0.02 < value < 0.2 for value in known)
    assert found["metric"] == known[-1]
    assert found["inputs"] == ["margin.market", "indices.daily"]
    assert (found["window"], found["provisional"]) == (1, False)
    for part in ("fin_repay_ratio", "融资偿还额占两市成交额比例", "Σ fin\\_repay", '<svg class="chart"'):
        assert part in found["page"]
    assert "fin_repay_ratio" in found["index"]
    assert found["console"] == ["Repayments over turnover", "融资偿还额占两市成交额比例"]
    assert found["rules"] == ["repaid"]
