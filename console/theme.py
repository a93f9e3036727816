"""The theme of the console: palettes that a colour-blind reader can distinguish, light and dark, two screen sizes.

No meaning depends on colour alone: rises and falls carry ▲ and ▼, severities and states a mark and a word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from alerts.subject_names import Language
from console import labels
from processors.parameters import Parameters

Palette = Literal["cn", "west", "cvd"]
#: Rise, fall. The reds lean to vermilion and the greens to blue, after Okabe and Ito: distinct without red-green vision.
_PALETTES: dict[bool, dict[Palette, tuple[str, str]]] = {
    False: {"cn": ("#c8321f", "#00805e"), "west": ("#00805e", "#c8321f"), "cvd": ("#b45f00", "#0067a8")},
    True: {"cn": ("#ff7a66", "#2fc79a"), "west": ("#2fc79a", "#ff7a66"), "cvd": ("#f0a030", "#5db8f0")},
}


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of one theme; `hot`, `warm` and `cold` are those of the market's heat."""

    text: str
    muted: str
    line: str
    card: str
    page: str
    accent: str
    hot: str
    warm: str
    calm: str
    cold: str
    index: str


_LIGHT = Colours(
    "#1b2430",
    "#5b6675",
    "#d9dee5",
    "#ffffff",
    "#eef1f5",
    "#1f5fa8",
    "#c8321f",
    "#a85c00",
    "#4a6178",
    "#1273b5",
    "#8258a8",
)
_DARK = Colours(
    "#e6ebf2",
    "#9aa7b6",
    "#323c49",
    "#1a212b",
    "#10151c",
    "#6fb1ff",
    "#ff7a66",
    "#f0a030",
    "#93a8bd",
    "#5db8f0",
    "#c39be8",
)


@dataclass(frozen=True, slots=True)
class View:
    """How one person sees the console.

    Parameters
    ----------
    parameters : the thresholds and windows that labels and charts show.
    """

    parameters: Parameters
    language: Language = "zh"
    dark: bool = False
    palette: Palette = "cn"

    def text(self, texts: tuple[str, str]) -> str:
        """Return a label in the person's language, with the thresholds and windows that it names."""
        return labels.pick(texts, self.language).format_map(labels.parameter_fields(self.parameters))

    def label(self, key: str) -> str:
        """Return the label of a key of `labels.LABELS`."""
        return self.text(labels.LABELS[key])

    def signal(self, name: str) -> str:
        """Return the title of a signal, with the name of its subject where it has one."""
        return labels.signal_title(name, self.language, self.parameters)

    def rule(self, name: str) -> str:
        """Return the title of a rule; its name where it has no title."""
        texts = labels.RULES.get(name)
        return self.text(texts) if texts is not None else name

    @property
    def colours(self) -> Colours:
        """The colours of the theme."""
        return _DARK if self.dark else _LIGHT

    @property
    def rise(self) -> str:
        """The colour of what rises."""
        return _PALETTES[self.dark][self.palette][0]

    @property
    def fall(self) -> str:
        """The colour of what falls."""
        return _PALETTES[self.dark][self.palette][1]

    def css(self) -> str:
        """The theme as CSS variables; paper is light, except behind charts, which are drawn in the theme's colours."""
        paper = replace(self, dark=False)
        return f":root{{{self._variables()}}} @media print{{:root{{{paper._variables()}--drawn:{self.colours.card}}}}}"

    def _variables(self) -> str:
        c = self.colours
        return (
            f"--text:{c.text};--muted:{c.muted};--line:{c.line};--card:{c.card};--page:{c.page};"
            f"--accent:{c.accent};--hot:{c.hot};--warm:{c.warm};--calm:{c.calm};--cold:{c.cold};"
            f"--rise:{self.rise};--fall:{self.fall};"
        )


CSS = """
body{background:var(--page)!important;color:var(--text);font-family:"Noto Sans CJK SC","Noto Sans SC","PingFang SC",
  "Microsoft YaHei",system-ui,sans-serif;font-size:13px;line-height:1.35}
.nicegui-content{padding:0!important;gap:0!important;width:100%;align-items:stretch!important}
a{color:var(--accent)} .muted{color:var(--muted)} .rise{color:var(--rise)} .fall{color:var(--fall)}
.num{font-variant-numeric:tabular-nums} .w-full{width:100%} .grow{flex-grow:1}
@layer overrides{ /* the layer before that in which Quasar hides the outline of what has the focus */
  :focus-visible,.q-field--borderless .q-field__control:has(:focus-visible){
    outline:2px solid var(--accent)!important;outline-offset:2px}
  .q-table th:focus-visible,.card h2 .q-field__control:has(:focus-visible){outline-offset:-2px!important}
  .q-field input:focus-visible,#content:focus{outline:none!important}} /* a frame around a field shows its focus */
.before-scripts{position:absolute;left:12px;top:9px;font-size:16px;line-height:2.2}
.skip{position:absolute;left:-9999px} .skip:focus{left:8px;top:8px;background:var(--card);z-index:99;padding:8px}
.bar{display:flex;align-items:center;gap:10px;min-height:44px;padding:2px 12px;background:var(--card);
  border-bottom:1px solid var(--line);flex-wrap:wrap}
.bar .name{font-weight:700;font-size:16px;color:var(--text);text-decoration:none;white-space:nowrap}
.subject{font-size:20px;font-weight:800;overflow-wrap:anywhere} .bar .trouble{white-space:normal;flex:0 1 auto;overflow-wrap:anywhere} .bar>*:not(.trouble){white-space:nowrap;flex:none} .bar .search{flex:0 1 auto} .bar .grow{flex:1} .bar h1{font-size:16px;line-height:1.3;margin:0;font-weight:700}
.pill{border:1px solid var(--line);border-radius:10px;padding:1px 8px;white-space:nowrap;font-size:12px}
.pill.live{border-color:var(--warm);color:var(--warm)} .pill.bad{border-color:var(--hot);color:var(--hot)}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px 10px;min-width:0;min-height:0;
  display:flex;flex-direction:column;gap:4px;overflow:hidden}
.card h2{font-size:13px;font-weight:600;margin:0;line-height:1.3;color:var(--muted);display:flex;gap:8px;
  align-items:baseline}
.card h2 .note{font-weight:400;font-size:11px;min-width:0}
.card h2>:first-child{white-space:nowrap} .gauge h2,.map h2{flex-wrap:wrap;row-gap:0}
.map h2{position:relative;padding-right:20px} .map h2 .export{position:absolute;top:0;right:0}
.grid{display:grid;gap:8px;padding:8px;min-height:calc(100vh - 46px);
  grid-template-columns:270px minmax(0,1.15fr) minmax(0,1fr) 372px;
  grid-template-rows:max-content minmax(190px,1.1fr) max-content minmax(210px,1.2fr) max-content;
  grid-template-areas:"verdict verdict verdict alerts" "gauge history history alerts" "tiles tiles tiles alerts"
    "excess excess map flags" "data data data data"}
.gauge,.history,.alerts,.excess,.map,.flags{contain:size} /* what scrolls or scales makes no row higher */
.verdict{grid-area:verdict;flex-direction:row;align-items:stretch;gap:16px;border-left:8px solid var(--calm)}
.verdict .words{flex:1 1 46%;min-width:0;display:flex;flex-direction:column;gap:2px;justify-content:center}
.verdict .q{color:var(--muted)}
.verdict .answer{font-size:24px;font-weight:800;line-height:1.15}
.verdict .live{color:var(--warm)}
.cases{flex:1 1 54%;min-width:0;display:flex;flex-direction:column;gap:2px;font-size:12px}
.cases .head{display:flex;gap:8px;flex-wrap:wrap;align-items:baseline} .cases .scroll{max-height:88px;flex:none}
.cases-table{border-collapse:collapse;width:100%;font-size:12px;line-height:1.25}
.cases-table th,.cases-table td{text-align:right;padding:0 6px;white-space:nowrap}
.cases-table th{color:var(--muted);font-weight:600;position:sticky;top:0;background:var(--card)}
.cases-table th:first-child,.cases-table td:first-child{text-align:left;padding-left:0} .sideways{overflow-x:auto}
.record-link{font-size:12px}
.verdict.hot{border-color:var(--hot)} .verdict.hot .answer{color:var(--hot)}
.verdict.warm{border-color:var(--warm)} .verdict.warm .answer{color:var(--warm)}
.verdict.cold{border-color:var(--cold)} .verdict.cold .answer{color:var(--cold)}
.gauge{grid-area:gauge} .history{grid-area:history} .alerts{grid-area:alerts} .excess{grid-area:excess}
.map{grid-area:map} .flags{grid-area:flags} .data{grid-area:data}
.tiles{grid-area:tiles;display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:8px}
.tile{gap:0;padding:6px 10px} .tile .v{font-size:19px;font-weight:700;white-space:nowrap;line-height:1.3}
.tile .d{font-size:12px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis} .tile details.d{overflow:visible;white-space:normal;overflow-wrap:anywhere}
summary{cursor:pointer;width:fit-content;list-style:none;text-decoration:underline dotted;text-underline-offset:3px}
.data details{max-width:100%;white-space:pre-line}
.card h2 .export{margin:-4px -4px -4px auto;order:2} .card h2 .choice{font-size:12px;margin:-4px 0 -4px auto;order:1}
.card h2:has(.choice) .export{margin-left:0}
.choice .q-field__control,.choice .q-field__marginal{height:22px!important;min-height:22px!important}
.choice .q-field__native{min-height:22px!important;padding:0!important;font-size:12px;color:var(--text)}
.security{display:flex;flex-direction:column;line-height:1.15;text-decoration:none} .security b{font-weight:600}
.security b+span{font-size:11px;color:var(--muted)} .q-table .first{white-space:normal!important;word-break:keep-all}
.panels{display:grid;gap:8px;padding:0 8px 8px;grid-template-columns:repeat(4,minmax(0,1fr))}
.panels .multiple{height:190px} .panels .groups,.panels .flows,.panels .digest{height:300px}
.panels .groups{grid-column:span 2} .panels .industries{grid-column:1/-1}
.search{position:relative;min-width:60px} .search .q-field{width:170px;max-width:100%} .search .q-field__native{color:var(--text)}
.search .q-field__native::placeholder{color:var(--muted)!important;opacity:1!important}
.hits{position:absolute;right:0;top:100%;z-index:50;min-width:190px;background:var(--card);border:1px solid var(--line);
  border-radius:6px;padding:4px;display:flex;flex-direction:column;gap:2px}
.hits .security{padding:3px 6px} .hits .security:hover,.hits .security:focus{background:var(--page)}
.name-of{font-weight:600} .sub .candles{height:520px} .sub .listing{min-height:120px} .corrections{margin:8px 8px 0}
.as-of{background:none;color:var(--text);font-family:inherit;color-scheme:light} .body--dark .as-of{color-scheme:dark} .sheet{font-size:18px;text-decoration:none;line-height:1} .names{display:flex;flex-wrap:wrap;gap:2px 10px} .figures{width:min(720px,94vw);max-width:94vw!important}
.chart{flex:1;min-height:0;width:100%}
.scroll{overflow-y:auto;flex:1;min-height:0;display:flex;flex-direction:column;gap:6px}
.alert{border:1px solid var(--line);border-left:5px solid var(--calm);border-radius:6px;padding:6px 8px;display:flex;
  flex-direction:column;gap:3px;flex:none;overflow-wrap:anywhere}
.alert.critical{border-left-color:var(--hot)} .alert.warning{border-left-color:var(--warm)}
.alert.info{border-left-color:var(--cold)} .alert.acked{border-style:dashed}
.alert .head{display:flex;gap:6px;align-items:baseline;font-weight:600;flex-wrap:wrap}
.alert .record{color:var(--muted);font-size:12px}
.alert .acts{display:flex;gap:6px;align-items:center;flex-wrap:wrap}
.alert .clamp{display:-webkit-box;-webkit-line-clamp:3;-webkit-box-orient:vertical;overflow:hidden}
.mark{font-size:12px;font-weight:700} .mark.critical{color:var(--hot)} .mark.warning{color:var(--warm)}
.mark.info{color:var(--cold)}
.data,.data .states{display:flex;flex-direction:row;align-items:baseline;gap:6px 14px}
.data{padding:6px 10px;font-size:12px} .data .states{flex:1;flex-wrap:wrap}
.data *{min-width:0} .data .feed{display:inline-block;margin-left:7px;font-weight:400} .data .ok{color:var(--fall)} .data .late,.data .degraded{color:var(--warm);font-weight:700}
.body--dark .q-btn.bg-primary .q-btn__content{color:#10151c}
.q-table th:first-child,.q-table .q-td:first-child{padding-left:6px!important}
.q-btn{text-transform:none!important} .q-table th,.q-table .q-td{padding:2px 6px!important;font-size:12px}
.flags .q-table tbody .q-td{height:36px!important} .flags .q-table{table-layout:fixed} .flags th:nth-child(1){width:25%} .flags th:nth-child(2){width:24%} .flags th:nth-child(4){width:15%}
.flags th{overflow:hidden;text-overflow:ellipsis} .flags th:not(.sorted) .q-table__sort-icon{display:none} .flags td:nth-child(2){white-space:normal!important;line-height:1.15} .q-table tbody .q-td{height:26px!important;font-size:12px!important} .q-table thead tr{height:28px!important}
.q-table__card{background:transparent!important;color:var(--text)!important;box-shadow:none!important}
.q-table__grid-content{color:var(--text)} .q-card,.q-menu,.q-dialog .q-card{background:var(--card)!important;color:var(--text)!important}
.flags .q-field__control,.flags .q-field__marginal{height:32px!important;min-height:32px!important}
.flags .q-field__native{min-height:30px!important;padding:0!important} .flags .q-field--auto-height .q-field__native{min-height:30px!important}
.q-table thead th{position:sticky;top:0;background:var(--card);z-index:1}
.flags .q-table__bottom{min-height:24px;padding:0 8px} .q-table__middle{max-height:100%} .flags .q-table__container{flex:1;min-height:0}
.sub{display:grid;gap:8px;padding:8px;grid-template-columns:repeat(6,minmax(0,1fr))} .sub .wide{grid-column:1/-1}
.sub .parts{display:contents} .sub .half{grid-column:span 3} .sub .tall{height:340px} .sub .low{height:220px}
.q-table .wrap{white-space:normal!important;line-height:1.2}
@media (max-width:1100px){.tiles{grid-template-columns:repeat(3,minmax(0,1fr))}
  .grid{min-height:0;grid-template-columns:repeat(2,minmax(0,1fr));grid-template-rows:auto;
  grid-template-areas:"verdict verdict" "gauge alerts" "tiles tiles" "history history" "excess map" "flags flags" "data data"}
  .q-table th{white-space:normal!important} .q-table th:not(.sorted) .q-table__sort-icon{display:none}
  .sub .half.listing{grid-column:1/-1} .sub .tile{grid-column:span 2} .panels{grid-template-columns:repeat(2,minmax(0,1fr))} .panels .groups{grid-column:1/-1}
  .grid .gauge,.grid .history,.grid .excess,.grid .map{height:280px} .grid .flags{height:380px} .alerts{contain:none;max-height:280px}}
@media (max-width:700px){
  .grid{grid-template-columns:minmax(0,1fr);grid-template-areas:"verdict" "gauge" "alerts" "tiles" "history" "excess" "map" "flags" "data"}
  .panels{grid-template-columns:minmax(0,1fr)} .panels .groups,.panels .digest{height:auto}
  .industries .q-table td:first-child,.industries .q-table th:first-child,.groups .q-table td:first-child,
  .groups .q-table th:first-child{position:sticky;left:0;background:var(--card);z-index:1}
  .grid .gauge{height:190px} .grid .alerts{max-height:520px} .grid .map{height:360px}
  .q-table th,.q-table .q-td{padding:2px 3px!important} .sub .q-table .q-td{font-size:11px!important}
  .q-table .wrap{min-width:84px} .card h2>:first-child,.tile .d{white-space:normal}
  .card h2:has(.note:not(.pill)){flex-wrap:wrap} .alert .clamp{-webkit-line-clamp:5}
  .tiles{grid-template-columns:repeat(2,minmax(0,1fr))}
  .verdict{flex-direction:column;gap:6px} .verdict .words,.cases{flex:none} .cases .scroll{max-height:132px;overflow-x:auto}
  .cases-table th,.cases-table td{padding:0 3px;font-size:11px}
  .bar{gap:0 1px;padding:2px 6px} .bar .name span span{display:none} .bar .pill{padding:0 4px;font-size:10px}
  .bar .clock{order:10;flex:1 1 100%;font-size:11px} .bar .search{order:9;flex:1 1 60%} .search .q-field,.hits{width:100%} .sub .candles{height:420px}
  .sub{grid-template-columns:repeat(2,minmax(0,1fr))} .sub .half{grid-column:1/-1} .sub .tile{grid-column:auto} .sub .tall{height:260px}
  .acts .q-btn,.bar .q-btn{min-height:40px;min-width:40px} .bar .q-btn{min-width:30px;padding:0 1px}}
@media print{ /* nothing scrolls on paper, and nothing can be chosen */
  .bar .search,.bar .q-btn,.bar a.sheet,.bar form,.acts,.export,.choice,.skip,.q-notifications,.flags .q-field{display:none!important}
  .grid,.panels{min-height:0;display:block} .grid>*,.panels>*{margin-bottom:8px} .sub .half{grid-column:1/-1}
  .grid .card,.panels .card,.sub .card{contain:none!important;height:auto!important;max-height:none!important;overflow:visible}
  .scroll,.sideways,.cases .scroll,.q-table__middle,.q-table__container{max-height:none!important;height:auto!important;overflow:visible!important}
  .q-table{white-space:normal} .q-table thead th,.cases-table th,.q-table td{position:static!important} .clamp{display:block!important}
  .tile,.alert,tr,.card:has(>.chart){break-inside:avoid} .verdict{flex-direction:column} .verdict .words,.cases{flex:none}
  .chart{flex:none;height:240px;background:var(--drawn);print-color-adjust:exact} .gauge .chart{height:150px}
  .candles .chart{height:440px} .chart>div,.chart canvas{width:100%!important;height:100%!important} .chart canvas{object-fit:contain}}
@media (prefers-reduced-motion:reduce){*{transition:none!important;animation:none!important}}
"""
