"""``python -m console.dashboards``: write the files."""

from __future__ import annotations

from console.dashboards import rendered

for path, text in rendered().items():
    path.write_text(text, "utf-8")
