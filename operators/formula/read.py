"""From the text of a formula to its tree: Python's grammar, none of its meaning; nothing is evaluated.

The text is parsed by `ast` in eval mode and each node is looked at: what the language does not have is an
error with its place.  A text that is too long, too deep or too large is refused before it costs anything.
"""

import ast
import math
import re
import warnings
from typing import Final

from operators.formula.arguments import arrange
from operators.formula.durations import duration_ns
from operators.formula.errors import FormulaError
from operators.formula.functions.table import FUNCTIONS, KNOWN, absence
from operators.formula.suggest import suggest
from operators.formula.tree import Absent, Broken, Call, Constant, Name, Text, Tree

TEXT_LENGTH_MAX: Final = 4_096  # characters
DEPTH_MAX: Final = 64  # operators and calls inside one another; a sum of n terms is n - 1 deep
NODES_MAX: Final = 1_000
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

# `vol@2` is the name of a column, which Python would read as a product; a text stays as it is.
VERSIONED: Final = re.compile(
    r"""(?P<text>'[^']*'|"[^"]*")|(?<!\w)(?P<name>[^\W\d]\w*)@(?=[1-9][0-9]{0,8}(?!\w))"""
)
JOINT: Final = "\u1369"  # stands for its @ while Python reads: part of a name, and in no name anybody has
STRANGE: Final = re.compile(f"[\0\ud800-\udfff{JOINT}]")  # what Python's parser does not even take

BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
}
COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "unequal",
}
UNARY: Final[dict[type[ast.unaryop], str]] = {ast.USub: "negate", ast.Not: "not"}

# What to write instead of what the language does not have.
INSTEAD: Final[dict[type[ast.AST], str]] = {
    ast.Pow: "** is not part of formulas; write x * x",
    ast.FloorDiv: "// is not part of formulas; / divides",
    ast.Mod: "% is not part of formulas",
    ast.MatMult: "@ gives a version and stands at the end, after a space: 'mid @2'; mid@2 is a column",
    ast.BitAnd: "& is not part of formulas; write and",
    ast.BitOr: "| is not part of formulas; write or",
    ast.BitXor: "^ is not part of formulas",
    ast.LShift: "<< is not part of formulas",
    ast.RShift: ">> is not part of formulas",
    ast.Invert: "~ is not part of formulas; write not",
    ast.UAdd: "a leading + is not part of formulas; leave it out",
    ast.Is: "'is' is not part of formulas; write ==",
    ast.IsNot: "'is not' is not part of formulas; write !=",
    ast.In: "'in' is not part of formulas; write x == a or x == b",
    ast.NotIn: "'not in' is not part of formulas; write x != a and x != b",
    ast.Attribute: "a dot after a name is not part of formulas; columns and features have plain names",
    ast.Subscript: "[...] is not part of formulas",
    ast.IfExp: "'if ... else' is not part of formulas; write where(condition, a, b)",
    ast.Lambda: "'lambda' is not part of formulas",
    ast.NamedExpr: ":= is not part of formulas; make it a feature of its own, above this one",
    ast.Tuple: "a comma outside a call is not part of formulas; a formula is one value",
    ast.List: "[...] is not part of formulas",
    ast.ListComp: "[...] is not part of formulas",
    ast.Set: "{...} is not part of formulas",
    ast.Dict: "{...} is not part of formulas",
    ast.JoinedStr: "a text is no value of a formula",
    ast.Starred: "* before a value is not part of formulas",
}


def read_formula(text: str) -> tuple[Tree, list[FormulaError]]:
    """Return the tree of a formula and all that is wrong with it; with errors the tree has `Broken` parts.

    Comments, white space (also line breaks) and parentheses leave no trace in the tree.
    """
    whole = (0, max(len(text), 1))
    if len(text) > TEXT_LENGTH_MAX:
        message = f"the formula has {len(text)} characters, at most {TEXT_LENGTH_MAX} are read"
        return Broken((), *whole), [FormulaError(message, *whole)]
    strange = STRANGE.search(text)
    if strange:
        message = f"the character {strange[0]!a} cannot be in a formula"
        return Broken((), *whole), [FormulaError(message, *strange.span())]
    line = _one_line(text)
    code = line.strip()
    if not code:
        return Broken((), *whole), [FormulaError("the formula is empty", *whole)]
    shift = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice to programmers, such as on escapes in a text
            body = _parsed(code)
        reader = _Reader(code, shift)
        return reader.tree(body, 1), reader.errors
    except FormulaError as error:  # a bound was passed: nothing of the tree is kept
        return Broken((), *whole), [error]
    except SyntaxError as error:
        return Broken((), *whole), [_syntax_error(error, code, shift)]
    except (RecursionError, MemoryError, ValueError):  # the parser's own bounds; a zero byte
        message = (
            "the formula cannot be read: it is nested too deeply, or has a character no text should have"
        )
        return Broken((), *whole), [FormulaError(message, *whole)]


def one_form(text: str) -> str:
    """A formula without comments, superfluous brackets and white space; `text` is one that can be read."""
    return ast.unparse(_parsed(_one_line(text).strip()))


def names_in(text: str) -> list[str]:
    """The names that a formula computes with, each once; `text` is one that can be read."""
    tree = _parsed(_one_line(text).strip())
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    return list(dict.fromkeys(names))


def _parsed(code: str) -> ast.expr:
    """What Python reads in one line of code; raises SyntaxError.

    Places in it are of `code` with the joint in place of each @ of a name, whose characters are as many.
    """
    body = ast.parse(_joined(code), mode="eval").body
    for node in ast.walk(body):
        if isinstance(node, ast.Name):
            node.id = node.id.replace(JOINT, "@")
    return body


def _joined(code: str) -> str:
    """The code with names of versions as Python can read them; of as many characters."""
    return VERSIONED.sub(lambda match: match["text"] or match["name"] + JOINT, code)


def _one_line(text: str) -> str:
    """The text with a space for each character of a comment and of white space: places stay as they are."""
    out = []
    quote = ""
    comment = False
    for character in text:
        if character in "\n\r":
            comment = False
        elif comment:
            out.append(" ")
            continue
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#":
            comment = True
            out.append(" ")
            continue
        out.append(" " if character in " \t\n\r\f\v" else character)
    return "".join(out)


def _syntax_error(error: SyntaxError, code: str, shift: int) -> FormulaError:
    """Python's complaint, which counts characters from 1, at our place; 0 is the end of the text."""
    start = error.offset - 1 if error.offset and error.lineno == 1 else len(code) - 1
    start = min(start, len(code) - 1)
    end = min(max((error.end_offset or 0) - 1, start + 1), len(code))
    why = f"cannot be read: {error.msg}" if error.offset else "ends too early"
    return FormulaError(f"the formula {why}", start + shift, end + shift)


def _takes_sign(value: float) -> bool:
    """Whether a number and the sign before it are one constant; -0.0 is `-` of 0.0, as of any zero."""
    return value != 0 and not isinstance(value, bool)


class _Reader:
    """Turns Python's nodes into ours, and collects what is wrong on the way."""

    def __init__(self, code: str, shift: int) -> None:
        self._code = _joined(code).encode()
        self._shift = shift
        self._nodes = 0
        self.errors: list[FormulaError] = []

    def tree(self, node: ast.expr, depth: int) -> Tree:
        """The tree of a node that stands `depth` deep; raises FormulaError where a bound is passed."""
        start, end = self._span(node)
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise FormulaError(f"the formula has more than {NODES_MAX} parts", start, end)
        if depth + (len(node.values) - 2 if isinstance(node, ast.BoolOp) else 0) > DEPTH_MAX:
            message = f"the formula is more than {DEPTH_MAX} deep; make a part of it a feature of its own"
            raise FormulaError(message, start, end)
        match node:
            case ast.Name(name):
                return Name(name, start, end)
            case ast.Constant():
                return self._constant(node.value, start, end)
            case ast.BinOp():
                return self._operation(
                    BINARY.get(type(node.op)), node.op, [node.left, node.right], node, depth
                )
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)) if _takes_sign(value):
                return self._constant(-value, start, end)
            case ast.UnaryOp():
                return self._operation(UNARY.get(type(node.op)), node.op, [node.operand], node, depth)
            case ast.BoolOp():
                return self._logic(node, depth)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.Call():
                return self._call(node, depth)
            case _:
                inside = isinstance(node, ast.Subscript | ast.IfExp | ast.Tuple | ast.List)
                parts = [part for part in ast.iter_child_nodes(node) if inside and isinstance(part, ast.expr)]
                return self._broken(
                    INSTEAD.get(type(node), "this is not part of formulas"), node, parts, depth
                )

    def _span(self, node: ast.expr | ast.keyword) -> tuple[int, int]:
        """Character positions in the text: Python counts the bytes of the code."""
        return self._place(node.col_offset), self._place(node.end_col_offset or node.col_offset + 1)

    def _place(self, byte: int) -> int:
        return len(self._code[:byte].decode()) + self._shift

    def _report(self, message: str, start: int, end: int) -> None:
        self.errors.append(FormulaError(message, start, end))

    def _broken(self, message: str, node: ast.expr, parts: list[ast.expr], depth: int) -> Tree:
        self._report(message, *self._span(node))
        return Broken(self._all(parts, depth), *self._span(node))

    def _all(self, parts: list[ast.expr], depth: int) -> tuple[Tree, ...]:
        return tuple(self.tree(part, depth + 1) for part in parts)

    def _constant(self, value: object, start: int, end: int) -> Tree:
        if isinstance(value, bool):
            return Constant(value, start, end)
        if isinstance(value, int):
            if INT_MIN <= value <= INT_MAX:
                return Constant(value, start, end)
            self._report("the number does not fit in 64 bits; with a decimal point it is a float", start, end)
        elif isinstance(value, float):
            if math.isfinite(value):
                return Constant(value, start, end)  # never -0.0: that is `-` of 0.0
            self._report("the number is too large for a float64", start, end)
        elif isinstance(value, str | bytes):
            window = isinstance(value, str) and duration_ns(value) is not None
            what = f"{value!r} is a window, and" if window else "a text is"
            instead = "; it can be compared: x == 'N'" if isinstance(value, str) and not window else ""
            self._report(f"{what} no value of a formula{instead}", start, end)
        elif value is None:
            self._report("None is not part of formulas; nulls come from the rows", start, end)
        else:
            self._report("this is no value of a formula; there are numbers, True and False", start, end)
        return Broken((), start, end)

    def _operation(
        self, function: str | None, operator: ast.AST, parts: list[ast.expr], node: ast.expr, depth: int
    ) -> Tree:
        if function is None:
            return self._broken(INSTEAD[type(operator)], node, parts, depth)
        return Call(function, self._all(parts, depth), *self._span(node))

    def _logic(self, node: ast.BoolOp, depth: int) -> Tree:
        """`a and b and c` is `(a and b) and c`."""
        function = "and" if isinstance(node.op, ast.And) else "or"
        first, *others = self._all(node.values, depth)
        for other in others:
            first = Call(function, (first, other), first.start, other.end)
        return first

    def _comparison(self, node: ast.Compare, depth: int) -> Tree:
        parts = [node.left, *node.comparators]
        if len(parts) > 2:
            message = "one comparison at a time; write a < b and b < c"
            return self._broken(message, node, parts, depth)
        (operator,) = node.ops
        function = COMPARISONS.get(type(operator))
        if function is None:
            return self._operation(None, operator, parts, node, depth)
        return Call(function, tuple(self._side(part, depth + 1) for part in parts), *self._span(node))

    def _side(self, node: ast.expr, depth: int) -> Tree:
        """One side of a comparison, which may be a text."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return Text(node.value, *self._span(node))
        return self.tree(node, depth)

    def _call(self, node: ast.Call, depth: int) -> Tree:
        parts = list(node.args)
        if not isinstance(node.func, ast.Name):
            return self._broken("only a function can be called, by its name", node, parts, depth)
        name = node.func.id
        start, end = self._span(node.func)
        if name not in FUNCTIONS:
            message = absence(name) if name in KNOWN else f"there is no function {name}{suggest(name, KNOWN)}"
            self._report(message, start, end)
            looked_at = [part for part in parts if not isinstance(part, ast.Constant)]  # windows are texts
            return Broken(self._all(looked_at, depth), *self._span(node))
        function = FUNCTIONS[name]
        wrong = len(self.errors)
        arguments = arrange(function, node, lambda why, part: self._report(why, *self._span(part)))
        operands = tuple(
            Absent(*self._span(node)) if part is None else self.tree(part, depth + 1)
            for part in arguments.operands
        )
        if len(self.errors) == wrong:
            why = function.check(operands, arguments.settings)
            if not why:
                return Call(name, operands, *self._span(node), tuple(arguments.settings.items()))
            self._report(why, *self._span(node))
        return Broken(operands, *self._span(node))
