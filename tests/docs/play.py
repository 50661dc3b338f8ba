"""Pages typed as they stand: which commands and blocks are, on which bus, and what they must show."""

import re
import shutil
import socket
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.docs.checkout import Checkout
from tests.docs.pages import Step, blocks, missing_line, steps
from tests.stage.programs import ROOT

README: Final = ROOT / "README.md"
TUTORIAL: Final = ROOT / "docs/site/tutorial.md"
PAGES: Final = [README, ROOT / "gpu_sink/README.md", TUTORIAL, *sorted((ROOT / "docs").glob("*.md"))]
LIMIT_S: Final = 150.0  # for one command; kernels may have to be compiled
WATCH_S: Final = 8
HAS_KAFKA: Final = bool(shutil.which("java") and shutil.which("mvn"))
FIRST: Final = "make replay DATE=2024-01-15"  # is typed before any page: each may rely on it

# How a command begins that is not typed, and why.
NOT_PLAYED: Final = {
    "make test": "it would play all other tests",
    "pip install": "every checkout has the same packages; tests/contract installs the wheels",
    "tar -xf tidemark-": "tests/docs/tutorial.py unpacks and installs the archive",
    "tidemark-*/install.sh": "the same",
    "export PATH=": "the same",
}
NEEDS_TORCH: Final = "gpu_sink.example"
# A word of a Python block, and why the block is not run.
NOT_RUN: Final = {
    "publish(model(batch))": "the service's own functions, on a broker of its own",
    "model.state_dict()": "the job's own model",
    "from tidemark import asof_join\n": "the wheel's name: tests/contract/test_tidemark_wheel.py runs it",
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


def every_step(page: Path) -> list[Step]:
    return [step for block in blocks(page, "console") for step in steps(block)]


def pages_on(bus: str) -> list[Path]:
    """The pages that are typed there: each on Kafka where it asks for a broker and one can be started.

    The tutorial has a test of its own.
    """
    chosen = []
    for page in PAGES:
        if page == TUTORIAL:
            continue
        on_kafka = HAS_KAFKA and any(map(needs_broker, every_step(page)))
        if page == README or ("kafka" if on_kafka else "embedded") == bus:  # README on both
            chosen.append(page)
    return chosen


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


def opened(*, java: bool) -> Checkout:
    """A checkout in which the first day is played."""
    checkout = Checkout(java=java)
    checkout.turn_over(keep={"pycache"})
    checkout.run(f"python - <<'END'\n{OWN_FILES}\nEND", LIMIT_S)
    code, output = checkout.run(FIRST, LIMIT_S)
    assert code == 0, output
    return checkout


def play(page: Path, checkout: Checkout) -> None:
    """Type the commands of a page one after another, and run its Python behind them."""
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


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])
