"""The README and the AsyncAPI file say what the code declares."""

from __future__ import annotations

import json
import re
from pathlib import Path

from streams import asyncapi
from streams.docs import rendered
from streams.settings import Settings
from streams.topics import Topic, Topics

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_generated_tables_are_up_to_date() -> None:
    text = README.read_text("utf-8")
    assert text == rendered(text), "run `python -m streams.docs`"


def test_the_asyncapi_file_is_up_to_date_and_names_every_topic() -> None:
    text = asyncapi.PATH.read_text("utf-8")
    assert text == asyncapi.rendered(), "run `python -m streams.docs`"
    document = json.loads(text)
    assert document["channels"].keys() == Topics(Settings()).all.keys() - {Topic.FEATURES}
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        found = document
        for part in reference.split("/"):
            found = found[part]  # raises where a reference leads nowhere
    balance = document["components"]["schemas"]["MarginDaily"]["properties"]["fin_balance"]
    assert balance == {"type": "number", "minimum": 0}
