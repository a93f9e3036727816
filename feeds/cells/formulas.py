"""The formulas of a mapping file over the columns of a table: ``close - change``.

A formula has names of columns (in backquotes if they are no plain words), numbers, texts, ``+ - * /``, comparisons,
``and``, ``or``, ``not``, ``in [..]``. It can't call or import anything: a mapping file is data.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from feeds.cells.units import parse_numbers
from feeds.errors import InputError

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_QUOTED = re.compile(r"`([^`]+)`")


def evaluate(formula: str, table: pd.DataFrame, where: str) -> tuple[pd.Series, dict[int, str]]:
    """Return the value of a formula in each row, and the reasons of the rows of which a cell can't be read, by place.

    Raises
    ------
    InputError : if the formula can't be read, names a column that the table lacks, or one that has no number.
    """
    names: dict[str, str] = {}
    unread: dict[int, str] = {}

    def named(found: re.Match[str]) -> str:
        names[f"_column{len(names)}"] = found[1]
        return f"_column{len(names) - 1}"

    try:
        tree = ast.parse(_QUOTED.sub(named, formula), mode="eval")
    except SyntaxError as error:
        raise InputError(f"{where}: formula {formula!r} can't be read: {error.msg}") from error
    try:
        found = _value(tree.body, table, names, unread)
    except InputError as error:
        raise InputError(f"{where}: formula {formula!r}: {error}") from error
    except TypeError as error:
        raise InputError(f"{where}: formula {formula!r}: {error}; check that its columns are numbers") from error
    return found if isinstance(found, pd.Series) else pd.Series(found, index=table.index), unread


def names_in(formula: str) -> set[str]:
    """Return the names of the columns in a formula that `evaluate` can read.

    Examples
    --------
    >>> sorted(names_in("flag == 'ST' and `the days` > 2"))
    ['flag', 'the days']
    """
    plain = ast.walk(ast.parse(_QUOTED.sub("0", formula), mode="eval"))
    return {node.id for node in plain if isinstance(node, ast.Name)} | set(_QUOTED.findall(formula))


def _value(node: ast.AST, table: pd.DataFrame, names: dict[str, str], unread: dict[int, str]) -> Any:
    def value(one: ast.AST) -> Any:
        return _value(one, table, names, unread)

    def numbers(side: Any) -> Any:
        return _numbers(side, unread)

    match node:
        case ast.Constant(value=float() | int() | str() as constant):
            return constant
        case ast.Name(id=name):
            column = names.get(name, name)
            if column not in table:
                raise InputError(f"column {column!r} is missing; there are {', '.join(map(str, table.columns))}")
            return table[column]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](numbers(value(left)), numbers(value(right)))
        case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.List(elts=items)]):
            known, found = [value(item) for item in items], value(left)
            return (found if any(isinstance(one, str) for one in known) else numbers(found)).isin(known)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _BINARY:
            sides = value(left), value(right)
            if not any(isinstance(side, str) for side in sides):
                sides = numbers(sides[0]), numbers(sides[1])
            return _BINARY[type(op)](*sides)
        case ast.BoolOp(op=op, values=parts):
            join = operator.and_ if isinstance(op, ast.And) else operator.or_
            found = value(parts[0])
            for part in parts[1:]:
                found = join(found, value(part))
            return found
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -numbers(value(operand))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ~value(operand)
    raise InputError(f"{ast.unparse(node)!r} is none of + - * / comparisons, and, or, not, in [..]")


def _numbers(side: Any, unread: dict[int, str]) -> Any:
    """Return a side of an operation as numbers, NaN where a cell is unread: the cells of a CSV file are text."""
    if isinstance(side, str):
        raise InputError(f"{side!r} is no number")
    if not isinstance(side, pd.Series) or pd.api.types.is_numeric_dtype(side):
        return side
    numbers, wrong = parse_numbers(side)
    if wrong and len(wrong) == len(side):
        raise InputError(f"row {side.index[0]}, column {side.name!r}: {wrong[0]}")
    unread |= {place: f"column {side.name!r}: {reason}" for place, reason in wrong.items()}
    return pd.Series(numbers, index=side.index)
