"""Versions of features: at the end of a formula, or in the name of a column beside another version."""

import re
from collections.abc import Mapping
from typing import Final

from operators.formula.names import split_name
from operators.graph.errors import NodeError

VERSION: Final = re.compile(r"(?s)(?P<formula>.*)\s@\s*(?P<version>[1-9][0-9]{0,8})\s*")


def formula_version(text: str) -> tuple[str, int]:
    """Take the version off the end of a formula: `x + y @2`; 1 where there is none."""
    match = VERSION.fullmatch(text)
    return (match["formula"], int(match["version"])) if match else (text, 1)


def feature_versions(
    node: str, features: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, int], list[NodeError]]:
    """By column the formulas without their versions, and the versions, and what is wrong with these.

    The version of the column `vol@2` is in its name; `vol` says it behind its formula.  What a node computes
    is named by feature and version, so no two columns of it may be the same version of one feature.
    """
    formulas, versions, errors = dict[str, str](), dict[str, int](), list[NodeError]()
    taken: dict[tuple[str, int], str] = {}
    for column, text in features.items():
        name, own = split_name(column)
        formulas[column], behind = formula_version(text)
        versions[column] = behind if own is None else own
        if own is not None and formulas[column] != text:
            why = f"{column} says its version in its name; leave @{behind} behind the formula out"
            errors.append(NodeError(node, column, why))
        other = taken.setdefault((name, versions[column]), column)
        if other != column:
            why = f"{other} is version {versions[column]} of {name} already; give one of them another version"
            errors.append(NodeError(node, column, why))
    return formulas, versions, errors
