"""What MkDocs calls when it builds the site: adds generated pages, their navigation, and the tables within pages."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # MkDocs loads this file by its path

from docs import signal_pages, tables  # noqa: E402

#: Files outside ``pages/`` that are pages of the site as well.
_COPIED = {"changelog.md": ROOT / "CHANGELOG.md", "contributing.md": ROOT / "CONTRIBUTING.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the signals behind their index."""
    for section in config.nav or []:
        if "Signals" in section:
            section["Signals"] += signal_pages.navigation()
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages, and those that the repository keeps at its top."""
    found = signal_pages.pages() | {name: path.read_text("utf-8") for name, path in _COPIED.items()}
    for name, text in found.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Replace the comments ``<!-- name -->`` by the tables of these names."""
    for name, made in tables.PARTS.items():
        mark = f"<!-- {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown
