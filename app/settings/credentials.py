"""Who the clients of a pipeline are and how they prove it, to the broker and to the schema registry.

Secrets come from the environment or from a file of their own.  A dump of these settings holds none, so that
whatever is written, printed or compared is free of them; `environment` hands them to a child process.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from app.errors import UsageError
from app.settings.section import Section
from topics.kafka.settings import is_secret

SECRETS: Final = ("sasl_password", "ssl_key_password", "schema_registry_password")
# librdkafka's name of each setting that is passed on as it is.
_CLIENT_KEYS: Final = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_username": "sasl.username",
    "ssl_ca": "ssl.ca.location",
    "ssl_certificate": "ssl.certificate.location",
    "ssl_key": "ssl.key.location",
}
_SECRET_KEYS: Final = {"sasl_password": "sasl.password", "ssl_key_password": "ssl.key.password"}
_SASL: Final = ("sasl_mechanism", "sasl_username", "sasl_password", "sasl_password_file")


class Credentials(Section):
    """Security settings of the table `[bus]`; None leaves a client its default, which is plaintext."""

    kafka: dict[str, str] = Field(default_factory=dict, repr=False)  # librdkafka's own, passed through
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = None
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] | None = None
    sasl_username: Annotated[str, Field(min_length=1)] | None = None
    sasl_password: SecretStr | None = None  # TIDEMARK_BUS__SASL_PASSWORD, ...
    sasl_password_file: Path | None = None  # ... or a file that holds nothing else
    ssl_ca: Path | None = None  # PEM of who may have signed the broker's certificate; none: the system's
    ssl_certificate: Path | None = None  # our own certificate, where the broker asks for one
    ssl_key: Path | None = None  # ... and its key
    ssl_key_password: SecretStr | None = None
    ssl_key_password_file: Path | None = None
    schema_registry_username: Annotated[str, Field(min_length=1)] | None = None
    schema_registry_password: SecretStr | None = None
    schema_registry_password_file: Path | None = None
    schema_registry_ca: Path | None = None  # PEM; none: the system's

    @model_validator(mode="after")
    def _belong_together(self) -> "Credentials":
        for name in SECRETS:
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"bus.{name} and bus.{name}_file are both given: one of them is enough")
        for name, key in (_CLIENT_KEYS | _SECRET_KEYS).items():
            if key in self.kafka and (getattr(self, name) or getattr(self, f"{name}_file", None)):
                raise ValueError(f"bus.{name} and {key} in bus.kafka are both given: one of them is enough")
        given = [name for name in _SASL if getattr(self, name) is not None]
        protocol = self.security_protocol or self.kafka.get("security.protocol", "PLAINTEXT")
        if given and not protocol.upper().startswith("SASL_"):
            raise ValueError(
                f'bus.{given[0]} is for bus.security_protocol = "SASL_SSL", but that is {protocol}'
            )
        return self

    @model_serializer(mode="wrap")
    def _without_secrets(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told = {name: value for name, value in handler(self).items() if name not in SECRETS}
        if "kafka" in told:
            told["kafka"] = {key: value for key, value in told["kafka"].items() if not is_secret(key)}
        return told

    def client_settings(self) -> dict[str, str]:
        """What every Kafka client is made with; raises UsageError where a secret is missing or unreadable."""
        named = {key: getattr(self, name) for name, key in _CLIENT_KEYS.items()}
        named |= {key: self._secret(name) for name, key in _SECRET_KEYS.items()}
        told = {key: str(value) for key, value in named.items() if value is not None} | self.kafka
        if "sasl.username" in told and "sasl.password" not in told:
            raise UsageError(
                "bus.sasl_username has no password: give TIDEMARK_BUS__SASL_PASSWORD in the environment, or "
                "bus.sasl_password_file"
            )
        return told

    def registry_settings(self) -> dict[str, str]:
        """What the client of a registry behind a URL is made with; raises UsageError as `client_settings`."""
        told = {}
        if self.schema_registry_username is not None:
            password = self._secret("schema_registry_password") or ""
            told["basic.auth.user.info"] = f"{self.schema_registry_username}:{password}"
        if self.schema_registry_ca is not None:
            told["ssl.ca.location"] = str(self.schema_registry_ca)
        return told

    def environment(self) -> dict[str, str]:
        """The variables that give a child process the secrets which a dump leaves out."""
        told = {}
        for name in SECRETS:
            secret = getattr(self, name)
            if secret is not None:
                told[f"TIDEMARK_BUS__{name.upper()}"] = secret.get_secret_value()
        passed = {key: value for key, value in self.kafka.items() if is_secret(key)}
        return told | ({"TIDEMARK_BUS__KAFKA": json.dumps(passed)} if passed else {})

    def without_credentials(self) -> Self:
        """The same settings for a broker without authentication."""
        named = {name: None for name in Credentials.model_fields if name != "kafka"}
        return self.model_copy(update=named)

    def with_secrets_of(self, other: "Credentials") -> Self:
        """The same with the secrets of `other`, of which this was a dump."""
        named = {name: getattr(other, name) for name in (*SECRETS, "kafka")}
        return self.model_copy(update=named)

    def _secret(self, name: str) -> str | None:
        given: SecretStr | None = getattr(self, name)
        if given is not None:
            return given.get_secret_value()
        file: Path | None = getattr(self, f"{name}_file")
        if file is None:
            return None
        try:
            return file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as unreadable:
            raise UsageError(f"bus.{name}_file = {file}: cannot read it: {unreadable}") from None
