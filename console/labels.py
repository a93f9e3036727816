"""The console's labels in English and Chinese.

A label may name thresholds and windows in braces; `parameter_fields` gives their values.
"""

from __future__ import annotations

from alerts.subject_names import Language, subject_name
from console.formats import ZONE, percent
from processors.indicators.industry_heat import COOL
from processors.industries import ENGLISH
from processors.parameters import Parameters
from processors.registry import INDUSTRY_SIGNALS, SIGNALS

_DAYS_A_YEAR = 250
_CHINESE = {str(n): word for n, word in enumerate("一二三四五六七八九十", 1)}

LABELS: dict[str, tuple[str, str]] = {
    "title": ("Margin watch", "融资监测"),
    "themes": ("Themes", "主题"),
    "studies": ("Studies", "研究"),
    "themes_of": ("Themes of the week", "当周主题"),
    "themes_history": ("The five themes of each week", "历周前五主题"),
    "themes_hint": (
        "Mean chart score of an industry's stocks less that of all stocks. Read the study of charts before you act on it.",
        "行业个股平均图表得分减全市场均值。使用前请先查看图表模型研究的结论。",
    ),
    "no_themes": ("No week has theme scores:", "暂无主题得分："),
    "theme_members": ("Chart scores", "图表得分"),
    "theme_unlisted": ("not on the margin list: its score counts in the theme alone", "非两融标的：得分仅计入主题"),
    "theme_few_prices": ("fewer than 15 prices in 20 sessions", "20个交易日内价格不足15个"),
    "theme_unknown": ("neither on the margin list nor charted", "非两融标的，且无图表"),
    "no_members": ("The reference names no stock of this industry.", "主数据中没有该行业的股票。"),
    "chart_score": ("Chart score", "图表得分"),
    "no_score": ("Why none", "无得分原因"),
    "chart_of": ("Chart as the model sees it", "模型所见图表"),
    "chart_map": (
        "Coloured sessions mattered: without a rising one the score is lower, without a falling one higher.",
        "有色交易日影响得分：遮去上涨色的一日得分降低，遮去下跌色的一日得分升高。",
    ),
    "chart_choose": ("Choose a stock to see its chart.", "请选择个股查看图表。"),
    "no_chart": ("No chart is known of", "没有图表："),
    "ack": ("Acknowledge", "确认"),
    "ack_withdraw": ("Withdraw", "撤回确认"),
    "ack_done": ("Acknowledged", "已确认"),
    "ack_hint": ("Everybody sees who handles it.", "所有人都会看到由谁处理。"),
    "silence": ("Silence", "静默"),
    "hours": ("h", "小时"),
    "silence_hint": ("No notifications until then; the alert itself stays visible.", "静默期内不再推送通知，预警仍然显示。"),
    "silence_end": ("End silence", "结束静默"),
    "silenced": ("Silenced until", "静默至"),
    "who": ("Who", "处理人"),
    "note": ("Note", "备注"),
    "scope_alert": ("This alert only", "仅此预警"),
    "scope_rule": ("Every alert of this rule", "该规则的全部预警"),
    "cancel": ("Cancel", "取消"),
    "sent": ("Sent", "已提交"),
    "need_who": ("Enter your name", "请填写处理人"),
    "no_session": ("Your session is over: log in again", "登录已失效，请重新登录"),
    "failed": ("Not sent", "提交失败"),
    "unconfirmed": (
        "Not confirmed, and may still take effect: look again before you repeat it", "未获确认，仍可能生效，重试前请先查看"
    ),
    "alerts": ("Active alerts", "当前预警"),
    "more": ("more", "条未列出"),
    "no_alerts": ("No alert fires.", "当前没有预警。"),
    "source": ("Source", "来源"),
    "members": ("Securities", "涉及证券"),
    "figures": ("Figures", "数据"),
    "thresholds": ("Thresholds", "阈值"),
    "inputs": ("Computed from", "计算来源"),
    "not_found": ("Nothing is known of", "没有相关数据："),
    "no_page": ("This console has no page", "本控制台没有此页面："),
    "connection_lost": ("The connection is lost.", "连接已断开。"),
    "reconnects": ("The page reconnects by itself.", "页面正在自动重新连接。"),
    "back": ("Overview", "返回总览"),
    "record": ("Past cases", "历次案例"),
    "record_of": ("All cases of the rule", "该规则历次案例"),
    "no_record": ("No case is known yet.", "暂无已知案例。"),
    "no_record_then": (
        "Past cases are those known now: a page of an earlier day leaves them out.", "历次案例以当前所知为准，回看日期不显示。"
    ),
    "known_until": ("as of", "截至"),
    "known_before": ("known before", "统计早于"),
    "date": ("Date", "日期"),
    "ratio": ("Ratio", "占比"),
    "entered": ("Entered", "入场日"),
    "entry": ("Entry", "入场价"),
    "worst": ("Worst", "最差"),
    "hit": ("Hit", "命中"),
    "difference": ("Difference to any day", "与任意日之差"),
    "episode": ("episode", "个互不重叠的时段"),
    "cases": ("Cases", "案例"),
    "gauge": ("Financing-buy ratio, {ratio_days} days", "融资买入占比（{ratio_days}日）"),
    "ratio_history": ("Financing buys over turnover", "融资买入额占两市成交额比例"),
    "lines": ("cold ≤{cold} · top <{breakdown} · hot ≥{hot}", "低迷≤{cold} · 跌破<{breakdown} · 过热≥{hot}"),
    "map_note": ("▲ both > 0.5", "▲＝均高于0.5"),
    "ratio_daily": ("Daily ratio", "当日占比"),
    "quantile_hot": ("{quantile_hot} quantile, {quantile_days} days", "{quantile_days}日{quantile_hot}分位"),
    "quantile_cold": ("{quantile_cold} quantile, {quantile_days} days", "{quantile_days}日{quantile_cold}分位"),
    "ratio_5d": ("{ratio_days}-day ratio", "{ratio_days}日占比"),
    "provisional": ("provisional", "盘中估算"),
    "degraded": ("incomplete", "数据不全"),
    "line_hot": ("hot", "过热"),
    "line_breakdown": ("breakdown", "跌破"),
    "line_cold": ("cold", "低迷"),
    "excess": ("Excess financing, {excess_days} days", "超额融资（{excess_days}日）"),
    "excess_short": ("Excess, {excess_days} days", "超额融资（{excess_days}日）"),
    "balance": ("Margin balance", "融资余额"),
    "float_cap": ("Of float cap", "占流通市值"),
    "breadth": ("Above {breadth_days}-day mean", "站上{breadth_days}日均线"),
    "share_trade": ("Margin trade share", "两融交易占比"),
    "streak": ("Balance streak", "余额连续增减"),
    "flags": ("Flags of the day", "当日异动"),
    "search": ("Search the flags", "搜索当日异动"),
    "code": ("Code", "代码"),
    "flag": ("Flag", "类型"),
    "change": ("Change", "变动"),
    "days": ("Streak", "连续"),
    "excess_return": ("Excess", "超额"),
    "flag_extreme": ("Extreme", "极值"),
    "flag_extreme_strong": ("Extreme, 2nd day", "连续极值"),
    "flag_streak": ("Streak", "连续增减"),
    "flag_streak_strong": ("Long streak", "长连续"),
    "flag_divergence": ("Divergence", "背离"),
    "flag_score": ("Score top {score_top}", "超额得分前{score_top}"),
    "new_high": ("{high_low_days}-day high", "创{high_low_days}日新高"),
    "new_low": ("{high_low_days}-day low", "创{high_low_days}日新低"),
    "percentile": ("{percentile_years}y", "{percentile_years_zh}年分位"),
    "no_flags": ("No security is flagged.", "当日无异动。"),
    "all": ("All", "全部"),
    "map": ("Industries: heat, risk", "行业热度与风险"),
    "heat": ("Heat", "热度"),
    "risk": ("Risk", "风险"),
    "data": ("Data", "数据"),
    "complete": ("complete", "完整"),
    "late": ("late", "迟到"),
    "open": ("open", "未收齐"),
    "nothing": ("nothing yet", "尚无数据"),
    "absent": ("absent", "缺失"),
    "missing": ("missing", "缺少"),
    "due": ("due", "应到"),
    "rows": ("rows", "行"),
    "calendar_left": ("Trading calendar: announced days left, later ones are predicted", "交易日历已公布的剩余天数，其后为推算"),
    "nothing_known": ("Nothing was known on this day.", "当日尚无已知数据。"),
    "waiting": ("Waiting for the first signals …", "等待首批信号……"),
    "price_level": ("Adjusted price (first day = 1)", "复权价格（首日＝1）"),
    "fin_balance": ("Margin balance", "融资余额"),
    "score": ("Excess score", "超额得分"),
    "no_security": ("No figures: only securities in the margin list have some.", "没有数据：仅两融标的有数据。"),
    "open_security": ("Code, name, initials …", "代码、名称、拼音…"),
    "theme": ("Dark or light", "深色/浅色"),
    "colours": ("Colours of rise and fall", "涨跌颜色"),
    "palette_cn": ("Rise red ▲, fall green ▼", "红涨绿跌"),
    "palette_west": ("Rise green ▲, fall red ▼", "绿涨红跌"),
    "palette_cvd": ("Rise orange ▲, fall blue ▼ (colour-blind)", "橙涨蓝跌（色盲友好）"),
    "language": ("Switch to Chinese 中文", "切换为英文 English"),
    "logout": ("Log out", "退出登录"),
    "login": ("Log in", "登录"),
    "name": ("Name", "用户名"),
    "password": ("Password or token", "密码或令牌"),
    "wrong": ("Name and password don't fit.", "用户名或密码不正确。"),
    "blocked": ("Too many failures: wait five minutes.", "失败次数过多，请五分钟后再试。"),
    "simulated": ("SIMULATED", "模拟数据"),
    "replay": ("REPLAY", "历史回放"),
    "reads_history": ("reading history", "正在读取历史数据"),
    "zone": ZONE,
    "updated": ("updated", "更新于"),
    "skip": ("Skip to the content", "跳到正文"),
    "trouble": ("No new data", "没有新数据"),
    "key_figures": ("Change, percentile of all days", "数据、变动与历史分位"),
    "sheet": ("Morning sheet", "晨报"),
    "as_of": ("As it was known on", "回看日期"),
    "as_of_day": ("As known on", "截至当日所知"),
    "to_now": ("back to now", "回到当前"),
    "no_day": ("no day that is over, the present is shown", "不是已结束的日期，显示当前"),
    "corrected": ("Corrected or late", "其后更正或迟到"),
    "not_corrected": ("No figure of the market was late, or was corrected since.", "市场数据没有迟到，其后也没有更正。"),
    "signal": ("Figure", "指标"),
    "then": ("Then", "当时"),
    "now": ("Now", "现在"),
    "known_from": ("Known from", "更正时间"),
    "security": ("Security", "证券"),
    "price": ("Price, adjusted", "复权价格"),
    "open_price": ("open", "开"), "close_price": ("close", "收"),
    "low_price": ("low", "低"), "high_price": ("high", "高"),
    "volume": ("Volume", "成交量"),
    "peers": ("Peers in the industry", "同行业标的"),
    "followed": ("Flags and what followed", "历次标记与其后涨跌"),
    "followed_note": ("from the next day's open; sign: of the balance", "自次日开盘起；箭头为余额方向"),
    "after_5": ("5 days", "5日"), "after_20": ("20 days", "20日"), "after_60": ("60 days", "60日"),
    "no_flag_yet": ("Not flagged in the days that are kept.", "保留期内未被标记。"),
    "no_peers": ("The reference names no industry of this security.", "主数据中没有该证券的行业。"),
    "name_of": ("Name", "名称"),
    "export": ("Table, CSV, PNG", "表格、CSV、PNG"),
    "as_table": ("Show as a table", "查看表格"),
    "as_csv": ("Download CSV", "下载CSV"),
    "as_png": ("Download PNG", "下载PNG"),
    "close": ("Close", "关闭"),
    "index": ("Index behind the ratio", "对照指数"),
    "break": ("Break", "跌破"),
    "outcome": ("5/20/60 days", "5/20/60日"),
    "open_case": ("not over", "未到期"),
    "groups": ("Groups", "分组"),
    "group": ("Group", "分组"),
    "share": ("Share", "占比"),
    "net_1": ("Net buy, day", "净买入"),
    "net_5": ("5 days", "5日"),
    "net_20": ("20 days", "20日"),
    "industries": ("Industries", "行业一览"),
    "industries_5": ("Industries, 5-day net buy", "行业5日净买入"),
    "industry": ("Industry", "行业"),
    "buy_turnover": ("Buys/turnover", "买入/成交"),
    "week_breadth": ("Breadth, week", "周广度"),
    "trend": ("Balance, 60 days", "余额60日"),
    "etf_flow": ("Net flow into ETFs", "ETF净流入"),
    "cumulative": ("Cumulative", "累计"),
    "digest": ("Digest of the day", "当日摘要"),
    "no_digest": ("No digest yet.", "暂无摘要。"),
    "collateral": ("Collateral ratio", "平均维持担保比例"),
    "two_way": ("Two-way over float cap", "两融余额占流通市值"),
    "short_balance": ("Short balance", "融券余额"),
}  # fmt: skip

#: The factors of heat and risk, as their columns name them behind ``heat_`` and ``risk_``.
FACTORS: dict[str, tuple[str, str]] = {
    "pe": ("PE", "市盈率"),
    "pb": ("PB", "市净率"),
    "dividend_yield": ("Dividend yield", "股息率"),
    "volatility": ("Volatility", "年化波动率"),
    "downside_deviation": ("Downside deviation", "下行波动率"),
    "max_drawdown": ("Maximum drawdown", "最大回撤"),
    "balance_to_float_cap": ("Balance over float cap", "融资余额占流通市值"),
    "net_buy_to_turnover": ("Net buy over turnover", "净买入占成交额"),
    "buy_to_turnover": ("Buys over turnover", "融资买入占成交额"),
    "turnover_rate": ("Turnover rate", "换手率"),
    "turnover_rate_20": ("Turnover rate, 20 days", "20日平均换手率"),
    "turnover_share": ("Share of turnover", "成交额占比"),
    "breadth": ("Breadth", "融资余额上升个股占比"),
    "return_20": ("20-day return", "20日涨跌幅"),
    "distance_60": ("Distance to the 60-day mean", "偏离60日均线"),
    "rsi_14": ("RSI(14)", "RSI(14)"),
    "kdj_j": ("KDJ (J)", "KDJ（J值）"),
    "balance_share": ("Share of the margin balance", "融资余额占比"),
}
#: The figures that tables of past cases show, see `Expectation.figure`.
CASE_FIGURES: dict[str, tuple[str, str]] = {
    "": ("Figure", "指标"),
    "ratio": ("Ratio", "占比"),
    "excess_financing": ("Excess", "超额融资"),
    "percentile": ("Percentile", "分位"),
    "lowest_score": ("Lowest score", "最低得分"),
    "risk_sigma": ("Risk, σ", "风险得分（σ）"),
}
STATES: dict[str, tuple[str, str]] = {
    "NORMAL": ("normal", "正常"),
    "HOT": ("hot", "过热"),
    "BREAKDOWN": ("breakdown", "跌破"),
    "COLD": ("cold", "低迷"),
    "EXTREME_COLD": ("extremely cold", "极度低迷"),
}
RULES: dict[str, tuple[str, str]] = {
    "peak_warning": ("Peak warning", "顶部预警"),
    "peak_early_sign": ("Early sign of a peak", "顶部早期信号"),
    "market_hot": ("Market hot", "市场过热"),
    "market_cold": ("Market cold", "市场低迷"),
    "excess_financing": ("Excess financing", "超额融资"),
    "securities_digest": ("Securities of the day", "每日证券摘要"),
    "data_note": ("Data note", "数据提示"),
    "fin_streak": ("Streaks of the day", "当日连续增减"),
    "fin_extreme": ("Extremes of the day", "当日余额极值"),
    "fin_divergence": ("Divergence", "背离"),
    "excess_score_top": ("Excess score", "超额得分"),
    "balance_new_high": ("Balance at {high_low_days}-day high", "余额创{high_low_days}日新高"),
    "balance_new_low": ("Balance at {high_low_days}-day low", "余额创{high_low_days}日新低"),
    "risk_premium_high": ("Risk premium high", "风险溢价偏高"),
    "collateral_low": ("Collateral low", "维持担保比例偏低"),
    "industry_risk_high": ("Industry risk", "行业风险"),
    "themes": ("Themes of the week", "每周主题"),
    "chart_top": ("Highest chart scores", "图表得分前列"),
    "data_quality": ("Data quality", "数据质量"),
}
SEVERITIES: dict[str, tuple[str, str]] = {
    "critical": ("critical", "严重"),
    "warning": ("warning", "警告"),
    "info": ("info", "提示"),
}
ALERT_STATES: dict[str, tuple[str, str]] = {
    "pending": ("pending", "观察中"),
    "firing": ("active", "触发中"),
    "resolved": ("over", "已结束"),
    "superseded": ("corrected", "已更正"),
}


def pick(texts: tuple[str, str], language: Language) -> str:
    """Return the text in one of the two languages, English first in the pair."""
    return texts[0] if language == "en" else texts[1]


def parameter_fields(p: Parameters) -> dict[str, str]:
    """Return the values of the fields in labels: windows in days, thresholds as percent."""
    years = f"{p.percentile_days / _DAYS_A_YEAR:g}"
    return {
        "cold": percent(p.ratio_cold),
        "breakdown": percent(p.ratio_breakdown),
        "hot": percent(p.ratio_hot),
        "ratio_days": str(p.ratio_window_days),
        "quantile_days": str(p.ratio_quantile_days),
        "quantile_hot": f"{p.ratio_quantile_hot * 100:g}%",
        "quantile_cold": f"{p.ratio_quantile_cold * 100:g}%",
        "excess_days": str(p.excess_lag_days),
        "breadth_days": str(p.breadth_days),
        "high_low_days": str(p.high_low_days),
        "score_top": f"{p.score_top * 100:g}%",
        "percentile_years": years,
        "percentile_years_zh": _CHINESE.get(years, years),
    }


def industry(name: str, language: Language) -> str:
    """Return an industry's name."""
    return ENGLISH[name] if language == "en" else name


def signal_title(name: str, language: Language, parameters: Parameters) -> str:
    """Return a signal's title with the windows in force, and with the name of its subject where it has one."""
    base, _, subject = name.partition("/")
    declared = SIGNALS.get(base) or INDUSTRY_SIGNALS.get(base)
    if declared is None:
        return name
    texts = declared.texts(parameters)
    title = texts.title if language == "en" else texts.title_zh
    return f"{title} {subject_name(subject, language)}".strip()


def case_figure(name: str, language: Language, parameters: Parameters) -> str:
    """Return the name of the figure of past cases, also of one that a rule of a desk names."""
    if name in CASE_FIGURES:
        return pick(CASE_FIGURES[name], language)
    return signal_title(name, language, parameters)


def factor(column: str, language: Language) -> str:
    """Return the name of a part of heat or risk, with the sign that its z-score has in heat.

    >>> factor("heat_pe", "en"), factor("risk_pe", "en")
    ('−PE', 'PE')
    """
    whole, _, name = column.partition("_")
    shown = pick(FACTORS[name], language) if name in FACTORS else name.replace("_", " ")
    return f"−{shown}" if whole == "heat" and name in COOL else shown
