"""Applying a mapping: the rows of a file in CNY, shares and fractions, and what of it is left out and why."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from feeds.cells.dates import NO_DAY, is_open_end, parse_days
from feeds.cells.formulas import evaluate, names_in
from feeds.cells.row_kinds import END_OF_ROW, NO_DATA, TOO_MANY, RowKind
from feeds.cells.units import Unit, parse_numbers
from feeds.checks.findings import Finding, Severity
from feeds.checks.price_bars import FEW_BARS, contradicting_prices, contradicting_trades, prices_compared
from feeds.checks.row_groups import group_of
from feeds.checks.validate import TOO_MANY_ROWS, TOO_MANY_SHARE
from feeds.checks.zero_columns import zero_columns_removed, zero_prices
from feeds.errors import InputError
from feeds.mappings.both_balances import broken_sums
from feeds.mappings.impossible_cells import impossible_cells, valueless_spells
from feeds.mappings.mapped_keys import NO_KEY, column_of, row_keys
from feeds.mappings.mapped_moments import NO_MOMENT, moments_of
from feeds.mappings.mapped_words import matching, words_of
from feeds.mappings.mapping import Figure, SpellColumns, Table, unit_of
from feeds.mappings.refused_rows import kind_in, placed, without_figures
from feeds.mappings.row_order import sorted_days
from feeds.mappings.stated_sums import broken_totals
from processors.arrays import Array, Floats, Ids, Mask
from processors.events import INPUT_ROWS, Column, DailyRow, Sign
from processors.index_members import columns_of
from processors.kinds import is_fund, is_index

#: Floats of fewer bits → the number above which whole numbers are not exact.
_SHORT_FLOATS = {
    "float16": (2**11, "16-bit floats, which are exact to 3"),
    "float32": (2**24, "32-bit floats, which are exact to 7"),
}
_CUT = "it is cut off, or lacks a cell; export it again"
#: Of prices: a row without these is that of a security that does not trade.
_TRADED = ("close", "volume", "turnover")


@dataclass(slots=True)
class MappedRows:
    """The rows of a table, and the findings of reading it.

    Parameters
    ----------
    frame : ``row`` (the number of the row in its file), ``key`` (int32), ``day`` (int32; missing if undated), ``name``
        if the table names its column, and figures in CNY, shares and fractions. Rows of the running session have ``ts``
        (int64, µs since the epoch) instead of a day, if the table names it.
    steps : figures in 万 and 亿 → the step to which they are rounded (`Unit.rounded_to`).
    sorted_by : days whose rows are in the order of a figure → its column, see `feeds.mappings.row_order`.
    """

    frame: pd.DataFrame
    findings: list[Finding] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)
    sorted_by: dict[int, str] = field(default_factory=dict)

    def whole(self) -> pd.DataFrame:
        """Return the frame of a source that counts as a whole; raises `InputError` for the first thing left out."""
        for one in self.findings:
            if one.severity is not Severity.WARNING:
                raise InputError(one.text)
        return self.frame


def map_rows(
    table: Table, raw: pd.DataFrame, file: str, today: int | None = None, day: int | None = None
) -> MappedRows:
    """Return the rows of a table.

    A row whose key, date or required figure can't be read is refused and reported with its cell; blank rows, notes,
    sums and repeated headers are left out. An optional figure that is impossible (a negative repayment) is absent.

    Parameters
    ----------
    raw : the cells; its index are the numbers of the rows.
    file : the name of the file in messages.
    today : the day of a ``ts`` without a date, days since 1970-01-01.
    day : the trade date of a table without a column of dates.

    Raises
    ------
    InputError : if a column is missing, a unit or a format does not fit, or a formula can't be evaluated.
    """
    reading = _Reading(table, raw, f"{file} → {table.topic}")
    reading.read_keys()
    reading.read_days(day)
    reading.choose_rows()
    reading.refuse_short_rows()
    reading.read_moments(today)
    reading.read_figures()
    rows = reading.result(len(raw))
    rows.sorted_by = sorted_days(table, raw, rows.frame)
    return rows


class _Reading:
    """One table while it is read: ``raw`` and ``columns`` have the rows that remain; places are positions in them."""

    def __init__(self, table: Table, raw: pd.DataFrame, where: str) -> None:
        self.table, self.raw, self.where = table, raw, where
        self.keys: Ids = np.zeros(len(raw), dtype=np.int32)
        self.columns: dict[str, Array] = {"row": raw.index.to_numpy()}
        self.findings: list[Finding] = []
        self.refused = 0
        self.has_rows = False
        self.sums: dict[int, dict[Hashable, object]] = {}
        self.untimed: dict[int, str] = {}
        self.unread: list[tuple[int, int, dict[Hashable, object]]] = []  # place of the finding, key, cells

    def read_keys(self) -> None:
        """Read the keys; leave out the rows that have none."""
        table = self.table
        self.keys, reasons = row_keys(table, self.raw, self.where)
        if table.code is not None and table.code.codes is not None:
            wanted, first = self.keys != NO_KEY, self.raw[table.code.column].head(1)
            self.has_rows = bool((~wanted).any())
            if self.has_rows and not wanted.any():
                text = f"none of the codes in column {first.name!r} is in the mapping, such as {first.iloc[0]!r}"
                self._report(Severity.WARNING, "codes", f"{self.where}: {text}: no row is read")
            shifted = (self.raw[table.code.column] == TOO_MANY) | (self.raw.iloc[:, -1] == END_OF_ROW)
            self._keep(wanted | shifted.to_numpy(bool))
            reasons = dict.fromkeys(np.flatnonzero(self.keys == NO_KEY).tolist(), _CUT)
        if table.code is None and table.exchange_column is None:  # no cell shows what is no row of figures
            reasons |= dict.fromkeys(without_figures(self.raw, table), "it has no figure of this table")
        self._leave_out(reasons)
        self.has_rows |= len(self.raw) > 0
        if table.only is not None:
            self._keep(is_index(self.keys) == (table.only == "indices"))

    def read_days(self, day: int | None) -> None:
        """Read the trade dates, if the table has a column of them."""
        if self.table.spell is not None:
            self._read_spells(self.table.spell)
            return
        if self.table.date is None:
            if day is not None:
                self.columns["day"] = np.full(len(self.raw), day, dtype=np.int32)
            return
        column = column_of(self.raw, self.table.date.column, self.where)
        days, reasons = parse_days(column, self.table.date.format)
        self.columns["day"] = days
        self._leave_out({place: f"column {self.table.date.column!r}: {reason}" for place, reason in reasons.items()})

    def _read_spells(self, spell: SpellColumns) -> None:
        """Read the first days, and the last days where they are given."""
        until = np.full(len(self.raw), np.nan)
        if spell.end is not None:
            cells = column_of(self.raw, spell.end, self.where)
            ends, wrong = parse_days(cells)
            self.columns["until"] = np.where(ends == NO_DAY, np.nan, ends.astype(np.float64))
            unread = {p: why for p, why in wrong.items() if not is_open_end(cells.iloc[p])}
            self._leave_out({p: f"column {spell.end!r}: {why}" for p, why in unread.items()})
        else:
            self.columns["until"] = until
        self.columns["day"], reasons = parse_days(column_of(self.raw, spell.start, self.where))
        self._leave_out({place: f"column {spell.start!r}: {reason}" for place, reason in reasons.items()})

    def choose_rows(self) -> None:
        """Keep the rows that the mapping wants."""
        if self.table.rows is not None:
            found, unread = evaluate(self.table.rows, self.raw, f"{self.where}, rows")
            self._refuse(unread)
            cut = (self.raw[list(names_in(self.table.rows))] == END_OF_ROW).any(axis=1)  # before what shows its kind
            self._keep((found.to_numpy(bool) | cut.to_numpy(bool)) & ~self._mask(unread))

    def refuse_short_rows(self) -> None:
        """Refuse rows of a text that have fewer cells than its header: their figures may be those of other columns."""
        last = self.raw.iloc[:, -1]
        if pd.api.types.is_numeric_dtype(last):
            return
        short = {
            int(place): f"it ends before column {last.name!r}: {_CUT}"
            for place in np.flatnonzero(last.to_numpy(object) == END_OF_ROW)
        }
        self._refuse(short, read=True)
        self._keep(~self._mask(short))

    def read_moments(self, today: int | None) -> None:
        """Read the moments of rows of the running session."""
        if self.table.ts is not None:
            self.columns["ts"], self.untimed = moments_of(self.raw, self.table.ts, today, self.where)

    def read_figures(self) -> None:
        """Read the figures; leave out rows without any, and refuse those that lack a required one."""
        known = {column.name: column for column in columns_of(self.table.topic, self.table.columns)}
        daily = issubclass(INPUT_ROWS[self.table.topic], DailyRow)
        numbers, unreadable = {}, {"ts": self.untimed}
        for name, figure in self.table.columns.items():
            numbers[name], unreadable[name] = self._figure(known[name], figure)
        self.columns |= numbers
        if not daily:
            reasons = {place: f"{name}: {why}" for name, wrong in unreadable.items() for place, why in wrong.items()}
            if not self.table.topic.startswith("margin."):  # a security that does not trade has words for its prices
                traded = np.logical_or.reduce([numbers[name] > 0 for name in _TRADED if name in numbers])
                self._leave_out({at: why for at, why in reasons.items() if at not in self.untimed or traded[at]})
                self._keep(self.columns.get("ts", np.ones(len(self.raw))) != NO_MOMENT)
                return
            self._refuse(reasons, read=True)
            self._keep(~self._mask(reasons))
            return
        empty = self._without_figures(numbers, unreadable)
        prices = [name for name in numbers if known[name].optional and known[name].sign is Sign.POSITIVE]
        zeros = {name: (numbers[name] == 0) & ~empty for name in prices}
        refused: dict[int, str] = {}
        for name, values in numbers.items():
            if self.table.spell is not None and (valueless := valueless_spells(name, values)):
                self._report(Severity.ERROR, "spell", f"{self.where}: {valueless}")
            figure = self.table.columns[name]
            source = name if figure.column is None else f"{name} (column {figure.column!r})"
            must = not known[name].optional and figure.column is not None and figure.where is None
            wrong = impossible_cells(known[name], values, must=must) | unreadable[name]
            if known[name].optional and len(wrong) > max(TOO_MANY_ROWS, TOO_MANY_SHARE * len(values)):
                text = f"{len(wrong)} of {len(values)} cells can't be read, too many to publish the others"
                first = min(wrong)
                self._report(Severity.ERROR, "rows", f"{self._at(first)}, {source}: {text}; the first: {wrong[first]}")
                continue
            for place, reason in wrong.items():
                if empty[place]:
                    continue
                if not known[name].optional:
                    refused.setdefault(place, f"{source}: {reason}")
                    continue
                severity = Severity.REFUSED if place in unreadable[name] else Severity.WARNING
                text = f"{self._at(place)}, {source}: {reason}; the figure is absent"
                self._report(severity, "figure", text, place)
        for place, reason in broken_sums(self.raw, numbers, self.table, self.where):
            if self.table.topic == "margin.market":  # of which each row is all that an exchange has
                self._report(Severity.ERROR, "sum", f"{self._at(place)}, {reason}", place)
            else:
                refused.setdefault(place, reason)
        self._compare_prices(numbers, refused)
        days = self.columns.get("day")
        self.findings += zero_prices(zeros, numbers, self.table.topic, self.keys, days, self.where)
        self._refuse(refused, read=True)
        self._keep(~(empty | self._mask(refused)))
        days = self.columns.get("day", np.zeros(len(self.raw), dtype=np.int32))
        self.findings += broken_totals(self.sums, self.table, {n: self.columns[n] for n in numbers}, days, self.where)

    def _compare_prices(self, numbers: Mapping[str, Floats], refused: dict[int, str]) -> None:
        """Refuse rows whose prices contradict each other, or make the one price absent that does."""
        rows, cells = contradicting_prices(numbers)
        if self.table.topic == "prices.daily":
            rows |= contradicting_trades(numbers)
        for place, reason in rows.items():
            refused.setdefault(place, reason)
        many = len(rows) + len(cells) > max(TOO_MANY_ROWS, FEW_BARS * len(self.raw))
        if many:
            text = f"the prices of {len(rows) + len(cells)} of {len(self.raw)} rows contradict each other"
            first = f"the first: {self._at(min({**rows, **cells}))}"
            self._report(Severity.ERROR, "columns", f"{self.where}: {text}: check its columns and units; {first}")
        for place, (name, reason) in cells.items():
            numbers[name][place] = np.nan
            if not many:
                self._report(Severity.WARNING, "figure", f"{self._at(place)}, {reason}; {name} is absent", place)

    def result(self, total: int) -> MappedRows:
        """Return the rows; ``total`` is their number before any was left out."""
        if self.table.code is not None and self.table.code.name in self.raw:
            places, names = pd.factorize(self.raw[self.table.code.name], use_na_sentinel=False)
            self.columns["name"] = names.to_numpy(object)[places]  # equal names are one object: rows are millions
        columns = {"row": self.columns.pop("row"), **self.columns, "key": self.keys}
        frame = pd.DataFrame(columns, index=range(len(self.keys)), copy=False)  # a file has millions of rows
        if issubclass(INPUT_ROWS[self.table.topic], DailyRow):
            if not self.has_rows and all(one.severity is Severity.WARNING for one in self.findings):
                text = f"{self.where} has a header and no row: its figures are not published yet, or the day has none"
                self._report(Severity.ERROR, "placeholder", text)
            self.findings += zero_columns_removed(frame, self.table.topic, self.where)
            self.findings += prices_compared(frame, self.table.topic, self.where)
            for at, key, cells in self.unread:
                self.findings[at] = placed(self.findings[at], key, cells, self.table, frame)
        if self.table.undated:  # one row for each of the days that the file describes
            frame = frame.drop_duplicates(frame.columns.difference(["row", "name"]), ignore_index=True)
        if self.refused > max(TOO_MANY_ROWS, TOO_MANY_SHARE * total) or (
            self.refused and not len(frame) and self.table.only is None
        ):
            first = next(one for one in self.findings if one.severity is Severity.REFUSED)
            text = (
                f"{self.refused} of {total} rows are refused, too many to publish the others; the first: {first.text}"
            )
            self._report(Severity.ERROR, "rows", text)
        units = {name: unit_of(name, figure, self.where) for name, figure in self.table.columns.items()}
        steps = {name: unit.rounded_to for name, unit in units.items() if unit is not None and unit.rounded_to}
        return MappedRows(frame, self.findings, steps)

    def _report(self, severity: Severity, check: str, text: str, place: int | None = None) -> None:
        """Append a finding; with the day and the exchange of a row whose key and date are read."""
        day, group = None, ""
        lost: tuple[int, ...] = ()
        if place is not None and "day" in self.columns:
            day, group = int(self.columns["day"][place]), group_of(self.table.topic, self.keys[place])
            lost = (int(self.keys[place]),) if check == "row" else ()
        self.findings.append(Finding(severity, check, self.table.topic, day, text, group, lost))

    def _at(self, place: int) -> str:
        return f"{self.where}, row {self.raw.index[place]}"

    def _mask(self, places: Iterable[int]) -> Mask:
        mask = np.zeros(len(self.raw), dtype=bool)
        mask[list(places)] = True
        return mask

    def _keep(self, mask: Mask) -> None:
        if not mask.all():
            self.raw, self.keys = self.raw[mask], self.keys[mask]
            self.columns = {name: values[mask] for name, values in self.columns.items()}

    def _refuse(self, reasons: Mapping[int, str], *, read: bool = False) -> None:
        """Refuse rows; ``read`` is whether their keys and dates are."""
        for place, reason in sorted(reasons.items()):
            self.refused += 1
            if not read:
                self.unread.append((len(self.findings), int(self.keys[place]), self.raw.iloc[place].to_dict()))
            self._report(Severity.REFUSED, "row", f"{self._at(place)}, {reason}", place if read else None)

    def _leave_out(self, reasons: Mapping[int, str]) -> None:
        """Leave out rows that can't be read; refuse those of them that contain figures, or a code that can be read."""
        refused = {}
        for place, reason in reasons.items():
            kind = kind_in(self.raw.iloc[place].to_dict(), self.table)
            if kind is RowKind.FIGURES or (kind is RowKind.NOTE and self._has_code(place)):
                refused[place] = TOO_MANY if TOO_MANY in self.raw.iloc[place].tolist() else reason
            elif kind is RowKind.SUM:
                self.sums[self.raw.index[place]] = self.raw.iloc[place].to_dict()
            elif kind is RowKind.PLACEHOLDER:
                words = next(str(cell).strip() for cell in self.raw.iloc[place] if NO_DATA.search(str(cell)))
                text = f"{self._at(place)}: {words!r}: the figures are not published yet, or the day is no trading day"
                self._report(Severity.ERROR, "placeholder", text)
        self._refuse(refused)
        self._keep(~self._mask(reasons))

    def _has_code(self, place: int) -> bool:
        return self.table.code is not None and self.keys[place] != NO_KEY

    def _without_figures(self, numbers: Mapping[str, Floats], unreadable: Mapping[str, Mapping[int, str]]) -> Mask:
        """Return which rows have no figure at all, and report their number; of prices: neither a price nor a trade."""
        given = [name for name, figure in self.table.columns.items() if figure.column is not None]
        # A row without figures is not published yet; a spell without a value ends the one before.
        if not given or self.table.topic.startswith("margin.") or self.table.spell is not None:
            return np.zeros(len(self.raw), dtype=bool)
        untraded = self.table.topic == "prices.daily"
        nothing = {n: np.isnan(numbers[n]) | ((numbers[n] == 0) & (untraded and n in _TRADED)) for n in given}
        counted = [nothing[name] for name in given if not untraded or name in _TRADED]
        empty = np.logical_and.reduce(counted) if counted else np.zeros(len(self.raw), dtype=bool)
        empty &= ~self._mask(place for wrong in unreadable.values() for place in wrong)
        if empty.any():
            first = self._at(int(np.argmax(empty)))
            self._report(
                Severity.WARNING, "empty", f"{int(empty.sum())} rows have a key and no figure, the first: {first}"
            )
        return empty

    def _figure(self, column: Column, figure: Figure) -> tuple[Floats, dict[int, str]]:
        """Return the values of a figure, and the reason of each cell that can't be read, by place."""
        where, unread = f"{self.where}, {column.name}", dict[int, str]()
        if figure.value is not None:
            values = pd.Series(float(figure.value), index=self.raw.index)
        elif figure.formula is not None:
            values, unread = evaluate(figure.formula, self.raw, where)
        else:
            values = column_of(self.raw, str(figure.column), where)
        if column.labels:
            places, wrong, warning = words_of(column, figure, values, where)
            if warning:
                self._report(Severity.WARNING, "industry", warning)
            return places, unread | wrong
        if figure.matches is not None:
            return matching(figure.matches, values), unread
        unit = unit_of(column.name, figure, where)
        numbers, unreadable = parse_numbers(values, unit, flag=column.flag)
        self._report_rounding(values, numbers, column.name, unit)
        if figure.where is not None:
            wanted, unknown = evaluate(figure.where, self.raw, where)
            unread |= unknown
            numbers = np.where(wanted.astype(bool), numbers, np.nan)
        if unit is not None:
            numbers = unit.apply(numbers)
        if figure.decimals is not None:
            funds = figure.decimals if figure.decimals_of_funds is None else figure.decimals_of_funds
            numbers = np.where(is_fund(self.keys), numbers.round(funds), numbers.round(figure.decimals))
        return numbers, unread | unreadable

    def _report_rounding(self, values: pd.Series, numbers: Floats, name: str, unit: Unit | None) -> None:
        """Report figures that their file contains with fewer digits than they were published with."""
        exact, digits = _SHORT_FLOATS.get(str(values.dtype).lower(), (np.inf, ""))
        if (np.abs(numbers) > exact).any():
            text = f"{self.where}, {name}: the column has {digits} digits: write float64"
            self._report(Severity.WARNING, "precision", text)
        elif not pd.api.types.is_numeric_dtype(values) and unit is not None:
            rounded = [cell for cell in values.tolist() if isinstance(cell, str) and cell.endswith(("万", "亿"))]
            if rounded:
                text = f"{self.where}, {name}: {len(rounded)} cells such as {rounded[0]!r} are rounded"
                self._report(Severity.WARNING, "precision", f"{text}: export the figures in whole 元 or 股")
