"""The schemas of a copied topic: known to the registry, and registered for the copy as they were for it."""

from app.errors import UsageError
from topics.avro.encode import value_subjects
from topics.wire import CodecError, OtherFormatError, SchemaRegistry


def require_known(registry: SchemaRegistry, source: str) -> None:
    """Raise UsageError where the registry is not the topic's: progress records would be taken for rows."""
    subjects = value_subjects(source)
    if not any(registry.ids(subject) for subject in subjects):
        raise UsageError(
            f"--from {source}: the registry has no schema under {' or '.join(subjects)}, so progress records "
            "cannot be told from rows: name the registry of the topic's producers (bus.schema_registry), or "
            f"register their schema under {subjects[0]}"
        )


def share_schemas(registry: SchemaRegistry, source: str, target: str) -> list[str]:
    """Register every schema of the source's subjects for the target too; return what is left out, in words.

    By its subjects a worker tells a schema of its own, which must be readable, from a foreign one.  The
    newest is registered last, since readers take their columns from it.  A subject whose newest schema is no
    Avro is left out whole: its texts are not to be had.  Raises UsageError for a schema that the registry
    refuses there.
    """
    left_out: list[str] = []
    for old, new in zip(value_subjects(source), value_subjects(target), strict=True):
        ids = registry.ids(old)
        missing = ids - registry.ids(new)
        try:
            newest = registry.latest(old)
        except OtherFormatError as other:
            reason = f"{other}: register it under {new} yourself, where a worker looks for the columns"
            left_out += [_left_out(schema_id, old, reason) for schema_id in sorted(missing)]
            continue
        if newest is None or not missing:
            continue
        there = registry.latest(new)
        if newest[0] not in missing or (there is not None and there[0] not in ids):
            reason = f"registered now, it would stand behind the newest schema of {new}"
            left_out += [_left_out(schema_id, old, reason) for schema_id in sorted(missing)]
            continue
        # Ids rise as schemas are registered; a registry may hold each one to those before it.
        for schema_id in (*sorted(missing - {newest[0]}), newest[0]):
            reason = _share(registry, schema_id, old, new)
            if reason:
                left_out.append(_left_out(schema_id, old, reason))
    return left_out


def _share(registry: SchemaRegistry, schema_id: int, old: str, new: str) -> str:
    """Register one schema under the subject `new`; return why it does not count there, "" where it does."""
    try:
        text = registry.schema(schema_id)
    except CodecError as refused:
        return str(refused)
    try:
        shared_id = registry.register(new, text)
    except CodecError as refused:
        raise UsageError(
            f"schema id {schema_id} of {old} cannot be registered under {new}: {refused}; give {new} the "
            f"compatibility that {old} has (NONE takes all), then run the same command again"
        ) from None
    if shared_id != schema_id:
        return (
            f"under {new} its text has id {shared_id}, as where it refers to others: register it there with "
            "its references"
        )
    return ""


def _left_out(schema_id: int, subject: str, reason: str) -> str:
    return f"schema id {schema_id} of {subject} ({reason})"
