"""What README and the pages say works as it stands: each command is typed, each Python block runs."""

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.checkout import Checkout
from tests.docs.pages import Step, blocks, masked, missing_line, steps
from tests.stage.programs import ROOT

README: Final = ROOT / "README.md"
PAGES: Final = [README, ROOT / "gpu_sink/README.md", *sorted((ROOT / "docs").glob("*.md"))]
LIMIT_S: Final = 150.0  # for one command; kernels may have to be compiled
WATCH_S: Final = 8
HAS_KAFKA: Final = bool(shutil.which("java") and shutil.which("mvn"))
FIRST: Final = "make replay DATE=2024-01-15"  # is typed before any page: each may rely on it

# How a command begins that is not typed, and why.
NOT_PLAYED: Final = {
    "make test": "it would play all other tests",
    "pip install": "every checkout has the same packages; tests/contract installs the wheels",
}
NEEDS_TORCH: Final = "gpu_sink.example"
# A word of a Python block, and why the block is not run.
NOT_RUN: Final = {
    "publish(model(batch))": "the service's own functions, on a broker of its own",
    "model.state_dict()": "the job's own model",
}
BROKER: Final = re.compile(
    r"make kafka|kafka\.sh|--bootstrap|replay publish|BUS=kafka"
    r"|-m app (align|exporter|serve|capture|topics|doctor|watermarks|dead|late|reset|progress|publish)"
    r"|-m app (upgrade-check|config|group|drain)"
    r"|-m app audit(?!.*--aligned)|-m app graph (capture|open|replay)"
    r"|-m app graph (capture|replay)"
)
OWN_FILES: Final = """
from pathlib import Path
Path("mine").mkdir(exist_ok=True)
quotes = [f"2024-03-04 10:00:{s:02d}.000001,{sym},XNAS,{s}.0,{s}.1" for s in range(60) for sym in ("A", "B")]
trades = [f"2024-03-04 10:00:{s:02d}.500000,{sym},XNAS,{s}.05" for s in range(60) for sym in ("A", "B")]
Path("mine/quotes.csv").write_text("\\n".join(["Time,sym,venue,bid,ask", *quotes]) + "\\n")
Path("mine/trades.csv").write_text("\\n".join(["Time,sym,venue,px", *trades]) + "\\n")
"""  # what the README calls `mine`

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.takes_s(700)]


def every_step(page: Path) -> list[Step]:
    return [step for block in blocks(page, "console") for step in steps(block)]


def plays(pages: list[Path]) -> list[Any]:
    """Each page once: on Kafka where it asks for a broker and one can be started; README on both buses."""
    chosen = []
    for page in pages:
        asks = any(map(needs_broker, every_step(page)))
        if page == README or not (asks and HAS_KAFKA):
            chosen.append(pytest.param("embedded", page, id=f"embedded-{page.relative_to(ROOT)}"))
        if page == README or (asks and HAS_KAFKA):
            broker = pytest.mark.broker
            chosen.append(pytest.param("kafka", page, id=f"kafka-{page.relative_to(ROOT)}", marks=broker))
    return sorted(chosen, key=lambda param: param.values[0])


def needs_broker(step: Step) -> bool:
    return BROKER.search(step.command) is not None


def is_left_out(step: Step, *, java: bool, torch: bool) -> bool:
    """Whether a step is on the list, or needs what is not there: a broker, PyTorch, the data."""
    if any(step.command.startswith(words) for words in NOT_PLAYED):
        return True
    if "../shared/" in step.command and not (ROOT.parent / "shared/data").exists():
        return True
    if NEEDS_TORCH in step.command and not torch:
        return True
    return not java and needs_broker(step)


def has_torch(checkout: Checkout) -> bool:
    """Whether the checkout's Python has PyTorch."""
    return (
        checkout.run("python -c 'from importlib.metadata import version; version(\"torch\")'", LIMIT_S)[0]
        == 0
    )


def bounded(command: str) -> str:
    """The same, ended where it would go on for ever: a worker when all is joined, a watch after a while."""
    if re.search(r"-m app align\b", command) and "--until-final" not in command:
        return f"{command} --until-final"
    if "--watch" in command:
        return f"timeout --preserve-status -s INT {WATCH_S} {command}"
    return command


@pytest.fixture(scope="module")
def checkout(request: pytest.FixtureRequest) -> Iterator[Checkout]:
    java = request.param == "kafka"
    if java and not HAS_KAFKA:
        pytest.skip("no broker: java and mvn are not on PATH")
    checkout = Checkout(java=java)
    checkout.turn_over(keep={"pycache"})
    checkout.run(f"python - <<'END'\n{OWN_FILES}\nEND", LIMIT_S)
    code, output = checkout.run(FIRST, LIMIT_S)
    assert code == 0, output
    yield checkout
    checkout.stop_broker()


@pytest.mark.parametrize(("checkout", "page"), plays(PAGES), indirect=["checkout"])
def test_the_commands_and_the_python_of_a_page_work_as_they_stand(page: Path, checkout: Checkout) -> None:
    java = checkout.java
    ports = {"9092": str(free_port())} if "PORT=9092" in page.read_text() else {}
    torch = has_torch(checkout)
    played = [step for step in every_step(page) if not is_left_out(step, java=java, torch=torch)]
    if page != README:
        checkout.turn_over(keep={"history", "pycache", "replay"})
    for step in played:
        command = bounded(step.command)
        for shown, free in ports.items():
            command = command.replace(shown, free)
        code, output = checkout.run(command, LIMIT_S)
        assert code == step.code, f"{page.name}: $ {step.command}\nexit {code}\n{output}"
        if java or not step.command.startswith("make replay"):  # it says which bus it uses
            missing = missing_line(step.shown, output)
            assert missing is None, f"{page.name}: $ {step.command}\nshows {missing!r} and says\n{output}"
    if page != README:
        run_python(page, checkout, torch=torch)


def run_python(page: Path, checkout: Checkout, *, torch: bool) -> None:
    """Run the blocks of a page as one program: behind its commands, which make what they read."""
    wanted = [text for text in blocks(page, "python") if not any(words in text for words in NOT_RUN)]
    if not torch:
        wanted = [text for text in wanted if "torch" not in text and "AlignedDataset" not in text]
        wanted[:0] = ["from gpu_sink.source import AlignedStream"]  # which one of these imports
    code, output = checkout.run("python - <<'END-OF-PAGE'\n" + "\n".join(wanted) + "\nEND-OF-PAGE", LIMIT_S)
    assert code == 0, f"{page.name}\n{output}"


def test_what_is_not_played_is_on_a_page() -> None:
    commands = [step.command for page in PAGES for step in every_step(page)]
    python = [text for page in PAGES for text in blocks(page, "python")]
    for words in NOT_PLAYED:
        assert any(command.startswith(words) for command in commands), f"no page has {words} any more"
    for words in NOT_RUN:
        assert any(words in text for text in python), f"no page has {words} any more"


def test_a_step_is_a_command_with_its_lines_and_what_it_shows() -> None:
    heredoc = "$ python - <<EOF\nx = 1  # kept\nEOF\n"
    first, second, third = steps(
        f"$ a --b  # why\nsaid 1,234 rows in 3.2 s\n{heredoc}$ c \\\n  d\nerror: no\n"
    )
    assert (first.command, first.shown) == ("a --b", ("said 1,234 rows in 3.2 s",))
    assert second.command == "python - <<EOF\nx = 1  # kept\nEOF"
    assert (third.command, third.code) == ("c \\\n  d", 2)


def test_output_is_compared_without_what_differs_from_run_to_run() -> None:
    assert masked("trade in  137,816 rows, 3.2 s at 127.0.0.1:22872") == masked(
        "trade in 9 rows, 4 ms at 1.1.1.1:1"
    )
    assert missing_line(("a 1", "...", "b"), "x\na 2\ny\nb") is None
    assert missing_line(("b", "a"), "a\nb") == "a"


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])
