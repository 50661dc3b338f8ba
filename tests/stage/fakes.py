"""Small real fakes of the edges."""

from topics.wire import RegistryUnavailableError, UnknownSchemaError


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
