"""Mutants: the ways in which one comparison of a module can be turned into its neighbour."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

NEIGHBOURS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
}


@dataclass(frozen=True)
class Mutant:
    """One comparison of a file, changed; `name` stays the same while lines move."""

    file: str
    function: str
    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """Where it is and what changes."""
        return f"{self.file}:{self.function}: {self.before} -> {self.after}"


def mutants(source: str, file: str) -> Iterator[Mutant]:
    """Each comparison in the source of `file`, turned into its neighbour; asserts are left alone."""
    tree = ast.parse(source)
    skipped = {id(n) for node in ast.walk(tree) if isinstance(node, ast.Assert) for n in ast.walk(node)}
    for function, compare in _comparisons(tree, ""):
        if id(compare) in skipped:
            continue
        operands = [compare.left, *compare.comparators]
        for place, operator in enumerate(compare.ops):
            if type(operator) not in NEIGHBOURS:
                continue
            old, new = NEIGHBOURS[type(operator)]
            start = _at(source, operands[place].end_lineno, operands[place].end_col_offset)
            end = _at(source, operands[place + 1].lineno, operands[place + 1].col_offset)
            between = source[start:end]
            assert between.count(old) == 1, f"{file}:{compare.lineno}: {between!r}"
            changed = source[:start] + between.replace(old, new) + source[end:]
            change = ast.unparse(compare), _replaced(compare, place, new)
            yield Mutant(file, function, compare.lineno, *change, changed)


def _comparisons(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.Compare]]:
    for child in ast.iter_child_nodes(node):
        name = inside
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            name = f"{inside}.{child.name}".strip(".")
        if isinstance(child, ast.Compare):
            yield name, child
        yield from _comparisons(child, name)


def _replaced(compare: ast.Compare, place: int, new: str) -> str:
    classes = {symbol: kind for kind, (symbol, _) in NEIGHBOURS.items()}
    ops = [*compare.ops]
    ops[place] = classes[new]()
    return ast.unparse(ast.Compare(compare.left, ops, compare.comparators))


def _at(source: str, line: int | None, column: int | None) -> int:
    assert line is not None
    assert column is not None
    before = source.splitlines(keepends=True)[: line - 1]
    return sum(map(len, before)) + len(source.splitlines()[line - 1].encode()[:column].decode())
