"""`python -m tests.fuzz TARGET --seconds 600` fuzzes a target by atheris, which follows coverage.

What was worth keeping lies in build/fuzz/TARGET and is where the next run begins; what fails is written to
build/fuzz/TARGET-crash-... and ends the run with an exit code other than 0.  `--keep COUNT` adds
the smallest of what earlier runs kept to tests/fuzz/corpus.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
OUT: Final = ROOT / "build/fuzz"
# By target, the modules whose coverage is followed; no kernels, which are compiled.
FOLLOWED: Final = {
    "frames": ("gpu_sink", "schemas"),
    "metadata": ("app.task.metadata", "app.task.places", "operators.hashing.parity"),
    "letters": ("schemas",),
    "settings": ("app.config", "app.settings", "operators.formula"),
    "formula": ("operators.formula",),
    "query": ("app.serve", "app.dead", "app.late", "app.graph"),
}
NAMES: Final = tuple(FOLLOWED)
_WORD: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_.-]{1,30}|-?[0-9]{1,20}")
SIZE_MAX: Final = 4_096  # bytes of an input
SLOW_S: Final = 10  # one input that takes longer is a finding
MEMORY_MIB: Final = 2_048
KEPT_SIZE_MAX: Final = 1_024  # bytes of a file that is kept with the tests


def main(arguments: list[str] | None = None) -> int:
    """Fuzz, or keep what was found; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", type=int, default=0, metavar="COUNT")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options, flags = parser.parse_known_args(arguments)
    if options.inside:
        _fuzz(options.target, flags)
    if flags:
        parser.error(f"unknown: {' '.join(flags)}")
    begin, own = OUT / f"{options.target}-seeds", OUT / options.target
    _write_seeds(options.target, begin)
    own.mkdir(parents=True, exist_ok=True)
    if options.keep:
        return _keep(options.target, begin, own, options.keep)
    flags = [f"-max_total_time={options.seconds}", f"-artifact_prefix={own}-", f"-dict={_write_words(begin)}"]
    return _run(options.target, *flags, "-print_final_stats=1", str(own), str(begin))


def _run(target: str, *flags: str) -> int:
    """Fuzz in a process of its own, since libFuzzer ends the one in which it runs."""
    bounds = [f"-max_len={SIZE_MAX}", f"-timeout={SLOW_S}", f"-rss_limit_mb={MEMORY_MIB}"]
    command = [sys.executable, "-m", "tests.fuzz", target, "--inside", *bounds, *flags]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _fuzz(target: str, flags: list[str]) -> None:
    """Become libFuzzer; does not return."""
    import atheris

    with atheris.instrument_imports(include=list(FOLLOWED[target])):
        from tests.fuzz.targets import TARGETS

    def take(data: bytes) -> None:
        try:
            TARGETS[target](data)
        except BaseException:  # libFuzzer writes it only where it is built with a sanitizer
            digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            (OUT / f"{target}-crash-{digest[:12]}").write_bytes(data)
            raise

    take(b"")  # a first input may wait for kernels to be compiled, longer than one may take
    atheris.Setup([sys.argv[0], *flags], take)
    atheris.Fuzz()


def _write_seeds(target: str, folder: Path) -> None:
    from tests.fuzz.seeds import kept, seeds

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for data in (*seeds()[target], *kept(target).values()):
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def _write_words(folder: Path) -> Path:
    """Write the words of the seeds, which the fuzzer puts in as wholes; returns the file."""
    words = {word for seed in folder.iterdir() for word in _WORD.findall(seed.read_bytes())}
    file = folder.with_name(f"{folder.name}.words")
    file.write_text("".join(f'"{word.decode()}"\n' for word in sorted(words)))
    return file


def _keep(target: str, begin: Path, own: Path, count: int) -> int:
    """Keep with the tests the smallest inputs of earlier runs: each reached something new when it came."""
    from tests.fuzz.seeds import CORPUS

    seeds = {file.read_bytes() for file in begin.iterdir()}
    new = [data for file in own.iterdir() if (data := file.read_bytes()) not in seeds]
    small = sorted((data for data in new if len(data) <= KEPT_SIZE_MAX), key=lambda data: (len(data), data))
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    for data in small[:count]:
        name = hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]
        (CORPUS / target / name).write_bytes(data)
    sys.stdout.write(f"kept {len(small[:count])} of {len(new)} in {CORPUS / target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
