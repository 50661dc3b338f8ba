"""The slow way to write Avro of any type, in every form that its specification allows for blocks of items."""

import random
import struct
from typing import Any


def varint(number: int) -> bytes:
    """A zigzag integer."""
    coded = (number << 1) ^ (number >> 63)
    coded &= 2**64 - 1
    out = bytearray()
    while coded > 0x7F:
        out.append(coded & 0x7F | 0x80)
        coded >>= 7
    return bytes([*out, coded])


class SlowWriter:
    """Writes values of a schema that fastavro has parsed.  A union's value is (branch, value)."""

    def __init__(self, schema: Any, draw: random.Random) -> None:
        self._draw = draw
        self._named: dict[str, Any] = {}
        self._learn(schema)
        self._schema = schema

    def body(self, value: Any) -> bytes:
        """The bytes of a value."""
        return self._write(self._schema, value)

    def _learn(self, schema: Any) -> None:
        if isinstance(schema, list):
            for branch in schema:
                self._learn(branch)
        elif isinstance(schema, dict):
            if "name" in schema:
                self._named[schema["name"]] = schema
            for field in schema.get("fields", ()):
                self._learn(field["type"])
            self._learn(schema.get("items"))
            self._learn(schema.get("values"))

    def _write(self, schema: Any, value: Any) -> bytes:
        if isinstance(schema, list):
            branch, inner = value
            return varint(branch) + self._write(schema[branch], inner)
        if isinstance(schema, str) and schema in self._named:
            schema = self._named[schema]
        kind = schema["type"] if isinstance(schema, dict) else schema
        match kind:
            case "null":
                return b""
            case "boolean":
                return bytes([value])
            case "int" | "long":
                return varint(value)
            case "float":
                return struct.pack("<f", value)
            case "double":
                return struct.pack("<d", value)
            case "bytes" | "string":
                text = value.encode() if isinstance(value, str) else value
                return varint(len(text)) + text
            case "fixed":
                return bytes(value)
            case "enum":
                return varint(schema["symbols"].index(value))
            case "record":
                return b"".join(
                    self._write(field["type"], value[field["name"]]) for field in schema["fields"]
                )
            case "array":
                return self._items([self._write(schema["items"], item) for item in value])
        assert kind == "map"
        pairs = [
            self._write("string", key) + self._write(schema["values"], item) for key, item in value.items()
        ]
        return self._items(pairs)

    def _items(self, items: list[bytes]) -> bytes:
        """Items in blocks of any size, some of which say how many bytes they have."""
        out = b""
        while items:
            count = self._draw.randint(1, len(items))
            block, items = b"".join(items[:count]), items[count:]
            sized = self._draw.random() < 0.5
            out += varint(-count) + varint(len(block)) + block if sized else varint(count) + block
        return out + varint(0)
