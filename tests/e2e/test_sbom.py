"""`make sbom`: the bill of materials names what the images are made from."""

import json
import re
import subprocess

import pytest

from support.containers import PROJECT_FOLDER


@pytest.mark.timeout(400)
def test_bill_of_materials_names_every_locked_package_with_its_hashes() -> None:
    # The tool validates what it writes by CycloneDX's own schema, and fails otherwise.
    subprocess.run(("make", "--silent", "sbom"), cwd=PROJECT_FOLDER, check=True, timeout=300)
    bill = json.loads((PROJECT_FOLDER / "build" / "sbom.cdx.json").read_text())
    lock = (PROJECT_FOLDER / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock, re.MULTILINE))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "peep"
    assert {component["name"]: component["version"] for component in bill["components"]} == locked
    for component in bill["components"]:
        hashes = {one["content"] for place in component["externalReferences"] for one in place["hashes"]}
        assert hashes
        assert all(f"sha256:{one}" in lock for one in hashes)
