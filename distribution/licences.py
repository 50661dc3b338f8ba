"""What the wheels say of their licences, in SPDX's words, and which of those an archive may carry."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from license_expression import ExpressionError, get_spdx_licensing

ALLOWED: Final = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "LicenseRef-BSD",
    "LLVM-exception",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",  # certifi's list of authorities, handed on as it is
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}
# What older wheels say, in words and in classifiers.  "BSD" alone does not say which of its forms.
_WORDS: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "LicenseRef-BSD",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "LicenseRef-BSD",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
_SPDX: Final = get_spdx_licensing()


class LicenceError(ValueError):
    """A licence that an archive may not carry; the message names the package and what it says."""


def expression_of(expression: str, words: str, classifiers: Sequence[str]) -> str:
    """The licence of a wheel as an SPDX expression; "" where it says none that is known.

    `License-Expression` counts before `License`, and that before the classifiers, of which any may be chosen.
    """
    first_line = words.strip().partition("\n")[0].strip()
    for text in (expression, first_line):
        if spdx := _known(text):
            return spdx
    licences = [name.rpartition(" :: ")[2] for name in classifiers if name.startswith("License :: ")]
    known = sorted({spdx for name in licences if (spdx := _known(name))})
    return " OR ".join(known)


def _known(text: str) -> str:
    """What SPDX calls it; "" where it has no such name."""
    if named := _WORDS.get(re.sub(r"\s+", " ", text).lower()):
        return named
    try:
        parsed = _SPDX.parse(text, validate=True, strict=True)
    except ExpressionError:
        return ""
    return "" if parsed is None else str(parsed)


def require_allowed(licences: Mapping[str, str]) -> None:
    """Refuse licences that are not on the list, by the package's name; raises LicenceError.

    Where a package offers a choice, one that is allowed is enough.
    """
    for package, expression in sorted(licences.items()):
        if not any(_keys(choice) <= ALLOWED for choice in _choices(expression)):
            words = expression or "nothing that is known"
            raise LicenceError(
                f"the licence of {package} is {words}: read it, then put it into distribution/licences.py"
            )


def _choices(expression: str) -> list[str]:
    """The alternatives of an expression; an expression with parentheses is one."""
    return [expression] if "(" in expression else expression.split(" OR ")


def _keys(expression: str) -> set[str]:
    return set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR", "WITH"} or {"nothing"}
