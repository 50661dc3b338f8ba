"""The site of the pages: those of `docs/` beside pages that are written from the program, built by Sphinx.

Notebooks are executed as the site is built, and one that fails fails the build.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import typer

from app.cli import MODULES, app

ROOT: Final = Path(__file__).resolve().parents[1]
_LINK: Final = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def build_site(out: Path) -> int:
    """Build the site into a folder; returns the exit status, which is not 0 where there is any warning."""
    with TemporaryDirectory(prefix="tidemark-docs-") as folder:
        source = Path(folder)
        lay_out_pages(source)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-j", "auto"]
        done = subprocess.run([*command, str(source), str(out)], check=False, env=_environment(source))
    if done.returncode == 0:
        sys.stdout.write(f"{out / 'index.html'}\n")
    return done.returncode


def _environment(folder: Path) -> dict[str, str]:
    """That of the build: notebooks import our folders, and leave nothing in anybody's home."""
    places = {
        name: str(folder / ".jupyter") for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
    }
    return {**os.environ, **places, "JUPYTER_PLATFORM_DIRS": "1", "PYTHONPATH": str(ROOT)}


def lay_out_pages(target: Path) -> None:
    """Write all pages of the site, and what they show, into a folder."""
    shutil.copytree(ROOT / "docs", target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("site"))
    shutil.copytree(ROOT / "docs" / "site", target, dirs_exist_ok=True)
    shutil.copy2(ROOT / "gpu_sink" / "README.md", target / "gpu_sink.md")
    shutil.copy2(ROOT / "CHANGELOG.md", target / "changelog.md")
    (target / "settings.md").write_text(settings_page())
    (target / "commands.md").write_text(commands_page())
    names = {page.name for page in target.glob("*.md")}
    for page in target.glob("*.md"):
        page.write_text(within_site(page.read_text(), names, target))


def within_site(text: str, names: set[str], folder: Path) -> str:
    """A page whose links lead within the site; what is not part of it is named without a link."""

    def link(match: re.Match[str]) -> str:
        path, anchor = match[1].removeprefix("../"), match[2] or ""
        if path.endswith("gpu_sink/README.md"):
            return f"](gpu_sink.md{anchor})"
        if path in names or (folder / path).is_file():
            return f"]({path}{anchor})"
        name = Path(path).name
        return f"]({name}{anchor})" if name in names else "]()"

    return re.sub(r"\[([^\]]*)\]\(\)", r"\1", _LINK.sub(link, text))


def settings_page() -> str:
    """Every setting with unit, default and reason: the file that the repository keeps of them."""
    text = (ROOT / "tidemark.toml").read_text()
    return (
        "# Settings\n\nEvery key with its unit, default and reason. A file holds those that differ; "
        "`TIDEMARK_TABLE__KEY` in the environment\nand flags of commands come before it.\n\n"
        f"```toml\n{text}```\n"
    )


def commands_page() -> str:
    """Every command of `python -m app` with its options, as `--help` says them."""
    for name in MODULES:
        import_module(f"app.commands.{name}")
    lines = [
        "# Commands",
        "",
        "What `python -m app` and, where the wheel is installed, `tidemark` can do.",
        "",
    ]
    return "\n".join([*lines, *_sections(typer.main.get_command(app), "python -m app", depth=2)])


def _sections(command: Any, path: str, *, depth: int) -> Iterator[str]:
    """A section for a command, or for each of a group; Typer's classes are its own, so none is named here."""
    if hasattr(command, "list_commands"):
        context = command.context_class(command)
        for name in sorted(command.list_commands(context)):
            inner = command.get_command(context, name)
            if not inner.hidden:
                yield from _sections(inner, f"{path} {name}", depth=depth)
        return
    yield f"{'#' * depth} `{path.removeprefix('python -m app ')}`"
    yield ""
    for paragraph in (command.help or "").strip().split("\n\n"):
        words = " ".join(paragraph.split())
        example = words.removeprefix("Example: ")
        yield words if example == words else f"```sh\n{example}\n```"
        yield ""
    if rows := [row for parameter in command.params if (row := _row(parameter)) is not None]:
        yield from ("| option | |", "|---|---|")
        yield from rows
        yield ""


def _row(parameter: Any) -> str | None:
    """A line of the table of options."""
    if parameter.param_type_name == "argument":
        return f"| `{(parameter.name or '').upper()}` | {_cell(parameter.help)} |"
    if parameter.hidden or parameter.name == "help":
        return None
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return f"| {names} | {_cell(parameter.help)}{_default(parameter)} |"


def _default(option: Any) -> str:
    """The default, where the help does not say it."""
    value = option.default
    if value in (None, False, ()) or callable(value) or "default" in (option.help or "").lower():
        return ""
    return f" Default: {value}."


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
