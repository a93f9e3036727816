"""The report of studies for a phone as well as for a committee's screen: one self-contained HTML page, or a part of a page.

The part of one study is what the console shows; page and part share templates and style.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from alerts.subject_names import Language
from processors.studies.claims import Claim, Verdict
from processors.studies.result import Chart, Table
from streams.studies import STYLE, labels
from streams.studies.charts import svg
from streams.studies.run import Study, StudyPlan

if TYPE_CHECKING:
    from jinja2 import Environment

#: Texts of the page: English, Chinese.
_PAGE = {
    "title": ("marginwatch: the published claims, on these data", "marginwatch：已发表结论的检验"),
    "lead": (
        "Each published figure beside ours; intervals are 95%. As source: what the reports did, acting at the close of the "
        "day that a figure is about. Point in time: acting at the first open or close after the figure was published. The "
        "verdict is on the point-in-time figure.",
        "每项已发表数字与本系统数字并列，区间为95%。按报告口径：与报告一样，在数据所属当日收盘交易；按可知时点：在数据公布后的首个"
        "开盘或收盘交易。结论依据可知时点的数字。",
    ),
    "rules": (
        "Reproduced: a description within 10%, or an effect with at least 70% of its published distance from the base rate and an "
        "interval that excludes the base rate. Weaker: within 30%, or an effect of the same sign. These limits are ours.",
        "“复现”：描述性数字相差10%以内，或效应达到发表值与基准之差的70%以上且区间不含基准；“更弱”：相差30%以内，或方向相同。以上标准"
        "为本系统设定。",
    ),
    "summary": ("All claims", "结论一览"),
    "claim": ("claim", "结论"),
    "published": ("published", "发表值"),
    "as_source": ("as source", "按报告口径"),
    "point_in_time": ("point in time", "按可知时点"),
    "base": ("base", "基准"),
    "interval": ("95% interval", "95%区间"),
    "cases": ("cases", "样本数"),
    "verdict": ("verdict", "检验结果"),
    "note": ("note", "说明"),
    "method": ("Method and data", "方法与数据"),
    "data": ("data", "数据"),
    "notes": ("Notes on the files", "文件说明"),
    "findings": ("Every figure", "全部数字"),
}
_VERDICTS = {
    Verdict.REPRODUCED: ("reproduced", "复现", "good"),
    Verdict.WEAKER: ("weaker", "更弱", "weak"),
    Verdict.NOT_FOUND: ("not found", "未复现", "bad"),
    Verdict.UNCHECKED: ("can't be checked", "无法检验", "none"),
}


def report(studies: Sequence[Study], plan: StudyPlan, notes: Sequence[str], language: Language = "en") -> str:
    """Return the page in a language; its charts and tables are those of the last mode."""
    place = 0 if language == "en" else 1
    claims = [claim for study in studies for claim in study.claims]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            css=_markup(STYLE),
            language="en" if language == "en" else "zh-CN",
            t=_texts(language),
            folder=plan.folder.name,
            first=studies[0].last.first,
            last=studies[0].last.last,
            tiles=[(count, words[place], tone) for count, words, tone in counts(claims)],
            studies=[_study(study, language, lambda chart: svg(chart, language)) for study in studies],
            notes=notes,
        )
    )


def counts(claims: Sequence[Claim]) -> tuple[tuple[int, tuple[str, str], str], ...]:
    """Return number of claims, name in English and Chinese, and CSS class of each verdict."""
    found = Counter(claim.verdict for claim in claims)
    return tuple((found[verdict], words[:2], words[2]) for verdict, words in _VERDICTS.items())


def part(study: Study, language: Language, image: Callable[[Chart], str]) -> str:
    """Return the part of one study without its title.

    Parameters
    ----------
    image : the element of a chart, such as an ``img`` with the address of its file.
    """
    template = _environment().get_template("study.html.j2")
    return template.render(study=_study(study, language, image), t=_texts(language))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("streams.studies", ".")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def _markup(text: str) -> str:
    from markupsafe import Markup

    return Markup(text)


def _texts(language: Language) -> dict[str, str]:
    return {name: texts[0 if language == "en" else 1] for name, texts in _PAGE.items()}


def _study(study: Study, language: Language, image: Callable[[Chart], str]) -> dict[str, Any]:
    last = study.last
    notes = [
        labels.sample_note(last.source, last.first, last.last, language),
        *(labels.text(note, language) for note in dict.fromkeys(note for r in study.results for note in r.notes)),
    ]
    return {
        "name": last.study,
        "title": labels.text(last.title, language),
        "source": last.source,
        "remark": labels.text(last.remark, language),
        "headline": labels.headline(study.claims, last.first, last.last, language),
        "claims": [_claim(claim, language) for claim in study.claims],
        "charts": [(labels.text(c.title, language), _markup(image(c))) for c in last.charts if not is_empty(c)],
        "tables": [_table(table, language) for table in last.tables if table.rows],
        "notes": [note for note in notes if note],
    }


def _claim(claim: Claim, language: Language) -> dict[str, Any]:
    place = 0 if language == "en" else 1
    verdict = None if claim.verdict is None else _VERDICTS[claim.verdict]
    figures = {
        name: labels.figure(getattr(claim, name), claim.unit)
        for name in ("published", "as_source", "point_in_time", "base")
    }
    return figures | {
        "what": labels.text(claim.what, language),
        "interval": labels.interval(claim),
        "cases": labels.cases(claim, language),
        "verdict": verdict[place] if verdict else "",
        "tone": verdict[2] if verdict else "",
        "note": labels.text(claim.note, language),
    }


def _table(table: Table, language: Language) -> dict[str, Any]:
    units = [table.units.get(name) for name in table.columns]
    return {
        "title": labels.text(table.title, language),
        "columns": [labels.text(name.strip(), language) for name in table.columns],
        "rows": [
            [labels.figure(cell, unit, language) for cell, unit in zip(row, units, strict=True)] for row in table.rows
        ],
    }


def is_empty(chart: Chart) -> bool:
    """Whether a chart has nothing to draw."""
    drawn = (chart.lines, chart.curves, chart.bars, chart.points)
    return not any(drawn) and (chart.strip is None or not chart.strip.days)
