"""The model card: what a chart model was trained on, how well, and what its files are; as JSON and as a page."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from html import escape
from pathlib import Path

import msgspec

from processors.chart_labels import HORIZONS
from processors.charts import HEIGHT, LEAST_PRICES, SESSIONS, WIDTH
from streams.charts.errors import ChartModelError
from streams.files import write_whole

CARD, PAGE = "card.json", "card.html"
WEAKNESSES = (
    "The label compares stocks of the same day: a score says nothing of the market's direction.",
    "Costs, limits and short-sale bans are not in the label; `marginwatch study charts` counts costs.",
    "A chart shows neither size nor price level nor turnover against float; a split-adjusted history is needed.",
    "It learns from members of large and medium indices where a folder names them, and scores every stock.",
    "It may do no more than recognise short-term reversal: compare it with the plain rivals of the study.",
)


class Year(msgspec.Struct, kw_only=True):
    """The ensemble of one year.

    Parameters
    ----------
    first, last : first and last day of the charts that it saw.
    charts, names : charts that it learned from, and their stocks.
    losses, accuracies, epochs : of each network on the charts that stopped its training; passes over the charts.
    logistic : coefficients of the logistic regression on the same charts, the intercept first.
    file, digest : its ONNX file and the SHA-256 of that file.
    """

    year: int
    first: date
    last: date
    charts: int
    names: int
    losses: list[float]
    accuracies: list[float]
    epochs: list[int]
    logistic: list[float]
    file: str = ""
    digest: str = ""


class ModelCard(msgspec.Struct, kw_only=True):
    """A model card.

    Parameters
    ----------
    revision : 0 for the first training in a folder, one more for every later one: scores of a later model replace
        those of an earlier one.
    plan : seeds and settings of the training, in words.
    """

    revision: int
    data: str
    data_digest: str
    universe: str
    plan: str
    years: list[Year] = []
    image: str = f"{SESSIONS} sessions, {HEIGHT} × {WIDTH} pixels, at least {LEAST_PRICES} prices"
    label: str = f"above the day's median over {' and '.join(map(str, HORIZONS))} sessions, entered at the open of T+1"
    weaknesses: tuple[str, ...] = WEAKNESSES

    @property
    def digest(self) -> str:
        """The digest of the model: of the digests of its files."""
        return sha256("".join(f"{one.year}:{one.digest};" for one in self.years).encode()).hexdigest()[:12]

    def year(self, wanted: int) -> Year | None:
        """Return the ensemble that scores a year: its own, or else the newest before it; None before the first."""
        return max((one for one in self.years if one.year <= wanted), key=lambda one: one.year, default=None)


def read_card(model: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises
    ------
    ChartModelError : if there is none, or it is damaged.
    """
    path = model / CARD
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except OSError as error:
        raise ChartModelError(
            f"{path} can't be read ({error.strerror}): train a model with `marginwatch charts train`"
        ) from error
    except msgspec.DecodeError as error:
        raise ChartModelError(f"{path} is no model card: {error}") from error


def write_card(card: ModelCard, model: Path) -> None:
    """Write the card as JSON and as a page."""
    for name, content in (
        (PAGE, page(card).encode()),
        (CARD, msgspec.json.format(msgspec.json.encode(card), indent=1)),
    ):
        write_whole(model / name, content)


def page(card: ModelCard) -> str:
    """Return the card as one self-contained HTML page."""
    facts = {
        "Model": f"{card.digest}, revision {card.revision}",
        "Data": f"{card.data}, SHA-256 of the prices {card.data_digest}",
        "Charts": f"{card.universe}; {card.image}",
        "Label": card.label,
        "Training": card.plan,
    }
    heads = ("year", "charts of", "charts", "stocks", "epochs", "loss", "accuracy", "file", "SHA-256")
    rows = [
        (
            one.year,
            f"{one.first} to {one.last}",
            f"{one.charts:,}",
            f"{one.names:,}",
            " ".join(map(str, one.epochs)),
            " ".join(f"{loss:.4f}" for loss in one.losses),
            " ".join(f"{share:.1%}" for share in one.accuracies),
            one.file,
            one.digest,
        )
        for one in card.years
    ]
    body = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    table = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    weak = "".join(f"<li>{escape(text)}</li>" for text in card.weaknesses)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Chart model</title>'
        "<style>body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}dt{font-weight:600}"
        "table{border-collapse:collapse}td,th{padding:.2em .6em;border-bottom:1px solid #ccc;text-align:left;"
        "overflow-wrap:anywhere}</style>"
        f"<h1>Chart model</h1><dl>{body}</dl><h2>Years</h2><p>Loss and accuracy are those of the charts that stopped "
        "the training, one figure a network. A loss of 0.6931 and an accuracy of 50% are those of a coin.</p>"
        f"<table><tr>{head}</tr>{table}</table><h2>Known weaknesses</h2><ul>{weak}</ul></html>\n"
    )
