"""``python -m alerts.dashboards``: write the files."""

from __future__ import annotations

from alerts.dashboards import rendered

for path, text in rendered().items():
    path.write_text(text, "utf-8")
