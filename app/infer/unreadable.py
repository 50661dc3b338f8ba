"""Topics that no settings can be proposed for: what their messages are, and what would help."""

from app.config import Settings
from app.infer.kinds import Kind, Kinds
from app.infer.sample import Sample
from app.infer.table import Table

_SHOWN_MAX = 60  # letters of a text


def explain(table: Table, main: Kind, kinds: Kinds, sample: Sample, settings: Settings, name: str) -> None:
    """Write comments only, with settings that would read the messages where there may be such."""
    if main is Kind.UNKNOWN_ID:
        _explain_ids(table, kinds, settings)
    elif main is Kind.LETTER:
        table.comment(
            "Rows that a pipeline has set aside are no input: `python -m app dead list` shows dead letters, "
            "`python -m app dead replay` sends them back to their topics."
        )
    elif main is Kind.TEXT:
        text = (sample.messages[kinds.numbers[main][0]].original.value or b"").decode()
        shown = text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
        table.comment(
            f"The first is {shown!r}. A message is read that is a JSON object, an array of objects, Avro or "
            "Protobuf: have the producer write one of these."
        )
    else:
        _explain_bytes(table, sample, name)


def _explain_ids(table: Table, kinds: Kinds, settings: Settings) -> None:
    for schema_id, count in kinds.ids[Kind.UNKNOWN_ID].most_common(3):
        table.comment(f"Schema id {schema_id}, of {count:,}: {kinds.names[schema_id]}.")
    table.comment(
        "Avro and Protobuf need the registry of the topic's producers: name it in bus.schema_registry (it is "
        f"{settings.bus.schema_registry} now) and run this again. Where the first 5 bytes are no schema id, "
        'say framing = "bare" and name a schema_file.'
    )


def _explain_bytes(table: Table, sample: Sample, name: str) -> None:
    table.comment(
        "Bare Avro and bare Protobuf look like any bytes. With the schema they were written by one of these "
        "reads them; take the # away, and say where the time is."
    )
    for form, file in (("avro", f"{name}.avsc"), ("protobuf", f"{name}.desc")):
        table.gap()
        table.comment(f"[streams.{name}]")
        table.key("topic", sample.topic, idle=True)
        if form != "avro":
            table.key("format", form, idle=True)
        table.key("framing", "bare", idle=True)
        table.key("schema_file", file, idle=True)
        if form == "protobuf":
            table.comment("(written by protoc --include_imports --descriptor_set_out)")
