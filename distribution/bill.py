"""The bill of materials of an archive: each wheel with its hash, licence and needs, as CycloneDX JSON."""

from collections.abc import Sequence
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from distribution.wheels import Wheel

VERSION: Final = SchemaVersion.V1_6
_LICENCES: Final = LicenseFactory()


def bill_of(main: Wheel, others: Sequence[Wheel], scripts: Sequence[tuple[str, str, str]]) -> str:
    """The bill as JSON: `main` is what is shipped, `others` what it needs.

    `scripts` are files of others' that lie within `main`: npm name, version and SPDX licence of each.
    """
    bom = Bom()
    bom.metadata.component = root = _component(main, ComponentType.APPLICATION)
    parts = {wheel.name: _component(wheel, ComponentType.LIBRARY) for wheel in others}
    inside = [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"pkg:npm/{name}@{version}",
            purl=PackageURL("npm", None, name, version),
            licenses=[_LICENCES.make_from_string(licence)],
        )
        for name, version, licence in scripts
    ]
    bom.components.update([*parts.values(), *inside])
    bom.register_dependency(root, [*_needed(main, parts), *inside])
    for wheel in others:
        bom.register_dependency(parts[wheel.name], _needed(wheel, parts))
    return make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=1) + "\n"


def _component(wheel: Wheel, kind: ComponentType) -> Component:
    declared = LicenseAcknowledgement.DECLARED
    licences = [_LICENCES.make_from_string(wheel.licence, license_acknowledgement=declared)]
    return Component(
        name=wheel.name,
        version=wheel.version,
        type=kind,
        bom_ref=wheel.purl,
        purl=PackageURL("pypi", None, wheel.name, wheel.version),
        description=wheel.summary or None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
        licenses=licences if wheel.licence else [],
    )


def _needed(wheel: Wheel, parts: dict[str, Component]) -> list[Component]:
    """What of the archive a wheel may import: with its extras, where they are there."""
    names = {canonicalize_name(Requirement(line).name) for line in wheel.needs}
    return [parts[name] for name in sorted(names & parts.keys())]
