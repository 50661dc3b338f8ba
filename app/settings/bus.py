"""The table `[bus]`: where the log is, and how to get at it."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from app.settings.credentials import Credentials
from topics.kafka.settings import GroupProtocol


class BusSettings(Credentials):
    """Where the log is, and how to get at it."""

    bootstrap: str = "127.0.0.1:9092"  # host:port of a Kafka broker
    schema_registry: str = "build/schemas"  # URL of a registry, or a folder that serves as one
    kafka_reading: Literal["auto", "native", "plain"] = "auto"  # native: messages where librdkafka holds them
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4  # of every topic: they are co-partitioned
    replication: Annotated[int, Field(ge=1)] = 1
    group_protocol: GroupProtocol = "classic"  # "consumer" is KIP-848: no stop of all members, brokers >= 4.0

    @field_validator("schema_registry")
    @classmethod
    def _address_holds_no_secret(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError(
                "bus.schema_registry holds credentials, and it is printed: give "
                "bus.schema_registry_username, and TIDEMARK_BUS__SCHEMA_REGISTRY_PASSWORD in the environment"
            )
        return value
