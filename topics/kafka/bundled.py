"""Libraries that the Kafka client brings along in its wheel, which no package manager updates."""

import re
from importlib.metadata import files
from pathlib import Path
from typing import Final

_OPENSSL: Final = re.compile(rb"OpenSSL (\d+\.\d+\.\d+[a-z]*) +(\d{1,2} [A-Z][a-z]{2} \d{4})")


def bundled_openssl() -> str:
    """The version and date of the OpenSSL within the client, `3.0.15 3 Sep 2024`; empty where it has none."""
    for file in files("confluent-kafka") or ():
        if ".so" in file.name:
            match = _OPENSSL.search(Path(str(file.locate())).read_bytes())
            if match:
                return b" ".join(match.groups()).decode()
    return ""
