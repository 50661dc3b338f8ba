"""Small real fakes of the edges."""

from uuid import UUID, uuid5

from topics.wire import OtherFormatError, RegistryUnavailableError, UnknownSchemaError


class DictRegistry:
    """A `SchemaRegistry` in a dictionary, which may be told to be away; `asked` counts look-ups by id."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.subjects: dict[str, list[int]] = {}
        self.away = False
        self.asked = 0

    def register(self, subject: str, schema: str) -> int:
        self._answer()
        if schema not in self.schemas:
            self.schemas.append(schema)
        schema_id = self.schemas.index(schema) + 1
        if schema_id not in self.subjects.setdefault(subject, []):
            self.subjects[subject].append(schema_id)
        return schema_id

    def schema(self, schema_id: int) -> str:
        self._answer()
        self.asked += 1
        if not 1 <= schema_id <= len(self.schemas):
            raise UnknownSchemaError("no such id")
        return self.schemas[schema_id - 1]

    def latest(self, subject: str) -> tuple[int, str] | None:
        self._answer()
        ids = self.subjects.get(subject)
        return (ids[-1], self.schemas[ids[-1] - 1]) if ids else None

    def ids(self, subject: str) -> frozenset[int]:
        self._answer()
        return frozenset(self.subjects.get(subject, ()))

    def _answer(self) -> None:
        if self.away:
            raise RegistryUnavailableError("the registry is away")


class GuidDictRegistry(DictRegistry):
    """The same registry with a GUID for each schema; one in `others` is of another format."""

    def __init__(self) -> None:
        super().__init__()
        self.others: set[str] = set()

    def guid_of(self, schema_id: int) -> str:
        """The GUID of a schema that is registered."""
        return guid_of_text(self.schemas[schema_id - 1])

    def schema_of_guid(self, guid: str) -> str:
        self._answer()
        self.asked += 1
        if guid in self.others:
            raise OtherFormatError(f"schema GUID {guid} is a JSON schema")
        for schema_id in range(1, len(self.schemas) + 1):
            if self.guid_of(schema_id) == guid:
                return self.schemas[schema_id - 1]
        raise UnknownSchemaError("no such GUID")

    def protobuf_files_of_guid(self, guid: str) -> list[bytes]:
        raise OtherFormatError(f"schema GUID {guid} is an Avro schema")

    def guids(self, subject: str) -> frozenset[str]:
        self._answer()
        return frozenset(self.guid_of(schema_id) for schema_id in self.subjects.get(subject, ()))


def guid_of_text(schema: str) -> str:
    """The GUID that a schema has here once it is registered."""
    return str(uuid5(UUID(int=7), schema))
