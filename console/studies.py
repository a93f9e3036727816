"""The pages of studies: every study with its verdicts, one study with charts, claims and tables, and the computation.

A page shows stored parts of the report; the computation runs in a process of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from fastapi import FastAPI
from nicegui import ui
from starlette.responses import Response

from console import labels
from console.model import Part
from console.site import Page, Site, content
from console.study_results import Both, StudyEntry, StudyResults
from console.subject import no_subject
from processors.days import SHANGHAI

_TEXTS: dict[str, Both] = {
    "hint": (
        "Each published figure beside ours, on these data. A study reads the folder in a process of its own.",
        "在以下数据上检验每项已发表数字。研究在独立进程中计算。",
    ),
    "no_folder": (
        "This console has no data for studies. Set MARGINWATCH_STUDY_DATA to a folder of market files (as for "
        "`marginwatch study --data`) and start the console again.",
        "本控制台尚无研究数据。请将 MARGINWATCH_STUDY_DATA 设为行情文件夹（与 `marginwatch study --data` 相同）"
        "后重新启动。",
    ),
    "data": ("Data", "数据"),
    "version": ("version of data", "数据版本"),
    "code": ("of code and parameters", "代码与参数版本"),
    "reading": ("reading the files", "读取文件"),
    "current": ("current", "最新"),
    "outdated_data": ("the data have changed since", "数据此后已变动"),
    "outdated_code": ("code or parameters have changed since", "代码或参数此后已变动"),
    "computed": ("computed on", "计算于"),
    "none": ("not computed yet", "尚未计算"),
    "compute": ("Compute", "计算"),
    "again": ("Compute again", "重新计算"),
    "compute_all": ("Compute all", "全部计算"),
    "unknown": ("There is no study of the name", "没有该名称的研究："),
    "claims": ("Claims as CSV", "结论CSV"),
    "progress": ("Progress of the computation", "计算进度"),
    "failed": ("The last computation failed:", "上次计算失败："),
    "study": ("Study", "研究"),
}
_CSV = "text/csv; charset=utf-8"
#: The scheme of colours follows the person's choice, not the browser's; the rest undoes styles of other pages.
_STYLE = """
.report{color-scheme:light} .body--dark .report{color-scheme:dark} .report .tiles{grid-area:auto;grid-column:1/-1}
.report .tiles div{background:var(--card)} .report .top h2,.report .study h2{font-size:1.1rem;margin:0;padding:0;
  border:0;color:var(--text)} .report h2>*{white-space:normal!important} .report .study{gap:2px}
.report summary{display:list-item;list-style:disclosure-closed inside} .report details[open]>summary{list-style-type:
  disclosure-open} .report progress{width:min(320px,100%);accent-color:var(--accent)}
.report .row{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:baseline} .report .part{padding:8px 14px}
.report .trouble{color:var(--bad);overflow-wrap:anywhere} .report .headline{margin:.3rem 0}
"""


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the routes of the charts and of the claims."""
    if site.studies is None:
        return
    results = site.studies

    @app.get("/studies/file/{version}/{name}/{file}", include_in_schema=False)
    def of_result(version: str, name: str, file: str) -> Response:
        found = results.file(version, name, file)
        if found is None:
            return Response("the result has been replaced: reload the page", 404)
        if file.endswith(".csv"):
            return _download(found, f"marginwatch-{name}-{version}.csv")
        return Response(found, media_type="image/svg+xml" if file.endswith(".svg") else "text/plain")

    @app.get("/studies/claims.csv", include_in_schema=False)
    def of_all() -> Response:
        return _download(results.claims(), "marginwatch-claims.csv")


def _download(content_: bytes, name: str) -> Response:
    return Response(content_, media_type=_CSV, headers={"content-disposition": f'attachment; filename="{name}"'})


def link(page: Page, study: str) -> None:
    """Draw the link to a study."""
    found = ui.link(f"{page.view.text(_TEXTS['study'])}: {study}", page.path(f"/studies/{study}"))
    found.classes("record-link").mark("study-link")


def draw(page: Page) -> None:
    """Draw every study with its verdicts."""
    ui.page_title(f"{page.view.label('studies')} · marginwatch")
    area = _area(page)

    def text(key: str) -> str:
        return page.view.text(_TEXTS[key])

    with area, ui.element("div").classes("card wide top"):
        with ui.element("div").classes("row"):
            ui.link(f"← {page.view.label('back')}", page.path("/"))
            with ui.element("h2"):
                ui.label(page.view.label("studies")).mark("subject")
            ui.link(text("claims"), "/studies/claims.csv").mark("claims").bind_visibility_from(
                page.present, "studies", lambda results: bool(results.entries)
            )
        ui.label(text("hint")).classes("muted")
        _computation(page, "all")
    with area:
        listing = ui.element("div").classes("wide sub").style("padding:0")

    def results() -> None:
        listing.clear()
        found = page.present.studies
        with listing:
            _tiles(page, found)
            for name in found.names:
                with ui.element("div").classes("card half study"):
                    _summary(page, name, found)

    _follow(page, results, lambda found: (found.names, found.entries, found.version))


def detail(page: Page, name: str) -> None:
    """Draw one study with its charts, claims and tables."""
    area = _area(page)
    with area:
        with ui.element("div").classes("card wide top"):
            head = ui.element("div")
            if name in page.present.studies.names:
                _computation(page, name)
        body = ui.element("div").classes("card wide part").mark("part")

    def state() -> None:
        found = page.present.studies
        entry = found.entries.get(name)
        head.clear()
        with head:
            with ui.element("div").classes("row"):
                ui.link(f"← {page.view.label('studies')}", page.path("/studies"))
                with ui.element("h2"):
                    ui.label(_pick(page, entry.title) if entry is not None else name).mark("subject")
                if entry is not None:
                    ui.label(f"{entry.source} · {entry.first} … {entry.last}").classes("muted num")
                    file = f"/studies/file/{entry.version}/{name}/claims.csv"
                    ui.link(page.view.text(_TEXTS["claims"]), file).mark("claims")
            if found.folder and name not in found.names:
                no_subject(page, forever=True)
                ui.label(f"{page.view.text(_TEXTS['unknown'])} {name}").classes("trouble")
            else:
                _state(page, entry, found)

    def result() -> None:
        entry = page.present.studies.entries.get(name)
        body.clear()
        body.set_visibility(entry is not None)
        if entry is not None and page.site.studies is not None:
            with body:
                ui.html(page.site.studies.part(entry, page.view.language), sanitize=False)

    _follow(page, state, lambda found: (found.entries.get(name), found.version, found.names))
    _follow(page, result, lambda found: found.entries.get(name))
    ui.page_title(f"{name} · marginwatch")


def _area(page: Page) -> ui.element:
    if page.site.studies is not None:
        ui.add_css(page.site.studies.style)
    ui.add_css(_STYLE)
    return content("sub report")


def _follow(page: Page, draw_results: Callable[[], None], key: Callable[[StudyResults], object]) -> None:
    """Draw results now and after they change, but not with each step of a computation: open tables stay open."""
    shown: list[object] = []

    def update() -> None:
        now = key(page.present.studies)
        if [now] != shown:
            shown[:] = [now]
            draw_results()

    page.follow((Part.STUDIES,), update)


def _tiles(page: Page, found: StudyResults) -> None:
    counts: Counter[tuple[Both, str]] = Counter()
    for entry in found.entries.values():
        counts.update({(words, tone): count for count, words, tone in entry.counts})
    if counts:
        with ui.element("div").classes("tiles wide"):
            for (words, tone), count in counts.items():
                ui.html(f"<b>{count}</b>{_pick(page, words)}", sanitize=False).classes(tone)


def _summary(page: Page, name: str, found: StudyResults) -> None:
    """Draw title, verdicts and the failing claims of one study."""
    entry = found.entries.get(name)
    with ui.element("div").classes("row"):
        with ui.element("h2"):
            title = _pick(page, entry.title) if entry is not None else name
            ui.link(title, page.path(f"/studies/{name}")).mark(f"study-{name}")
        if entry is not None:
            ui.label(entry.source).classes("muted num")
            for count, words, tone in entry.counts:
                if count:
                    ui.label(f"{count} {_pick(page, words)}").classes(f"{tone} num")
    if entry is not None:
        ui.label(_pick(page, entry.headline))
    _state(page, entry, found)


def _state(page: Page, entry: StudyEntry | None, found: StudyResults) -> None:
    """Draw whether a result is current, or what it is of."""
    text = {key: page.view.text(texts) for key, texts in _TEXTS.items()}
    if entry is None:
        ui.label(text["none" if found.folder else "no_folder"]).classes("muted")
        return
    moment = entry.computed_at.astimezone(SHANGHAI)
    of = f"{text['version']} {entry.version.data}, {text['computed']} {moment:%Y-%m-%d %H:%M}"
    if found.version is None:
        words, tone = text["reading"], "muted"
    elif entry.version == found.version:
        words, tone = text["current"], "good"
    else:
        words = text["outdated_data" if entry.version.data != found.version.data else "outdated_code"]
        tone = "weak"
    with ui.element("div").classes("row"):
        ui.label(words).classes(tone).mark("state")
        ui.label(of).classes("muted num")


def _computation(page: Page, name: str) -> None:
    """Draw the folder, the button that computes a study or ``all``, and the progress of the computation that runs."""
    text = {key: page.view.text(texts) for key, texts in _TEXTS.items()}
    folder = ui.label().classes("num").style("overflow-wrap:anywhere").mark("folder")
    with ui.element("div").classes("row"):
        button = ui.button(on_click=lambda: _compute(page, name)).mark("compute")
        button.props("dense no-caps outline color=primary")
        bar = ui.element("progress").props(f'aria-label="{text["progress"]}"')
        step = ui.label().classes("num").props("role=status").mark("step")
    failure = ui.label().classes("trouble").props("role=alert").mark("failure")

    def update() -> None:
        found = page.present.studies
        known = ""
        if found.version is not None:
            known = f" · {text['version']} {found.version.data}, {text['code']} {found.version.code}"
        folder.set_text(f"{text['data']}: {found.folder}{known}" if found.folder else text["no_folder"])
        has_result = name in found.entries
        button.set_text(text["compute_all"] if name == "all" else text["again" if has_result else "compute"])
        button.set_visibility(bool(found.folder))
        button.set_enabled(not found.running)
        bar.set_visibility(found.running)
        step.set_visibility(found.running)
        ran = found.computation
        if ran is not None and found.running:
            bar.props(f"max={ran.total} value={ran.done}" if ran.total else "", remove="" if ran.total else "max value")
            share = f" · {ran.done:,}/{ran.total:,}" if ran.total else ""
            step.set_text(f"{_pick(page, ran.step)}{share}")
        error = ran.error if ran is not None and not found.running else None
        shown = found.problem or (f"{text['failed']} {_pick(page, error)}" if error is not None else "")
        failure.set_visibility(bool(shown))
        failure.set_text(shown)

    page.follow((Part.STUDIES,), update, every_s=0.5)


async def _compute(page: Page, name: str) -> None:
    if page.site.studies is not None:
        await page.act(page.site.studies.compute(name))


def _pick(page: Page, texts: Both) -> str:
    return labels.pick(texts, page.view.language)
