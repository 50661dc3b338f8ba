"""One stream's table: a Delta log over parts that we write ourselves, committed whole or not at all.

Nothing else here imports delta-rs, of which three things are known.  It accepts the version of a transaction
a second time from whoever opened the table afterwards, so that version is read before each commit.  It
accepts two removals of one part from two who had opened the table before, so whoever rewrites parts raises a
fence.  And it does not take back the versions of transactions when a table is restored, so we write them.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from replay.errors import FencedCommitError, HistoryError, NotWrittenError, UnknownCommitError
from replay.store.log_files import CHECKPOINT_INTERVAL, bring_log_to_disk
from replay.store.objects import Folder, ObjectFolder, failed_at, require_exclusive_puts
from replay.store.part import Part
from replay.store.places import BUCKET, DATE, PLACE_SCHEMA, PLACES, TableRules, require_free
from replay.store.snapshot import PartEntry, Snapshot, catalogue_of
from replay.store.stored_types import schema_of, schema_text, stored_schema
from schemas.clocks import NS_PER_MS

LOG: Final = "_delta_log"  # the folder of a table's log
RULES: Final = "tidemark.rules"  # properties of a table
SCHEMA: Final = "tidemark.schema"
GAPS: Final = "tidemark.gaps"
BUCKETS_NOW: Final = "tidemark.buckets"  # where they are others than those the table was made with
FACTS: Final = "tidemark"  # in the commit's own metadata
RETENTION_DAYS: Final = 30  # of versions and of parts that they alone have: one is useless without the other
_PROPERTIES: Final = {
    "delta.checkpointInterval": str(CHECKPOINT_INTERVAL),
    "delta.logRetentionDuration": f"interval {RETENTION_DAYS} days",
    "delta.deletedFileRetentionDuration": f"interval {RETENTION_DAYS} days",
}
_PARTITIONED: Final = [DATE, BUCKET]
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one commit does.

    `transactions` has the new version of each application, `expected` the one that it must have now (None:
    none yet).  `facts` go into the commit's metadata.  With `same_rows` the parts added have the rows of
    those removed, and nobody who follows the table reads them again.
    """

    adds: Sequence[Part] = ()
    removes: Sequence[PartEntry] = ()
    transactions: Mapping[str, int]
    expected: Mapping[str, int | None]
    facts: Mapping[str, Any] = field(default_factory=dict)
    same_rows: bool = False


def table_root(store: Folder, stream: str) -> Folder:
    """The folder of a stream's table."""
    return store / f"stream={stream}"


def has_table(store: Folder, stream: str) -> bool:
    """Whether a stream has a table in this store."""
    log = table_root(store, stream) / LOG
    return log.has_objects() if isinstance(log, ObjectFolder) else log.is_dir()


def table_streams(store: Folder) -> list[str]:
    """The streams that have a table in this store, by name; at an object store there is nothing else."""
    if isinstance(store, ObjectFolder):
        return [name.removeprefix("stream=") for name in store.names() if name.startswith("stream=")]
    return sorted(log.parent.name.removeprefix("stream=") for log in store.glob(f"stream=*/{LOG}"))


def newest_commit(store: Folder, stream: str) -> str:
    """The name of the newest entry of a table's log, empty where there is none."""
    log = table_root(store, stream) / LOG
    names = log.names() if isinstance(log, ObjectFolder) else [path.name for path in log.glob("*.json")]
    return max((name for name in names if name.endswith(".json")), default="")


def create_table(store: Folder, rules: TableRules, schema: pa.Schema) -> "HistoryTable":
    """Make the table of a stream, or open the one that is there; `schema` is the rows' without places.

    Raises HistoryError where it is there with other rules, or where a column cannot be kept.
    """
    if not _NAME.fullmatch(rules.stream):
        raise HistoryError(
            f"stream name {rules.stream!r} must be an identifier: it names a folder and a table"
        )
    require_free(rules.stream, schema)
    full = pa.schema([*schema.remove_metadata(), *PLACE_SCHEMA])
    stored = stored_schema(full)
    parted = [*stored, pa.field(DATE, pa.date32()), pa.field(BUCKET, pa.int32())]
    root = table_root(store, rules.stream)
    require_exclusive_puts(store)
    try:
        DeltaTable.create(
            str(root),
            schema=pa.schema(parted),
            partition_by=_PARTITIONED,
            mode="ignore",
            configuration={**_PROPERTIES, RULES: json.dumps(rules.to_dict()), SCHEMA: schema_text(full)},
            raise_if_key_not_exists=False,
        )
    except (DeltaError, OSError) as refused:
        what = f"the history at {store} cannot be written"
        raise failed_at(store, what, refused, NotWrittenError) from None
    table = HistoryTable(store, rules.stream)
    if table.version == 0:
        table.bring_to_disk(-1)
    if table.rules != rules:
        raise HistoryError(
            f"the history at {store} has a table {rules.stream} with other rules, {table.rules.to_dict()}, "
            f"and {rules.to_dict()} was wanted: name another stream or store"
        )
    return table


class HistoryTable:
    """The table of one stream at one version; `refresh` brings it to the newest."""

    def __init__(self, store: Folder, stream: str, version: int | None = None) -> None:
        """Open it; raises HistoryError where there is none, it is not ours, or has no such version."""
        self.store, self.stream, self.root = store, stream, table_root(store, stream)
        try:
            self._delta = DeltaTable(str(self.root))
            if version is not None and version != self._delta.version():
                self._load(version)
        except TableNotFoundError:
            raise HistoryError(
                f"the history at {store} has no table {stream}: import days, capture its topic, or bring a "
                "store of days in with `python -m replay upgrade`"
            ) from None
        except (DeltaError, OSError) as broken:
            raise failed_at(store, f"the table at {self.root} cannot be opened", broken) from None
        self._read()

    def refresh(self) -> None:
        """Come to the newest version."""
        try:
            self._delta.update_incremental()
        except (DeltaError, OSError) as broken:
            raise failed_at(self.store, f"the table at {self.root} cannot be read", broken) from None
        self._read()

    @property
    def version(self) -> int:
        """The version that this is."""
        return self._delta.version()

    @property
    def stored(self) -> pa.Schema:
        """The columns of its parts, places among them."""
        return stored_schema(self.schema)

    @property
    def properties(self) -> dict[str, str]:
        """The table's properties."""
        return self._delta.metadata().configuration

    def transaction_version(self, application: str) -> int | None:
        """The version that an application has written last, None for none."""
        return self._delta.transaction_version(application)

    def snapshot(self) -> Snapshot:
        """The parts of this version."""
        actions = pa.table(self._delta.get_add_actions(flatten=True))
        catalogue = catalogue_of(actions, self._buckets_made)
        return Snapshot(
            root=self.root, version=self.version, rules=self.rules, schema=self.schema, catalogue=catalogue
        )

    def commit(self, change: Change) -> int:
        """Make a change, and return the version that has it; the table is refreshed.

        Raises FencedCommitError where another has committed as one of these applications since: nothing is
        changed, open the table again and see what is there.  Raises UnknownCommitError where no answer came.
        """
        require_exclusive_puts(self.store)
        before = self.version
        for application in change.transactions:
            actual = self.transaction_version(application)
            if actual != change.expected.get(application):
                raise self._fenced(application, actual, change.expected.get(application))
        live = set(self.snapshot().catalogue.column("path").to_pylist()) if change.removes else set()
        gone = [part.path for part in change.removes if part.path not in live]
        if gone:
            raise FencedCommitError(
                f"another has taken {gone[0]} out of {self.root} before version {self.version}"
            )
        properties = CommitProperties(
            custom_metadata={FACTS: dict(change.facts)},
            app_transactions=[Transaction(name, version) for name, version in change.transactions.items()],
        )
        try:
            self._delta.create_write_transaction(
                _actions(change, self._removed_ms() if change.removes else 0),
                mode="append",
                schema=self._delta.schema(),
                partition_by=_PARTITIONED,
                commit_properties=properties,
                post_commithook_properties=PostCommitHookProperties(),
            )
        except CommitFailedError as refused:
            fenced = self._fenced(", ".join(change.transactions), None, None)
            raise FencedCommitError(f"{fenced} ({refused})") from None
        except (DeltaError, OSError) as failed:
            what = f"a commit to {self.root} has an unknown outcome"
            raise UnknownCommitError(str(failed_at(self.store, what, failed))) from None
        self.refresh()
        self.bring_to_disk(before)
        return self.version

    def grow(self, schema: pa.Schema) -> None:
        """Take up the columns of `schema` that the table lacks, as null in the rows that are there.

        Raises HistoryError, with both schemas, where a column has another type or is not there any more.
        """
        require_free(self.stream, schema)
        wanted = pa.schema([*schema.remove_metadata(), *PLACE_SCHEMA])
        self._require_growth(wanted)
        new = [each for each in wanted if each.name not in self.schema.names]
        if not new:
            return
        full = pa.schema([*(each for each in self.schema if each.name not in PLACES), *new, *PLACE_SCHEMA])
        before = self.version
        there = {each.name for each in self._delta.schema().fields}
        lacking = [each for each in stored_schema(pa.schema(new)) if each.name not in there]
        if lacking:
            with self._altering():
                self._delta.alter.add_columns(DeltaSchema.from_arrow(pa.schema(lacking)).fields)
        self.set_properties({SCHEMA: schema_text(full)})
        self.bring_to_disk(before)

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Change properties of the table, in a commit of their own.

        Raises FencedCommitError where another has changed some since this version.
        """
        before = self.version
        with self._altering():
            self._delta.alter.set_table_properties(dict(properties), raise_if_not_exists=False)
        self._reopen(before)

    def commits(self, count: int | None = None) -> list[dict[str, Any]]:
        """What the log says of its commits, the newest first; older ones than the log keeps are not there."""
        return self._delta.history(count)

    def restore(self, version: int, facts: Mapping[str, Any]) -> None:
        """Bring back the parts of an earlier version; transactions keep the versions that they have."""
        before = self.version
        try:
            self._delta.restore(
                version, commit_properties=CommitProperties(custom_metadata={FACTS: dict(facts)})
            )
        except (DeltaError, OSError) as refused:
            what = f"version {version} of {self.root} cannot be restored"
            raise failed_at(self.store, what, refused) from None
        self._reopen(before)

    def bring_to_disk(self, before: int) -> None:
        """Return when the versions after `before` would be there after the power failed; objects are."""
        if isinstance(self.root, Path):
            bring_log_to_disk(self.root / LOG, before + 1, self.version)

    def vacuum(self, retention_hours: int, *, dry_run: bool) -> list[str]:
        """Delete parts that no version of the last so many hours has, and return them; or only say which."""
        try:
            return self._delta.vacuum(retention_hours, dry_run=dry_run, full=True)
        except (DeltaError, OSError) as refused:
            what = f"files of {self.root} cannot be deleted"
            raise failed_at(self.store, what, refused) from None

    def _removed_ms(self) -> int:
        """Now, but no earlier than the newest part came: by a slow clock vacuum would delete at once."""
        made = pa.table(self._delta.get_add_actions(flatten=True)).column("modification_time")
        newest = pc.max(made.cast(pa.timestamp("ms")).cast(pa.int64())).as_py()
        return max(_now_ms(), newest or 0)

    @contextmanager
    def _altering(self) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as refused:
            fenced = self._fenced("a change of properties", None, None)
            raise FencedCommitError(f"{fenced} ({refused})") from None
        except (DeltaError, OSError) as failed:
            what = f"properties of {self.root} cannot be changed"
            raise failed_at(self.store, what, failed) from None

    def _reopen(self, before: int) -> None:
        self._delta = DeltaTable(str(self.root))
        self._read()
        self.bring_to_disk(before)

    def _read(self) -> None:
        properties = self.properties
        if RULES not in properties or SCHEMA not in properties:
            raise HistoryError(
                f"{self.root} is a Delta table, but none that this program made: name another store"
            )
        made = TableRules.from_dict(json.loads(properties[RULES]))
        self._buckets_made = made.buckets  # of parts whose names do not say
        self.rules = replace(made, buckets=int(properties.get(BUCKETS_NOW, made.buckets)))
        self.schema = schema_of(properties[SCHEMA])

    def _load(self, version: int) -> None:
        try:
            self._delta.load_as_version(version)
        except (DeltaError, OSError, OverflowError):
            self._require_version(version)  # reads the whole log
            raise

    def _require_version(self, version: int) -> None:
        newest = DeltaTable(str(self.root)).version()
        oldest = min((int(entry["version"]) for entry in self._delta.history()), default=newest)
        if not oldest <= version <= newest:
            raise HistoryError(
                f"the table at {self.root} has versions {oldest} to {newest}, not {version}: versions are "
                f"kept for {RETENTION_DAYS} days"
            )

    def _require_growth(self, wanted: pa.Schema) -> None:
        names = set(wanted.names)
        changed = [
            f"{each.name} is {each.type} and was {self.schema.field(each.name).type}"
            for each in wanted
            if each.name in self.schema.names and self.schema.field(each.name).type != each.type
        ]
        changed += [f"{name} is gone" for name in self.schema.names if name not in names]
        if changed:
            raise HistoryError(
                f"the columns of {self.stream} do not fit its table at {self.root}: {'; '.join(changed)}. "
                f"The table has {_words(self.schema)}; the rows have {_words(wanted)}.  Columns may be "
                "added; for other changes name another stream"
            )

    def _fenced(self, application: str, actual: int | None, expected: int | None) -> FencedCommitError:
        (last, *_) = self.commits(1)
        facts = last.get(FACTS, {})
        by = facts.get("by", "somebody") if isinstance(facts, dict) else "somebody"
        figures = "" if actual is None else f" is at {actual} and {expected} was expected;"
        return FencedCommitError(
            f"another has committed to {self.root} as {application}:{figures} the last commit, version "
            f"{last.get('version')}, is by {by}"
        )


def _actions(change: Change, removed_ms: int) -> list[AddAction | RemoveAction]:
    data_change = not change.same_rows
    adds: list[AddAction | RemoveAction] = [_add(part, data_change) for part in change.adds]
    return adds + [
        RemoveAction(
            path=part.path,
            data_change=data_change,
            deletion_timestamp=removed_ms,
            size=part.size,
            partition_values={DATE: part.date, BUCKET: str(part.bucket)},
        )
        for part in change.removes
    ]


def _add(part: Part, data_change: bool) -> AddAction:
    clocks = part.footer.clocks
    stats = {
        "numRecords": part.footer.rows,
        "minValues": {name: span.first_ns for name, span in clocks.items()},
        "maxValues": {name: span.last_ns for name, span in clocks.items()},
        "nullCount": {name: span.nulls for name, span in clocks.items()},
    }
    return AddAction(
        path=part.path,
        size=part.size,
        partition_values={DATE: part.date, BUCKET: str(part.bucket)},
        modification_time=_now_ms(),
        data_change=data_change,
        stats=json.dumps(stats),
    )


def _words(schema: pa.Schema) -> str:
    return ", ".join(f"{each.name} {each.type}" for each in schema if each.name not in PLACES)


def _now_ms() -> int:
    return time.time_ns() // NS_PER_MS
