"""A small model, trained on an aligned day and then served live, with both ways of keeping offsets.

    python -m gpu_sink.example train --folder build/replay/2024-01-15/aligned --checkpoint build/model.pt
    python -m gpu_sink.example serve --bootstrap 127.0.0.1:9092 --checkpoint build/model.pt

The model guesses how far a trade is struck from the middle of its quote, in basis points, from its symbol's
last trades.  Training keeps the rows' state in the model's checkpoint: every row trains it exactly once,
whenever it is killed.  Serving commits to a group what was answered: after a crash the last rows are answered
again.  `train` is told which columns hold symbol, price, bid and ask; `serve` reads that in the checkpoint.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError
from statistics import median
from typing import Any, Final

try:
    import torch
    from torch import Tensor, nn
except ImportError as missing:
    raise SystemExit(f"{missing}: the example needs PyTorch, install tidemark-gpu-sink[torch]") from None

from gpu_sink.batches.batch import Batch
from gpu_sink.contract import FrameError
from gpu_sink.errors import ColumnError, DeviceError, OptionError, SourceError, StateError
from gpu_sink.options import Windows
from gpu_sink.slots.cuda import require_card
from gpu_sink.source import AlignedStream
from gpu_sink.torch_dataset import AlignedDataset

# Names of columns: of what tells instruments apart, several with commas, of the price and of its quote.
NAMES: Final = {
    "symbol": "symbol",
    "price": "price",
    "bid": "quote_bid_price",
    "ask": "quote_ask_price",
}
# What an unpickler raises over bytes that are something else: it reads them as instructions.
UNREADABLE: Final = (
    UnpicklingError,
    EOFError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
)
STEPS: Final = 8  # a trade, and the 7 of its symbol before it
HIDDEN: Final = 16
CHECKPOINT_BATCHES: Final = 50  # as many batches are trained again after a crash, from the state before them
SAY_EVERY_S: Final = 1.0
LIMIT_BP: Final = 100.0  # trades farther from their quote are taken as this far


class QuoteDistance(nn.Module):
    """A GRU over a symbol's last trades; guesses the next one's distance from the quote, [rows] in bp."""

    def __init__(self) -> None:
        super().__init__()
        self.past = nn.GRU(input_size=3, hidden_size=HIDDEN, batch_first=True)
        self.guess = nn.Linear(HIDDEN, 1)

    def forward(self, steps: Tensor) -> Tensor:
        """`steps` [rows, STEPS - 1, 3]: distance and spread in bp, and whether there was a matched trade."""
        _, state = self.past(steps)
        guess: Tensor = self.guess(state[0])[:, 0]
        return guess


def model_on(device: str) -> QuoteDistance:
    """A new model there; raises DeviceError where there is no such card."""
    model: QuoteDistance = QuoteDistance().to(device if device == "cpu" else require_card(device, torch))
    return model


def inputs_and_targets(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """The steps before each trade, its own distance in bp [rows], and which rows have a quote to tell it."""
    price, bid, ask = batch["windows"].unbind(-1)
    middle = (bid + ask) / 2
    matched = batch["windows_valid"] & torch.isfinite(price / middle)
    distance = torch.where(matched, (price / middle - 1) * 1e4, 0.0).clamp(-LIMIT_BP, LIMIT_BP)
    spread = torch.where(matched, (ask - bid) / middle * 1e4, 0.0).clamp(-LIMIT_BP, LIMIT_BP)
    steps = torch.stack([distance, spread, matched.float()], -1)
    return steps[:, :-1], distance[:, -1], matched[:, -1]


def batch_options(names: Mapping[str, str], device: str) -> dict[str, Any]:
    """What training and serving must have alike: the same columns, windows and types."""
    features = [names["price"], names["bid"], names["ask"]]
    windows = Windows(steps=STEPS, columns=features, by=names["symbol"].split(","))
    return {"columns": features, "windows": windows, "device": device}


def train(
    stream: AlignedStream,
    checkpoint: Path,
    *,
    names: Mapping[str, str] = NAMES,
    device: str = "cpu",
    batches_max: int | None = None,
) -> list[float]:
    """Train over the stream's rows once, going on from the checkpoint where there is one.

    Returns the mean squared error of each batch, bp squared.  `batches_max` ends the run early, as a crash
    would: what was trained since the last checkpoint is trained again, on the model as it was then.
    """
    torch.manual_seed(1)
    rows = AlignedDataset(stream, batch_rows=256, shuffle_rows=2_048, seed=7, **batch_options(names, device))
    model = model_on(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    if checkpoint.exists():
        saved = read_checkpoint(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        rows.load_state_dict(saved["rows"])
    errors = []
    for number, batch in enumerate(islice(rows, batches_max), 1):
        steps, distance, matched = inputs_and_targets(batch)
        error = ((model(steps) - distance)[matched] ** 2).sum() / matched.sum().clamp(min=1)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
        if number % CHECKPOINT_BATCHES == 0:
            write_checkpoint(checkpoint, names, model, optimizer, rows)
    if batches_max is None:
        write_checkpoint(checkpoint, names, model, optimizer, rows)
    return errors


def write_checkpoint(
    checkpoint: Path,
    names: Mapping[str, str],
    model: QuoteDistance,
    optimizer: torch.optim.Optimizer,
    rows: AlignedDataset,
) -> None:
    """Write model and rows as one file, whole or not at all: neither is ever newer than the other."""
    partial = checkpoint.with_suffix(".partial")
    kept = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rows": rows.state_dict(),
        "names": dict(names),
    }
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save(kept, partial)
    partial.replace(checkpoint)


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote; raises StateError for another file."""
    try:
        saved = torch.load(checkpoint, weights_only=True)
    except UNREADABLE:
        # What PyTorch says of it is a page, and advises to load what may run any code.
        raise StateError(
            f"{checkpoint} cannot be read as a checkpoint: it is another file, or cut short; name the one "
            "that train wrote, or one that does not exist to train anew"
        ) from None
    if not isinstance(saved, dict) or not {"model", "optimizer", "rows"} <= saved.keys():
        raise StateError(f"{checkpoint} is no checkpoint of this example: name another file")
    return saved


def serve(
    stream: AlignedStream,
    checkpoint: Path,
    *,
    device: str = "cpu",
    batches_max: int | None = None,
    commit_every_ms: int | None = None,
    idle_ms: int | None = None,
) -> list[float]:
    """Answer rows as they are sealed; return the latencies from seal to answer, ms per batch.

    It goes on until the stream has ended or was silent for `idle_ms`, or somebody presses Ctrl-C.
    """
    saved = read_checkpoint(checkpoint)
    batches = stream.batches(
        batch_rows=1_024,
        max_wait_ms=5,
        idle_ms=idle_ms,
        arrays="torch",
        commit_every_ms=commit_every_ms,
        **batch_options(saved.get("names", NAMES), device),
    )
    model = model_on(device)
    model.load_state_dict(saved["model"])
    latencies_ms: list[float] = []
    shown, answered = 0, 0
    say_s = time.monotonic() + SAY_EVERY_S
    with torch.no_grad(), suppress(KeyboardInterrupt):
        for batch in islice(batches, batches_max):
            steps, _, _ = inputs_and_targets(batch)
            answer = model(steps).cpu()  # on a card this waits for it: an answer is what can be sent
            answered += len(answer)
            if batch.sealed_ns is not None:
                latencies_ms.append((time.time_ns() - batch.sealed_ns) / 1e6)
            if time.monotonic() >= say_s:
                say(answered, latencies_ms[shown:])
                shown, say_s = len(latencies_ms), time.monotonic() + SAY_EVERY_S
    say(answered, latencies_ms[shown:])
    if not answered:
        sys.stdout.write("0 rows answered: none came behind those that the group has answered before\n")
    return latencies_ms


def say(answered: int, latencies_ms: list[float]) -> None:
    """Print one line of how it goes."""
    if latencies_ms:
        sys.stdout.write(
            f"{answered:,} rows answered; seal to prediction: median {median(latencies_ms):.1f} ms, "
            f"worst {max(latencies_ms):.1f} ms of {len(latencies_ms)} batches\n"
        )


def main(arguments: list[str] | None = None) -> int:
    """Train or serve, as the first argument says; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.what == "train" and options.folder is None:
        parser.error("train needs --folder")
    try:
        return _train(options) if options.what == "train" else _serve(options)
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; the same command goes on from {options.checkpoint}\n")
        return 130
    except ColumnError as misnamed:
        trains = options.what == "train"
        way = "say which columns are which with --symbol, --price, --bid and --ask"
        other = f"{options.checkpoint} was trained on columns of these names: serve a topic that has them"
        parser.error(f"{misnamed}; {way if trains else other}")
    except (SourceError, FrameError, OptionError, StateError, DeviceError, FileNotFoundError) as wrong:
        parser.error(str(wrong))


def _train(options: argparse.Namespace) -> int:
    errors = train(
        AlignedStream.from_folder(options.folder),
        options.checkpoint,
        names={name: getattr(options, name) for name in NAMES},
        device=options.device,
        batches_max=options.batches,
    )
    if errors:
        sys.stdout.write(
            f"{len(errors):,} batches: squared error {errors[0]:.1f} bp2 at first, {errors[-1]:.1f} at last\n"
        )
    else:
        sys.stdout.write(
            f"0 batches: {options.checkpoint} has trained every row of {options.folder}; another "
            "--checkpoint begins anew\n"
        )
    return 0


def _serve(options: argparse.Namespace) -> int:
    if not options.checkpoint.exists():
        raise FileNotFoundError(f"no checkpoint {options.checkpoint}: train writes it, name the same file")
    serve(
        AlignedStream.from_kafka(options.bootstrap, options.topic, group=options.group),
        options.checkpoint,
        device=options.device,
        batches_max=options.batches,
        commit_every_ms=1_000,
        idle_ms=options.idle_ms,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gpu_sink.example",
        description=__doc__.splitlines()[0],
        epilog="example: python -m gpu_sink.example train --folder out/aligned --checkpoint build/model.pt",
    )
    parser.add_argument("what", choices=["train", "serve"], help="train on files, or serve from a topic")
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="file of the model: train writes it, serve reads it"
    )
    parser.add_argument("--folder", help="train: folder of aligned files, or a pattern of such folders")
    meanings = {
        "symbol": "column of the instrument, or several with commas",
        "price": "column of the trade's price",
        "bid": "column of the quote's bid",
        "ask": "column of the quote's ask",
    }
    for name, default in NAMES.items():
        parser.add_argument(
            f"--{name}", default=default, help=f"train: {meanings[name]} (default: %(default)s)"
        )
    for name, default, meaning in (
        ("bootstrap", "127.0.0.1:9092", "address of the Kafka broker, host:port"),
        ("topic", "tidemark.aligned", "name of the aligned topic"),
        ("group", "gpu-sink-example", "consumer group whose offsets are committed"),
    ):
        parser.add_argument(f"--{name}", default=default, help=f"serve: {meaning} (default: %(default)s)")
    parser.add_argument(
        "--idle-ms", type=int, help="serve: stop once the topic was silent for so long (default: never)"
    )
    parser.add_argument(
        "--device", default="cpu", help="device of the model: cpu, cuda or cuda:N (default: %(default)s)"
    )
    parser.add_argument("--batches", type=int, help="number of batches to stop after (default: no limit)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
