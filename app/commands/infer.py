"""`python -m app topics infer`: settings proposed for topics of other people, from what is in them."""

import re
import sys
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile
from app.commands.align import topics_app
from app.config import Settings, load_settings
from app.errors import UsageError
from app.infer.look import require_topics
from app.infer.propose import propose, stream_name
from app.infer.sample import take_sample
from app.wiring.open import open_bus
from topics.registry.open import open_registry


@topics_app.command("infer")
def topics_infer(
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC...", help="Topics to look at, one or more.")],
    stream: Annotated[
        str | None,
        typer.Option(
            help="Name of the stream that reads the topic, where one topic is given.  "
            "Default: the one that the settings have for it, or the last part of the topic's name; `quotes` "
            "is `quote` where the pipeline has that stream."
        ),
    ] = None,
    messages: Annotated[
        int, typer.Option(min=1, max=100_000, help="Messages to look at in each partition.  Default: 500.")
    ] = 500,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Look at the newest messages of topics and print the settings that would read them.

    Tells Avro and Protobuf with a schema id, JSON, and frames of another pipeline apart; finds the time, the
    key and, of JSON, the fields with their types.  The table is ready to be put into a file of settings: its
    comments say what was seen and what is a guess.  The sample is read with it once, so that the comments
    also say how many messages are rows, and whether they lie where their keys belong.  Nothing is written.
    Tables of streams in the settings may be unfinished: only their topics are looked at.

    Example: python -m app topics infer md.trades md.quotes --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}}, topics_only=True)
    if stream is not None and len(topics) > 1:
        raise UsageError(f"--stream names one stream, and {len(topics)} topics are given: name one topic")
    if stream is not None:
        require_name(stream, settings)
    bus = open_bus(settings)
    partitions = require_topics(bus, topics)
    if "partitions" not in settings.bus.model_fields_set:
        # Who has not said a count yet goes by that of the first topic.
        of_bus = settings.bus.model_copy(update={"partitions": next(iter(partitions.values()))})
        settings = settings.model_copy(update={"bus": of_bus})
    registry = open_registry(settings.bus.schema_registry, settings.bus.registry_settings())
    taken: list[str] = []
    for topic, count in partitions.items():
        taken.append(stream or stream_name(topic, settings, taken))
        sample = take_sample(bus, topic, count, messages)
        sys.stdout.write(
            f"{'' if len(taken) == 1 else chr(10)}{propose(sample, settings, registry, taken[-1])}"
        )


def require_name(stream: str, settings: Settings) -> None:
    """Raise UsageError where a stream cannot have this name."""
    if not re.fullmatch("[a-z][a-z0-9_]*", stream):
        raise UsageError(f"--stream {stream}: a name has small letters, digits and _, a letter first")
    if stream in settings.output_names:
        raise UsageError(f"--stream {stream}: an output of the pipeline has this name; choose another")
