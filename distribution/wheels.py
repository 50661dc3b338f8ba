"""What a wheel says of itself: name, version, licence with its texts, and what it needs."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.metadata import parse_email
from packaging.utils import canonicalize_name, parse_wheel_filename

from distribution.licences import expression_of

_WORDS: Final = ("licence", "license", "copying", "notice")


class WheelError(ValueError):
    """A file that is no wheel; the message names it."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel; `licence` is an SPDX expression, and `texts` are its licence files by their names."""

    file: Path
    name: str
    version: str
    sha256: str
    licence: str
    summary: str
    needs: tuple[str, ...]
    texts: dict[str, bytes]

    @property
    def purl(self) -> str:
        """The package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_wheel(file: Path) -> Wheel:
    """Read a wheel's metadata and licence files; raises WheelError."""
    try:
        name, version, _, _ = parse_wheel_filename(file.name)
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            (info,) = (
                entry for entry in names if entry.endswith(".dist-info/METADATA") and entry.count("/") == 1
            )
            metadata, _ = parse_email(archive.read(info))
            folder = info.removesuffix("METADATA")
            texts = {
                entry.removeprefix(folder).removeprefix("licenses/"): archive.read(entry)
                for entry in names
                if entry.startswith(folder) and _is_licence(entry.removeprefix(folder))
            }
    except (ValueError, zipfile.BadZipFile) as raised:
        raise WheelError(f"{file}: not a wheel: {raised}") from raised
    return Wheel(
        file=file,
        name=canonicalize_name(name),
        version=str(version),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        licence=expression_of(
            metadata.get("license_expression", ""),
            metadata.get("license", ""),
            metadata.get("classifiers", []),
        ),
        summary=metadata.get("summary", ""),
        needs=tuple(metadata.get("requires_dist", [])),
        texts=texts,
    )


def _is_licence(name: str) -> bool:
    """Whether a file of a wheel's metadata is the text of a licence."""
    if name.endswith("/"):
        return False
    return name.startswith("licenses/") or any(word in name.lower() for word in _WORDS)
