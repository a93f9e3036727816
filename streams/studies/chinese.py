"""The texts of studies in Chinese. A # is any number; the numbers of both texts have the same order."""

from __future__ import annotations

from typing import Final

#: Names, and words of tables and charts.
_WORDS: Final = {
    "reading the files": "读取文件", "folding the history": "逐日计算历史", "study": "研究",
    "all": "全部", "all stocks": "全部标的", "CSI #": "中证#", "SSE #": "上证#", "SSE Composite": "上证指数",
    "ChiNext": "创业板指", "LLT": "LLT", "GFTD": "GFTD", "hold": "持有", "IR": "信息比率", "PE": "市盈率", "Sharpe": "夏普比率",
    "R²": "R²", "MKT": "MKT", "SMB": "SMB", "HML": "HML", "RMW": "RMW", "CMA": "CMA", "A": "A", "B": "B", "C": "C", "k": "k",
    "COLD": "低迷", "NO": "否", "COOLING": "降温", "HOT": "过热", "WARNED": "预警", "absent": "无数据", "breakdown": "跌破",
    "RANGE": "震荡", "RALLY": "上涨", "RANGE by hindsight": "事后划分的震荡", "RALLY by hindsight": "事后划分的上涨",
    "phase A": "A阶段", "phase B": "B阶段", "phase C": "C阶段", "phase": "阶段", "when": "时期", "up": "增加", "down": "减少", "any": "任意",
    "rise": "上升", "fall": "下降", "extreme": "极值", "consecutive": "连续极值", "extreme rise": "极端上升", "extreme fall": "极端下降",
    "consecutive rise": "连续极端上升", "consecutive fall": "连续极端下降", "kind": "类型", "side": "方向", "length": "天数", "horizon": "持有天数",
    "cases": "样本数", "days apart": "不重叠时段", "mean": "均值", "low": "下限", "high": "上限", "median": "中位数", "win rate": "胜率",
    "case": "情形", "days": "天数", "stock-days": "个股日数", "share": "占比", "month": "月份", "year": "年份", "# boundary": "#边界",
    "#": "#", "# days": "#日", "# of #": "#（共#例）", "date": "日期", "form": "口径", "ratio": "占比", "entry": "入场日", "yes": "是", "no": "否",
    "lowest in # days": "#日内最低", "highest in # days": "#日内最高", "top or range": "顶部或高位", "fell # first": "先跌#",
    "any day": "任意日", "any day: top or range": "任意日：顶部或高位", "any day: fell # first": "任意日：先跌#",
    "#-day": "#日", "daily": "日度", "#-day breakdowns": "#日口径跌破", "daily breakdowns": "日度口径跌破",
    "daily: top or range": "日度：顶部或高位", "#-day ratio": "#日占比", "quantile": "分位", "# quantile": "#分位", "maximum": "最大值", "minimum": "最小值",
    "#-day sum/sum": "#日合计之比", "weekly sum/sum": "周合计之比", "published": "发表值", "ours": "本系统", "of": "来源",
    "last day": "最后交易日", "margin balance": "融资余额", "short balance": "融券余额", "ratio of the month": "当月占比",
    "hot #": "过热#", "breakdown #": "跌破#", "cold #": "偏冷#", "week's end": "周末", "index": "指数", "peak": "顶部", "trough": "底部", "ended": "结束",
    "turnover rate at trough": "底部换手率", "rank of the rate": "换手率分位", "rank of the PE": "市盈率分位", "PE at trough": "底部市盈率", "day": "日期", "from the year's high": "距一年高点",
    "turnover rate": "换手率", "rank of turnover": "换手率分位", "rank of PE": "市盈率分位", "ranked since": "分位起始日",
    "two-way balance / float cap": "两融余额/流通市值", "margin trades / turnover": "两融交易/成交额",
    "two-way balance / float cap, published": "两融余额/流通市值（发表值）", "margin trades / turnover, published": "两融交易/成交额（发表值）",
    "share of days, %": "天数占比，%", "industry": "行业", "heat": "热度", "risk": "风险", "quadrant": "象限", "hot, risky": "热，高风险", "hot, safe": "热，低风险",
    "cool, risky": "冷，高风险", "cool, safe": "冷，低风险", "heat, σ": "热度，σ", "risk, σ": "风险，σ", "k, days": "k，天",
    "index's peak": "指数高点", "balance's peak": "余额高点", "days later": "滞后天数", "fall of the index": "指数跌幅",
    "threshold": "阈值", "episodes": "不重叠时段", "beta": "β", "t (OLS)": "t（OLS）", "t (HAC)": "t（HAC）", "t (HAC, # lags)": "t（HAC，#阶）",
    "correlation": "相关系数", "correlation, published": "相关系数（发表值）", "mean return": "平均收益", "above": "高于", "below": "低于",
    "threshold, %": "阈值，%", "beta of the year": "当年β", "beta of earlier years": "此前各年β", "beta of all other years": "其他各年β",
    "forecast error saved": "预测误差减少", "right direction": "方向正确", "excess financing": "超额融资", "return over the next # days": "未来#日收益",
    "portfolio": "组合", "weeks": "周数", "weeks #": "#年周数", "industries": "行业数", "industries held": "实际持有行业数", "raw mean": "周均收益", "raw σ": "周σ",
    "excess mean": "超额均值", "excess σ": "超额σ", "best": "最好", "worst": "最差", "equal_weight": "等权", "change_top#": "变动前#",
    "breadth_top#": "广度前#", "dual_#": "双选#", "sorted by": "排序指标", "groups": "组数", "group": "组", "weekly excess": "周超额", "annual excess": "年化超额",
    "change": "变动", "breadth": "广度", "change, group # of #": "变动第#组（共#组）", "breadth, group # of #": "广度第#组（共#组）",
    "selected": "入选", "held": "实际持有", "pool": "股票池", "stocks": "股票数", "annual": "年化", "cumulative": "累计", "σ": "σ", "Sharpe (daily)": "夏普比率（日）",
    "drawdown": "最大回撤", "replaced a week": "周换手", "tails #": "两端#", "tails": "两端", "long #": "多头#", "short #": "空头#", "quintile #": "第#组（五分位）",
    "Q#": "第#组", "variant": "假设", "alpha a week": "周α", "strategy": "策略", "trades": "交易次数", "trades won": "交易胜率", "share of days in": "持仓天数占比",
    "streak, days": "连续天数", "excess before": "此前超额", "excess before # … #": "此前超额#…#", "excess before ≥ #": "此前超额≥#",
    "excess before < #": "此前超额<#", "Wilson": "Wilson", "standard error [Lo#]": "标准误[Lo#]", "HAC, # lags": "HAC，#阶", "block bootstrap": "分块自助法", "β": "β",
}  # fmt: skip

#: The CSI 300 has another name than the other indices of its company.
_EXACT: Final = {
    "CSI 300": "沪深300", "CSI 300 LLT": "沪深300 LLT", "CSI 300 GFTD": "沪深300 GFTD",
    "Cumulative return on the CSI 300": "沪深300累计收益",
}  # fmt: skip

#: Titles of studies, tables and charts.
_TITLES: Final = {
    "Financing-buy ratio 融资买入占比: quantiles, and balances at the ends of months": "融资买入占比：分位数与月末余额",
    "Peak warning 顶部预警: breakdowns of the ratio after a hot phase": "顶部预警：过热后融资买入占比的跌破",
    "Bottom 底部: cold weeks, bear markets, turnover and PE": "底部：偏冷周、熊市、换手率与市盈率",
    "Heat 热度: deciles of margin money, industries by heat and risk": "热度：两融资金分位与行业热度—风险象限",
    "Lead or lag 领先与滞后: the balance and the SSE Composite": "领先与滞后：融资余额与上证指数",
    "Excess financing 超额融资: regression of the next # days' return of the SSE Composite": "超额融资：对上证指数未来#日收益的回归",
    "Streaks 连续增减: forward excess return by the streak's length, phase and regime": "连续增减：按天数、阶段与行情的未来超额收益",
    "Extremes 变动极值: boundaries, and forward excess return after extreme changes": "变动极值：边界与极值后的超额收益",
    "Divergence 背离: excess return over # days after streaks that the price does not follow": "背离：价格未跟随的连续增减之后#日的超额收益",
    "Rotation 行业轮动: six weekly portfolios of industries": "行业轮动：六个周度行业组合",
    "Sorts 行业分组: industries in # and # groups by change and breadth": "行业分组：按变动与广度分#组和#组",
    "Excess score 超额得分因子: weekly long-short portfolios": "超额得分因子：周度多空组合",
    "Timing 择时: LLT and GFTD": "择时：LLT与GFTD",
    "Quantiles of the ratio": "占比的分位数", "Ends of months: balances in bn CNY": "月末余额（十亿元）", "#-day financing-buy ratio": "#日融资买入占比",
    "CSI # and CSI # since the first day": "沪深#与中证#自首日以来涨跌", "Margin balance at the ends of months, bn CNY": "月末融资余额（十亿元）",
    "#-day financing-buy ratio with its breakdowns": "#日融资买入占比与跌破", "Share of tops and high-level ranges; diamond: published": "顶部或高位的比例；菱形为发表值",
    "Breakdowns and what the SSE Composite did": "历次跌破与上证指数走势", "Base rates and breakdowns by year": "分年基准与跌破",
    "The verdict by day: near a top?": "逐日结论：是否接近顶部？", "Cold weeks and the SSE Composite": "偏冷周与上证指数",
    "Bear markets, with month-average turnover rate and PE at the trough": "历次熊市及底部的月均换手率与市盈率", "On the last day of each index": "各指数最后一日",
    "Fall from the highest close so far": "距历史最高收盘的跌幅", "Deciles": "十分位", "Deciles; diamonds: published": "十分位；菱形为发表值",
    "Industries by heat and risk at the end of #": "#月末行业热度与风险", "Heat (right: hot) and risk (up: risky), end of #": "热度（右热）与风险（上高），#月末",
    "Correlation of the index's return on day t with the balance's growth on day t + k": "指数t日收益与余额t+k日增速的相关系数",
    "Peaks of the index, and the highest balance around them": "指数高点与其前后的余额高点",
    "Correlation by lag k in days: right of # the balance follows": "按滞后k日的相关系数：#右侧为余额跟随", "By threshold": "按阈值",
    "By year, held out of the regression": "逐年留出检验", "Excess financing and the next # days": "超额融资与未来#日",
    "β and correlation of the days above a threshold": "高于阈值各日的β与相关系数", "By length": "按天数",
    "Streaks of # by regime, phase and year, # days": "连续#日：按行情、阶段与年份，#日", "Every day of a streak by bucket, # days": "连续期间各日按区间，#日",
    "Frequency of the buckets by phase": "各阶段区间频率", "Excess return over # days by streak length": "按连续天数的#日超额收益",
    "By kind and side": "按类型与方向", "Win rate over # days by the excess return before": "按此前超额收益的#日胜率",
    "Boundaries of the daily change, mean of each month": "日变动边界（月均）", "Excess return over # days after extremes": "极值后#日超额收益",
    "# and # boundaries of the daily change of balances, by month": "余额日变动#与#边界（月均）", "By case and horizon": "按情形与持有天数",
    "Excess return over # days; diamond: published": "#日超额收益；菱形为发表值", "Weekly return, and excess over all industries": "周收益与相对全部行业的超额",
    "Excess return by year": "分年超额收益", "Cumulative excess return over the equal-weight mean": "相对等权均值的累计超额", "Weekly excess return; diamond: published": "周超额收益；菱形为发表值",
    "Weekly excess return by group; group # has the largest values": "各组周超额收益；第#组数值最大", "Industries selected, and really held because they have prices": "入选行业与有价格而实际持有的行业",
    "Weekly excess by change, # groups; #: largest": "按变动分#组的周超额；第#组最大", "Weekly excess by breadth, # groups; #: largest": "按广度分#组的周超额；第#组最大",
    "Weekly portfolios": "周度组合", "All stocks, # tails: what the assumptions change": "全部标的、两端#：各项假设的影响",
    "Five-factor regression of every pool and tail": "各股票池与两端的五因子回归", "Cumulative return of the # tails, by day": "两端#组合的累计收益（日）", "Drawdown of the # tails, by day": "两端#组合的回撤（日）",
    "All stocks: annual return by quintile of the score": "全部标的：按得分五分位的年化收益", "All stocks, # tails: annual return by variant": "全部标的、两端#：各假设的年化收益",
    "Strategies against holding, by index": "各指数策略与持有对比", "Cumulative return on the CSI #": "中证#累计收益", "Cumulative return on the SSE Composite": "上证指数累计收益",
    "Cumulative return on the ChiNext": "创业板指累计收益",
}  # fmt: skip

#: Claims.
_CLAIMS: Final = {
    "weekly maximum": "周度最大值", "weekly # quantile": "周度#分位", "weekly median": "周度中位数", "weekly minimum": "周度最小值",
    "margin balance at the end of #, bn CNY": "#月末融资余额（十亿元）", "highest short balance of the sample, bn CNY": "样本期内融券余额最高值（十亿元）",
    "#-day breakdowns that were tops or high-level ranges": "#日口径跌破中属于顶部或高位的比例", "#-day breakdowns that were a fall of # before a rise of #": "#日口径跌破中先跌#后涨#的比例",
    "daily breakdowns that were tops or high-level ranges": "日度口径跌破中属于顶部或高位的比例", "daily breakdowns that were a fall of # before a rise of #": "日度口径跌破中先跌#后涨#的比例",
    "weeks with a ratio ≤ #": "占比≤#的周数", "weeks with a ratio ≤ # followed by a rise in # days": "占比≤#的周之后#日上涨的比例",
    "fall of the bear market from its peak in #": "#年高点起的熊市跌幅", "PE percentile at the end of #": "#月末市盈率分位", "decile #": "第#个十分位",
    "share of the industries with published high risk that are high in ours": "发表的高风险行业中本系统亦高的比例",
    "share of the industries with published low risk that are low in ours": "发表的低风险行业中本系统亦低的比例",
    "share of the industries with published high heat that are high in ours": "发表的高热度行业中本系统亦高的比例",
    "mean correlation with the balance # to # days later": "与#至#日后余额的平均相关系数", "the balance follows": "余额跟随指数",
    "days from the index's peak to the balance's": "从指数高点到余额高点的天数", "the balance lags tops": "余额滞后于顶部", "correlation at k = #": "k=#时的相关系数",
    "beta before #, out of the published years": "#年以前（发表年份之外）的β", "correlation where excess ≥ #": "超额≥#各日的相关系数",
    "up-streak of #": "连续增加#日", "down-streak of #": "连续减少#日", "excess over # days": "#日超额收益",
    "up-streak of # in a RANGE": "震荡中连续增加#日", "down-streak of # in a RALLY": "上涨中连续减少#日",
    "up-streak of # in a RANGE by hindsight": "事后划分的震荡中连续增加#日", "down-streak of # in a RALLY by hindsight": "事后划分的上涨中连续减少#日", "up-streak of # in phase A": "A阶段连续增加#日",
    "share of stock-days in a streak of at least #, phase A": "连续至少#日的个股日数占比，A阶段", "share of stock-days in a streak of at least #, phase B": "连续至少#日的个股日数占比，B阶段",
    "share of stock-days in a streak of at least #, phase C": "连续至少#日的个股日数占比，C阶段",
    "win rate over # days after consecutive extreme rises, excess before below #": "连续极端上升后#日胜率（此前超额低于#）",
    "win rate over # days of all stocks, for comparison": "全部标的#日胜率（对照）",
    "RANGE: up-streak ≥ #, excess over it < #": "震荡：连续增加≥#日且期间超额<#", "RALLY: down-streak ≥ #, excess over it > #": "上涨：连续减少≥#日且期间超额>#",
    "weekly mean": "周均超额", "weekly win rate": "周胜率", "change, # groups: first less last, a week": "变动分#组：首组减末组（周）",
    "breadth, # groups: first less last, a week": "广度分#组：首组减末组（周）", "excess in #": "#年超额收益", "mean excess of the other years": "其余各年平均超额",
    "annual return": "年化收益", "maximum drawdown": "最大回撤", "cumulative return": "累计收益", "alpha a year over five factors": "相对五因子的年化α",
    "five-factor R², lowest of pools and tails": "五因子R²：各股票池与两端的最低值", "five-factor R², highest of pools and tails": "五因子R²：各股票池与两端的最高值",
    "GFTD: signals that earned until the next one": "GFTD：到下一信号为止盈利的信号比例",
    "SSE Composite LLT": "上证指数LLT", "SSE Composite GFTD": "上证指数GFTD", "CSI # LLT": "中证# LLT", "CSI # GFTD": "中证# GFTD", "ChiNext LLT": "创业板指LLT", "ChiNext GFTD": "创业板指GFTD",
}  # fmt: skip

_VARIANTS: Final = {
    "as the source: close of the day, no costs": "按报告口径：当日收盘，无成本", "close of the next session": "次日收盘", "open of the next session": "次日开盘",
    "costs of # a trade": "每笔成本#", "without ST stocks": "剔除ST股", "without listings of the last # sessions": "剔除上市不足#日的股票",
    "stocks at their price limit can't be traded": "涨跌停股票不可交易", "stocks suspended at the exit are left out (nobody knows them)": "剔除卖出日停牌的股票（事先不可知）",
    "all that a desk meets: next open, # costs, no ST, no new listings, price limits": "实际交易条件：次日开盘、#成本、剔除ST与新股、涨跌停限制",
}  # fmt: skip

#: Notes and sentences.
_NOTES: Final = {
    "published quantiles are of # to #; ours are of the days of that sample in the data: # to #": "发表的分位数区间为#至#；本系统取数据中属于该样本的日期：#至#",
    "published quantiles are of # to #; ours are of all days of the data, none of that sample: # to #": "发表的分位数区间为#至#；数据中没有属于该样本的日期，本系统取全部日期：#至#",
    "weeks are calendar weeks, Σ margin buys / Σ turnover; a week or month has no ratio without each of its sessions":
        "周为自然周，Σ融资买入额/Σ成交额；缺任一交易日的周或月不计算占比",
    "no day with margin figures": "没有融资数据的交易日",
    "not in the data, which are of # to #": "数据自#至#，无法比较", "[DG#] publishes no count": "[DG#]未发表次数",
    "not in the data, which are of # to #: their highest is # bn": "数据自#至#，其中最高为#十亿元",
    "base: the same test on every day of the period": "基准：期间每一日的同一检验", "the published share is of # to #; the state machine runs on the #-day ratio": "发表比例的区间为#至#；状态机以#日占比为准",
    "top or range: no close of the next # trading days is more than # above the entry; fell first: a close # below the entry before one # above it, within # trading days (both ours; the source judges by eye: about #)":
        "顶部或高位：其后#个交易日收盘均未高于入场价#以上；先跌：先有收盘低于入场价#，再有收盘高于#，限#个交易日内（均为本系统定义；报告为目测，约#）",
    "published: # weeks, all in #; the data are of # to # and have #": "发表：#周，均在#年；数据自#至#，其中有#周",
    "no such week in the period": "期间没有这样的周", "no bear market from a peak of that year in the data, which are of # to #": "数据（自#至#）中没有自该年高点开始的熊市", "no PE of # is known": "#的市盈率未知", "the data don't reach that month": "数据未到该月",
    "share of the days of # years, as far as known, that are not above #": "#年内（已知部分）不高于#的天数占比",
    "a bear market is a fall of # from a peak, ended by a rise of # from its trough, so the published fall of # is two of ours: the index rose by more than # in between; the deepest bear market of a year counts; ranks are among all earlier days of the data":
        "熊市：自高点下跌#，自低点上涨#结束，因此发表的#年跌幅在此为两段：其间指数上涨超过#；同一年取最深一段；分位为数据中此前全部日期",
    "coldness is no bottom signal by itself: of the published cold cases, the weeks with a ratio of at most #, # of # were followed by a stop or a rebound; ours counts a rise of the SSE Composite over # trading days":
        "偏冷本身不是底部信号：发表的偏冷为占比不高于#的周，其中#（共#）之后止跌或反弹；本系统统计其后上证指数#个交易日上涨",
    "closes from # to #": "收盘价自#至#", "published deciles are to #; ours are of the days of that sample in the data": "发表的十分位截至#；本系统取数据中属于该样本的日期",
    "published deciles are to #; ours are of all days of the data, none of that sample": "发表的十分位截至#；数据中没有属于该样本的日期，本系统取全部日期",
    "the published quadrant is of #; an industry counts as high or low among the # highest or lowest of # (ours)": "发表的象限为#；最高或最低的#个（共#个）行业计为高或低（本系统定义）",
    "heat and risk leave out factors that the data lack, see the signals' page; the table and the map state them in their own σ across the industries, because a mean of z-scores has a smaller one than #":
        "热度与风险剔除数据缺少的因子，见信号页；表与图以其自身的行业截面σ计，因为z值之均值的σ小于#",
    "not in the data, of which # is shown": "不在数据之中，所示为#", "the data have no float cap of the market": "数据没有全市场流通市值", "no short sales": "没有融券数据", "base: the balance # to # days earlier": "基准：#至#日前的余额",
    "# on #–# (ours)": "#–#年为#（本系统）", "no peak in the period": "期间没有高点",
    "a peak is a close from which the SSE Composite falls by at least #; the balance's peak is its highest value within # sessions of it, each with a balance (ours)": "高点：此后上证指数下跌至少#；余额高点为其前后#个交易日内的最高值，期间每日余额均须已知（本系统定义）",
    "the balance of day t is known before the open of t + #; a correlation at k = # is no forecast": "t日余额在t+#日开盘前可知；k=#的相关不是预测", "too few days": "天数过少", "takes overlapping windows for independent": "把重叠窗口当作独立样本",
    "p = #": "p = #", "no data before #": "没有#年以前的数据", "fewer than ten days": "不足十日", "too few cases for an interval": "案例太少，无法给出区间", "a fall of less than a year says nothing about one of years": "不足一年的回撤不能与多年的回撤相比", "published of # years, ours of # weeks": "发表值为#年累计，本系统为#周",
    "published β and t are of #–#, ours of the days from # on, of which the data have none, so of all days; the published correlation at # is \"above #\"": "发表的β与t区间为#–#，数据中没有#年以后的日期，本系统取全部日期；发表的相关系数在#处“高于#”",
    "no data from # on: see beta": "没有#年以后的数据：见β",
    "published β and t are of #–#, ours of the days from # on; the published correlation at # is \"above #\"": "发表的β与t区间为#–#，本系统自#年起；发表的相关系数在#处“高于#”",
    "windows of # days overlap: use the HAC errors (Newey-West, # lags) for inference": "#日窗口重叠：推断请用HAC标准误（Newey-West，#阶）",
    "forecast error saved: # − Σ(y − α − βx)² / Σ(y − mean of the other years)², with α and β of all other years; below # the mean alone forecasts better": "预测误差减少：#−Σ(y−α−βx)²/Σ(y−其他年份均值)²，α、β取自其他各年；低于#表示仅用均值更好",
    "as the source: return from the close of day T; point in time: from the open after the figures were published, to the same close": "按报告口径：自T日收盘；按可知时点：自数据公布后的开盘，至同一收盘",
    "the balance of day T is published before the open of T#, so a trade at the close of T was not possible": "T日余额在T#日开盘前公布，因此无法在T日收盘交易", "Windows overlap: with HAC errors t is #, not #.": "窗口重叠：用HAC标准误t为#，而非#。",
    "excess over the equal-weight mean of the stocks in the margin list; [SW#] covers #–#: long up-streaks lead in ranges and in its phase A (# to #), down-streaks of # and more days lag in rallies":
        "超额相对融资标的等权均值；[SW#]区间为#–#：连续增加在震荡及其A阶段（#至#）领先，连续减少#日以上在上涨中落后",
    "days outside #–# belong to the phase with their size of the list (≤ #: A, ≤ #: B, more: C)": "#–#以外的日期按标的数量归入阶段（≤#为A，≤#为B，更多为C）",
    "RANGE and RALLY by rule; by hindsight a RALLY is a rise of the CSI # of at least # from a trough to its peak (ours)": "震荡与上涨按规则划分；事后划分的上涨为沪深#自低点至高点上涨至少#（本系统定义）",
    "the source does not say of what its share of long streaks is: ours is of the stock-days in a streak": "报告未说明长连续占比的分母：本系统为处于连续期间的个股日数",
    "intervals: moving-block bootstrap of trading days (blocks as long as the horizon)": "区间：按交易日的移动分块自助法（块长等于持有天数）", "intervals: moving-block bootstrap of trading days": "区间：按交易日的移动分块自助法",
    "published: leads": "发表：领先", "published: lags": "发表：落后", "published: leads; no case in the period": "发表：领先；期间无样本", "published: lags; no case in the period": "发表：落后；期间无样本",
    "share of the margin list's stocks with a price, by year": "融资标的中有价格的比例（逐年）",
    "#. Cases without both prices are left out; where a price is known because of what became of a stock later, the rest are survivors":
        "#。没有两端价格的样本剔除；若价格因股票后来的情况才已知，则其余为幸存者",
    "years": "年份", "#; best #, worst #": "#；最好#，最差#",
    "no day of that phase": "没有该阶段的日期", "published: below #": "发表：低于#", "a mean of a skewed distribution is above its median": "偏态分布的均值高于中位数", "no case in the period with both prices": "期间没有价格齐全的样本",
    "excess before: over the days of the security's running streak (at most #), as the divergence signal has it; the source does not say over which days": "此前超额：该证券当前连续期间（至多#日），与背离信号一致；报告未说明区间",
    "regime by rule (CSI # above its #-day mean and up # in # days is a RALLY), not by hindsight as in [SW#]": "行情按规则划分（沪深#高于#日均线且上涨#（#日内）为上涨），而非[SW#]的事后划分",
    "benchmark: the equal-weight mean of all industries with a price (ours); a week without a selection is left out; no costs": "基准：有价格的全部行业等权均值（本系统）；无入选行业的周不计入；无成本",
    "industries with a price in the mean week: # of #; some industry indices of the # edition have no earlier history": "平均每周有价格的行业：#个（共#个）；#版部分行业指数没有更早历史",
    "published figures are of #–#, ours of #–#, with other editions of the industries and another list of eligible stocks": "发表数字为#–#年，本系统为#–#年，行业版本与标的名单不同",
    "no week with a selection: is there a membership of industries?": "没有入选的周：是否有行业归属？", "published: change and breadth select winners": "发表：变动与广度能选出强势行业", "not in the data": "数据中没有", "no other year": "没有其他年份",
    "groups of the industries with a price at the entry and the exit, by rank, as equal in number as possible; excess over the equal-weight mean of these industries; no costs": "对入场与出场均有价格的行业按排名分组，数量尽量相等；超额相对这些行业的等权均值；无成本",
    "the published annual figures are of the edition of the industries and the list of eligible stocks of #–#": "发表的年度数字基于#–#年的行业版本与标的名单",
    "long the # highest scores, short the # lowest, equal weights; ranks are inside each pool, of its members on the day": "做多得分最高#、做空最低#，等权；排名在各股票池当日成分内进行",
    "costs: # of each trade (--cost); the published figures have none; no limits on shorting": "成本：每笔#（--cost）；发表数字无成本；做空不受限",
    "a stock that is suspended at the exit is valued at its last price; drawdown by day, Sharpe by week without a risk-free rate": "卖出日停牌的股票按最后价格计；回撤按日，夏普比率按周且不扣无风险利率",
    "no factor returns were given (--factors FILE, or ff#_daily in the folder): the five-factor regression is left out": "未提供因子收益（--factors FILE或目录中的ff#_daily）：省略五因子回归", "no factor returns": "没有因子收益",
    "no members of this index are known": "没有该指数的成分", "no week with enough prices and balances": "没有价格与余额足够的周", "block bootstrap of the weekly mean × #": "周均值分块自助法×#",
    "All stocks, # tails: costs of # a trade lower the annual return from # to #.": "全部标的、两端#：每笔#的成本使年化收益从#降至#。",
    "# indices that move together: fewer are independent; base: the same spans, always long": "#个指数同向波动：独立样本更少；基准：同样时段始终做多", "base: holding the index on the same days": "基准：同日持有指数",
    "no costs; short positions of GFTD earn the index's fall; days without a known position are left out, and a move over days without a price belongs to the position at its beginning": "无成本；GFTD空头取得指数跌幅；仓位未知的日子不计入，缺价期间的涨跌归属期初仓位", "the published success rate of about # does not say when a signal counts as right: ours, if the index moved its way until the next signal": "发表的成功率约#未说明何为正确：本系统为到下一信号为止指数同向变动",
}  # fmt: skip

#: The chart model.
_CHARTS: Final = {
    "Chart model 图表模型: the network beside reversal, momentum and a logistic regression": "图表模型：神经网络与反转、动量及逻辑回归的比较",
    "Predictors, all years and by year: every year is held out": "各预测方法，全部年份与分年（每年均为样本外）",
    "Mean weekly excess return by decile, lowest score first, after costs": "按得分十分位的周均超额收益（由低到高，扣除成本）",
    "Mean weekly excess return by decile of the network's score, after costs": "按神经网络得分十分位的周均超额收益（扣除成本）",
    "network": "神经网络", "logistic regression": "逻辑回归", "#-day reversal": "#日反转", "#-day momentum": "#日动量",
    "predictor": "预测方法", "accuracy": "准确率", "rank IC": "秩相关IC", "top decile": "最高十分位", "top after costs": "最高十分位（扣成本）",
    "t (HAC) after costs": "t（HAC，扣成本）", "top less bottom": "最高减最低", "top-5 themes": "前5主题", "themes after costs": "主题（扣成本）",
    "t (HAC) of themes": "t（HAC，主题）", "themes": "主题", "top decile after costs, weekly": "最高十分位扣成本后周收益",
    "top-5 themes after costs, weekly": "前5主题扣成本后周收益", "t (HAC, # lags) #": "t（HAC，#阶）#",
    "rank IC of what #-day reversal does not explain": "剔除#日反转后的秩相关IC",
    "rank IC of what logistic regression does not explain": "剔除逻辑回归后的秩相关IC",
    "no chart is scored": "没有得分的图表", "no chart is scored in this period": "期间没有得分的图表",
    "no chart model is set (MARGINWATCH_CHART_MODEL)": "未设置图表模型（MARGINWATCH_CHART_MODEL）",
    "a year is scored by networks that saw only charts whose labels end before it": "每年由只见过标签在该年之前结束的图表的网络评分，模型",
    "returns over # sessions": "#个交易日收益",
    "from the open of the next session (as the source: from the close of the day); a stock without a price there is left out, one at its limit is not, although it could hardly be bought":
        "自下一交易日开盘起（按报告口径自当日收盘起）；当时无价格的股票剔除，涨跌停股票虽难以买入但保留",
    "costs # of what is exchanged in a week; a short side is a comparison, not a trade, in this market": "成本为每周换手部分的#；空头仅作比较，在本市场不可交易",
    "above the week's median of the predictor and of the return, or below both; # is a coin": "预测与收益同在当周中位数之上或之下；#即抛硬币",
    "the five industries with the highest mean predictor of their stocks, returns of the industries' indices, beside the mean of all industries; the network's ranking is the published theme_score":
        "成分股预测均值最高的五个行业，收益为行业指数，与全部行业均值比较；神经网络的排名即发布的theme_score",
}  # fmt: skip
#: The sentence of the study of charts: whether the network adds to reversal, and pays; each with or without its t value.
_CHART_VERDICTS: Final = {
    f"{adds} (rank IC # beside #, # without reversal{t}), and {pays} (# a week{t_pays}).":
    f"{adds_zh}（秩相关IC #，反转为#，剔除反转后#{t_zh}），{pays_zh}（每周#{t_pays_zh}）。"
    for adds, adds_zh in (
        ("The network adds to #-day reversal", "神经网络在#日反转之外有增量"),
        ("The network adds nothing that is sure to #-day reversal", "神经网络在#日反转之外没有可确认的增量"),
    )
    for pays, pays_zh in (
        ("its top decile earns more than its costs", "最高十分位的收益高于成本"),
        ("its top decile does not surely earn its costs", "最高十分位的收益不能确定高于成本"),
    )
    for t, t_zh in (("", ""), (" (t #)", "，t #"))
    for t_pays, t_pays_zh in (("", ""), (", t #", "，t #"))
}  # fmt: skip

CHINESE: Final[dict[str, str]] = _EXACT | _WORDS | _TITLES | _CLAIMS | _VARIANTS | _NOTES | _CHARTS | _CHART_VERDICTS
