"""Protobuf messages: read into columns by a kernel that knows the fields of one message type."""
