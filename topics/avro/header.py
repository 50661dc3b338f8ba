"""The five bytes before every Avro body, as Confluent's serializers write them: 0, then the schema id."""

from typing import Final

HEADER_SIZE: Final = 5


def message_header(schema_id: int) -> bytes:
    """Return the header that names a schema: the byte 0 and four bytes, big endian."""
    assert 0 <= schema_id < 2**32, f"schema id {schema_id} does not fit 4 bytes"
    return schema_id.to_bytes(HEADER_SIZE, "big")
