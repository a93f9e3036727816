"""How tests run once per mutant (`tests.mutation`): few and fixed examples, fast tests first, large fixtures last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

MOST_EXAMPLES = 15
#: Fixtures that fold years of real data: whatever is killed without them is killed sooner.
LARGE = {"made", "signals", "valued", "detail", "index", "days", "data_dir"}


#: What mutmut knows of the tests, in the folder in which it runs them.
STATS = Path("mutmut-stats.json")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fix the examples of every property; put fast tests first, and those with large fixtures behind all others."""
    seconds = json.loads(STATS.read_text("utf-8"))["duration_by_test"] if STATS.exists() else {}
    for item in items:
        function = getattr(item, "obj", None)
        declared = getattr(function, "_hypothesis_internal_use_settings", None)
        if declared is not None:
            function._hypothesis_internal_use_settings = settings(  # type: ignore[union-attr]
                declared,
                derandomize=True,
                max_examples=min(MOST_EXAMPLES, declared.max_examples),
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),  # how slow a busy machine is tells nothing of a mutant
            )
    items.sort(key=lambda item: (bool(LARGE & {*getattr(item, "fixturenames", ())}), seconds.get(item.nodeid, 0.0)))
