"""What a function reaches: the source of all it calls in its project, and the packages it imports.

From the text alone: names that a definition has in it are followed to where they are defined, in its file and
in the files beside it.  White space, comments and docstrings are no part of what is reached.
"""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Final, NamedTuple

from operators.formula.meaning import digest
from operators.formula.suggest import suggest

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
STAR: Final = "*"
# Keywords without which a file that is loaded may run what is in it, and functions that always let it.
GUARDS: Final = {"weights_only": True, "allow_pickle": False}
PICKLING: Final = frozenset({"read_pickle", "to_pickle"})
# What reaches source by text that is made as it runs.
UNFOLLOWED: Final = frozenset(
    {"exec", "eval", "globals", "__import__", "import_module", "run_path", "run_module"}
)


class SourceError(Exception):
    """The source of a function cannot be taken; the message says where and why."""


class Imported(NamedTuple):
    """What a name stands for that was imported: a module, or a name in it."""

    module: str
    name: str = ""


class Reached(NamedTuple):
    """All that a function reaches.

    `line`      on which it is defined.
    `modules`   by name the files of its project, its own under the empty name.
    `packages`  by name with their versions; the standard library is `python`.
    `meaning`   16 hex digits that are equal where sources and versions are.
    `pickles`   where it loads or writes a file that is run as it is loaded, and by what.
    """

    line: int
    modules: dict[str, Path]
    packages: dict[str, str]
    meaning: str
    pickles: tuple[str, ...]


def reached_by(path: Path, name: str, *, model: bool = False) -> Reached:
    """What a function of a file reaches, or a `model`: a class, or a function that makes one.

    Raises SourceError.
    """
    walk = _Walk(path)
    own = walk.module("")
    defined = own.definitions.get(name, [])
    line = defined[-1].lineno if defined else 1
    if not any(isinstance(one, Definition) for one in defined) and not (model and name in own.imports):
        wanted: tuple[type[ast.stmt], ...] = (ast.FunctionDef, ast.ClassDef) if model else (ast.FunctionDef,)
        there = [key for key, of in own.definitions.items() if isinstance(of[0], wanted)]
        kind = "model" if model else "function"
        raise SourceError(f"{path.name} has no {kind} {name}{suggest(name, there, listed='there are')}")
    if not model and not isinstance(defined[-1], ast.FunctionDef):
        raise SourceError(f"{path.name}:{line}: {name} is no plain function: write def {name}(rows)")
    walk.enter("")
    walk.follow("", name)
    packages = {package: _version_of(package, path.name) for package in sorted(walk.packages)}
    lines = [f"{module}\n{text}" for module, text in sorted(walk.texts)]
    versions = [f"{package} {number}" for package, number in packages.items()]
    files = {module: one.path for module, one in walk.modules.items()}
    meaning = digest("function", name, *lines, *versions)
    return Reached(line, files, packages, meaning, tuple(sorted(walk.pickles)))


class _Module:
    """A file: which statements define a name, what its imports stand for, and what runs as it is loaded."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, Imported] = {}
        self.loose: list[ast.stmt] = []
        try:
            tree = ast.parse(path.read_text())
        except OSError as missing:
            raise SourceError(f"there is no file {path}: {missing.strerror}") from None
        except (SyntaxError, ValueError) as wrong:
            line = f":{wrong.lineno}" if isinstance(wrong, SyntaxError) and wrong.lineno else ""
            raise SourceError(f"{path.name}{line}: is no Python: {wrong.args[0]}") from None
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for statement in tree.body:
            self._enter(statement)

    def _enter(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports.update(self.imported(statement))
        elif isinstance(statement, Definition):
            self.definitions.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for name in _stored(statement):
                self.definitions.setdefault(name, []).append(statement)
            if any(not isinstance(one, ast.Name) for one in _targets(statement)):
                self.loose.append(statement)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            self.loose.append(statement)
            for part in ast.walk(statement):
                if isinstance(part, ast.Import | ast.ImportFrom):
                    self.imports.update(self.imported(part))
                elif isinstance(part, Definition):
                    self.definitions.setdefault(part.name, []).append(statement)
            for name in _stored(statement):
                self.definitions.setdefault(name, []).append(statement)

    def imported(self, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Imported]]:
        """The names that an import binds."""
        if isinstance(statement, ast.Import):
            for one in statement.names:
                top = one.name.partition(".")[0]
                yield one.asname or top, Imported(one.name if one.asname else top)
                if not one.asname and one.name != top:
                    yield one.name, Imported(one.name)  # no name of Python: the module is loaded all the same
            return
        above = self.package.split(".") if self.package else []
        above = above[: len(above) - statement.level + 1] if statement.level else []
        module = ".".join([*above, *([statement.module] if statement.module else [])])
        for one in statement.names:
            bound = f"{STAR}{module}" if one.name == STAR else one.asname or one.name
            yield bound, Imported(module, one.name)


class _Walk:
    """Follows names from definition to definition, over all files of a project."""

    def __init__(self, path: Path) -> None:
        self.texts: set[tuple[str, str]] = set()
        self.packages: set[str] = set()
        self.pickles: set[str] = set()
        self.modules: dict[str, _Module] = {"": _Module(path, "")}
        self._path = path
        self._entered: set[str] = set()
        self._followed: set[tuple[str, str]] = set()

    def module(self, name: str) -> _Module:
        """A module of the project."""
        if name not in self.modules:
            path = self._file_of(name)
            assert path is not None, f"{name} is no module of the project"
            self.modules[name] = _Module(path, name)
        return self.modules[name]

    def enter(self, name: str) -> None:
        """A module is loaded: what it runs by itself counts, and so do the modules that it loads."""
        if name in self._entered:
            return
        self._entered.add(name)
        module = self.module(name)
        above = name.rpartition(".")[0]
        if self._is_own(above):
            self.enter(above)
        for statement in module.loose:
            self._take(module, statement)
        for bound, imported in module.imports.items():
            if self._is_own(imported.module):
                self.enter(imported.module)
                if bound.startswith(STAR):
                    self._whole(imported.module)

    def follow(self, module: str, name: str) -> None:
        """A name of a module is used."""
        if (module, name) in self._followed:
            return
        self._followed.add((module, name))
        own = self.module(module)
        for statement in own.definitions.get(name, []):
            self._take(own, statement)
        if name in own.imports:
            self._follow_import(own.imports[name])
        for bound, imported in own.imports.items():  # whatever a star brings may be it
            if bound.startswith(STAR) and not self._is_own(imported.module):
                self.packages.add(imported.module.partition(".")[0])

    def _follow_import(self, imported: Imported) -> None:
        if not self._is_own(imported.module):
            self.packages.add(imported.module.partition(".")[0])
            return
        self.enter(imported.module)
        deeper = f"{imported.module}.{imported.name}" if imported.module else imported.name
        if not imported.name or imported.name == STAR:
            self._whole(imported.module)
        elif self._is_own(deeper):
            self._whole(deeper)
        else:
            self.follow(imported.module, imported.name)

    def _whole(self, name: str) -> None:
        self.enter(name)
        module = self.module(name)
        for one in (*module.definitions, *module.imports):
            self.follow(name, one)

    def _take(self, module: _Module, statement: ast.stmt) -> None:
        """A statement counts, and so does all that it names."""
        text = ast.unparse(_Bare().visit(ast.parse(ast.unparse(statement))))
        if (module.name, text) in self.texts:
            return
        self.texts.add((module.name, text))
        within: set[int] = set()
        for part in ast.walk(statement):
            if isinstance(part, ast.Import | ast.ImportFrom) and part is not statement:
                self._import_within(module, part, in_function=_is_within_function(statement, part))
            elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                target = module.imports.get(part.value.id)
                if target is not None and not target.name and self._is_own(target.module):
                    within.add(id(part.value))
                    self._follow_import(Imported(target.module, part.attr))
        for part in ast.walk(statement):
            if (word := _pickling(part)) and isinstance(part, ast.expr):
                self.pickles.add(f"{module.path.name}:{part.lineno}: {word}")
            if (word := _unfollowed(part, module)) and isinstance(part, ast.expr):
                raise SourceError(
                    f"{module.path.name}:{part.lineno}: what {word} reaches cannot be followed, and a change "
                    "of it would go unseen: import what is used at the top of the file"
                )
            if isinstance(part, ast.Name) and id(part) not in within:
                self.follow(module.name, part.id)

    def _import_within(
        self, module: _Module, statement: ast.Import | ast.ImportFrom, *, in_function: bool
    ) -> None:
        for _, imported in module.imported(statement):
            if in_function and self._is_own(imported.module):
                raise SourceError(
                    f"{module.path.name}:{statement.lineno}: {imported.module} is imported inside a "
                    "function: import it at the top of the file"
                )
            self._follow_import(imported)

    def _is_own(self, name: str) -> bool:
        return bool(name) and self._file_of(name) is not None

    def _file_of(self, name: str) -> Path | None:
        """The file of a module of the project: beside the function's own, or in a folder beside it."""
        stem = self._path.parent.joinpath(*name.split("."))
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if path.is_file():
                return path
        return None


class _Bare(ast.NodeTransformer):
    """Takes docstrings away."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, Definition) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node


def _pickling(part: ast.AST) -> str:
    """By what a part of a text has a file run as it is loaded; empty where it does not."""
    if isinstance(part, ast.Attribute) and part.attr in PICKLING:
        return part.attr
    for keyword in part.keywords if isinstance(part, ast.Call) else ():
        wanted, value = GUARDS.get(keyword.arg or ""), keyword.value
        if wanted is not None and not (isinstance(value, ast.Constant) and value.value is wanted):
            return f"{keyword.arg} other than {wanted}"
    return ""


def _unfollowed(part: ast.AST, module: _Module) -> str:
    """By what a part of a text reaches source that nobody can follow; empty where it does not."""
    if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
        of = module.imports.get(part.value.id)
        known = of is not None and of.module in ("importlib", "runpy")
        return part.attr if known and part.attr in UNFOLLOWED else ""
    if not isinstance(part, ast.Name) or part.id in module.definitions:
        return ""
    imported = module.imports.get(part.id)
    name = part.id if imported is None else imported.name
    return name if name in UNFOLLOWED else ""


def _is_within_function(statement: ast.stmt, part: ast.AST) -> bool:
    scopes = [one for one in ast.walk(statement) if isinstance(one, Scope)]
    return any(part is inner for scope in scopes for inner in ast.walk(scope))


def _targets(statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _stored(statement: ast.stmt) -> set[str]:
    """The names that a statement gives a value."""
    parts = ast.walk(statement)
    return {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def _version_of(package: str, file: str) -> str:
    """The version of an imported package; raises SourceError for what is none."""
    if package in sys.stdlib_module_names:
        return f"python {sys.version_info.major}.{sys.version_info.minor}"
    try:
        return version(package)
    except PackageNotFoundError:
        names = packages_distributions().get(package)
    if not names:
        raise SourceError(
            f"{file}: it imports {package}, which is neither beside it nor an installed package: nobody "
            "could tell when that changes"
        )
    return " ".join(version(name) for name in sorted(set(names)))
