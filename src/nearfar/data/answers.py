"""When two answers are the same: as texts, or as numbers and equations of equal value."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

__all__ = ["answer_key", "equal_numbers", "normalised", "value_of"]

#: Longest text that is read as an equation, so that nothing in an answer takes long to work out.
MOST_CHARACTERS = 200
_OPERATORS: dict[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def answer_key(answer: str) -> Fraction | str:
    """The value of a number or an equation, otherwise the normalised text: equal for answers that are the same."""
    value = value_of(answer)
    return normalised(answer) if value is None else value


def normalised(answer: str) -> str:
    """Lower case, single spaces, no final full stop."""
    return " ".join(answer.casefold().split()).removesuffix(".").rstrip()


def equal_numbers(one: str, other: str) -> bool:
    """Whether both are numbers or equations of equal value, up to a millionth."""
    a, b = value_of(one), value_of(other)
    return a is not None and b is not None and abs(a - b) <= Fraction(1, 10**6) * max(1, abs(b))


def value_of(text: str) -> Fraction | None:
    """The value of a number or of an expression with + - * / and parentheses; None for anything else."""
    plain = text.strip().removesuffix(".").replace("\N{MULTIPLICATION SIGN}", "*").replace("\N{DIVISION SIGN}", "/")
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    if not plain or len(plain) > MOST_CHARACTERS or not re.fullmatch(r"[\d\s.+\-*/()]+", plain) or "**" in plain:
        return None
    try:
        return _value(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        value = _value(node.operand)
        return value if isinstance(node.op, ast.UAdd) else -value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("not an arithmetic expression")
