"""A broker that asks who you are: SASL_SSL with SCRAM, rights by ACL, and an open door for the test."""

import os
import secrets
import shlex
import subprocess
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.stage.kafka_process import SCRIPT, kafka_script

ACLS = SCRIPT.with_name("acls.sh")
ITERATIONS = 4_096  # the fewest that Kafka takes
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}


@dataclass
class SecureBroker:
    """`bootstrap` is the listener under test, `open_bootstrap` that of the test; `passwords` by user."""

    bootstrap: str
    open_bootstrap: str
    ca: Path
    passwords: dict[str, str] = field(default_factory=dict)

    def add_users(self, names: Iterable[str]) -> None:
        """Make users without any right, each with a password of its own."""
        new = {name: secrets.token_hex(16) for name in names}
        self.passwords |= new
        admin = self._admin()  # kept until the answers are there
        answers = admin.alter_user_scram_credentials(
            [
                UserScramCredentialUpsertion(
                    name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS), password.encode()
                )
                for name, password in new.items()
            ]
        )
        for answer in answers.values():
            answer.result(20)

    def grant(
        self, role: str, user: str, prefix: str, but: Callable[[AclBinding], bool] = lambda _: False
    ) -> None:
        """Do what the printed commands of acls.sh would do, but for some."""
        rights = [right for line in printed(role, user, prefix) for right in bindings(line)]
        admin = self._admin()
        for answer in admin.create_acls([right for right in rights if not but(right)]).values():
            answer.result(20)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.open_bootstrap})


def start_secure_broker(folder: Path) -> SecureBroker:
    """Start one that lives in `folder`; stop it with `kafka.sh stop`."""
    folder.mkdir(parents=True)
    ca, broker = folder / "ca.pem", folder / "broker.pem"
    key, certificate = certified("Test CA")
    ca.write_bytes(certificate)
    broker.write_bytes(key + certificate)
    started = kafka_script("start", KAFKA_DIR=str(folder / "kafka"), KAFKA_TLS=str(broker))
    assert started.returncode == 0, started.stderr
    secure = kafka_script("address", "secure", KAFKA_DIR=str(folder / "kafka"))
    return SecureBroker(secure.stdout.strip(), started.stdout.split()[-1], ca)


def certified(name: str) -> tuple[bytes, bytes]:
    """A new key and its own certificate for loopback, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, certificate.public_bytes(Encoding.PEM)


def printed(role: str, user: str, prefix: str) -> list[str]:
    """The commands that acls.sh prints."""
    environment = {**os.environ, "PREFIX": prefix, "KAFKA_ACLS": "kafka-acls.sh"}
    done = subprocess.run(
        [str(ACLS), role, user], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def bindings(line: str) -> list[AclBinding]:
    """The rights that a command grants; whatever it says that kafka-acls.sh would not take is an error."""
    program, *arguments = shlex.split(line)
    assert program == "kafka-acls.sh"
    parser = ArgumentParser(exit_on_error=True, allow_abbrev=False)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", choices=_OPERATIONS, required=True)
    parser.add_argument("--resource-pattern-type", choices=("literal", "prefixed"), default="literal")
    for kind in _KINDS:
        parser.add_argument(f"--{kind.replace('_', '-')}", action="append", default=[])
    told = parser.parse_args(arguments)
    pattern = {"literal": ResourcePatternType.LITERAL, "prefixed": ResourcePatternType.PREFIXED}
    return [
        AclBinding(
            restype,
            name,
            pattern[told.resource_pattern_type],
            told.allow_principal,
            "*",
            _OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for kind, restype in _KINDS.items()
        for name in getattr(told, kind)
        for operation in told.operation
    ]
