"""``python -m docs`` writes the generated files that the repository keeps: the AsyncAPI document and the dashboards.

Tests fail when one of them is out of date.
"""

from __future__ import annotations

from console import dashboards
from processors.parameters import DEFAULTS
from streams import asyncapi

asyncapi.PATH.write_text(asyncapi.rendered(), "utf-8")
for path, text in dashboards.rendered(DEFAULTS).items():
    path.write_text(text, "utf-8")
