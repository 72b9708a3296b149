"""Packs what deploys without Rust: `python dist.py FUNCTION SBOM OUTPUT` writes the folder and the archive NAME-VERSION-ARCH.

FUNCTION is the built binary, SBOM the CycloneDX document of what is linked. The same input gives the same bytes."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# e_machine in the ELF header, and Lambda's name for it.
MACHINES = {62: "x86_64", 183: "arm64"}
DOCUMENTS = ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"]
FOLDERS = ["docs", "events", "examples/chat", "examples/terraform"]


def machine(function):
    header = function.read_bytes()[:20]
    return MACHINES[struct.unpack_from("<H", header, 18)[0]]


def replaced(text, old, new):
    if text.count(old) != 1:
        sys.exit(f"The template must contain this once, and contains it {text.count(old)} times:\n{old}")
    return text.replace(old, new)


def packaged(template, arch):
    """The template with the built function beside it, and nothing to build."""
    template = replaced(template, "      CodeUri: .\n", "      CodeUri: function.zip\n")
    build = "      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: disconnect-custom-key-store\n"
    template = replaced(template, build, "")
    return replaced(template, "    AllowedValues: [x86_64, arm64]\n    Default: x86_64\n", f"    AllowedValues: [{arch}]\n    Default: {arch}\n")


def write_zip(target, entries):
    """Entries are (name, bytes, is executable). Names are sorted and times fixed, so that the bytes do not depend on them."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content, executable in sorted(entries):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, or the mode is lost
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def shipped(page, folder, source):
    """A page whose links to files that the archive does not have lead to `source`, the address of the repository at this
    version. Without one they are plain text."""

    def link(match):
        text, target = match.groups()
        path, _, heading = target.partition("#")
        if not path or path.startswith("http") or (page.parent / path).exists():
            return match[0]
        missing = os.path.normpath((page.parent / path).relative_to(folder))
        return f"[{text}]({source}/{missing}{heading and '#' + heading})" if source else text

    return re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, page.read_text())


def licences(sbom):
    """The licence texts of what the document lists, as each crate ships them."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", str(ROOT / "Cargo.toml")]
    crates = {(crate["name"], crate["version"]): crate for crate in json.loads(subprocess.check_output(command))["packages"]}
    parts = ["The function contains the crates below, each under its own licence.\n"]
    for component in sorted(sbom["components"], key=lambda component: (component["name"], component["version"])):
        crate = crates[component["name"], component["version"]]
        folder = pathlib.Path(crate["manifest_path"]).parent
        parts.append(f"\n{'=' * 100}\n{crate['name']} {crate['version']}: {crate['license']}\n")
        texts = [path for path in sorted(folder.iterdir()) if path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))]
        parts += [f"\n{path.name}\n\n{path.read_text(errors='replace')}" for path in texts if path.is_file()]
    return "".join(parts)


def main():
    function, sbom, output = (pathlib.Path(argument) for argument in sys.argv[1:])
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    arch = machine(function)
    name = f"{package['name']}-{package['version']}-{arch}"
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_zip(folder / "function.zip", [("bootstrap", function.read_bytes(), True)])
    (folder / "template.yaml").write_text(packaged((ROOT / "template.yaml").read_text(), arch))
    (folder / "sbom.cdx.json").write_bytes(sbom.read_bytes())
    (folder / "THIRD-PARTY-LICENSES.txt").write_text(licences(json.loads(sbom.read_text())))
    for document in DOCUMENTS:
        shutil.copy(ROOT / document, folder)
    for tree in FOLDERS:
        shutil.copytree(ROOT / tree, folder / tree)
    for page in folder.rglob("*.md"):
        page.write_text(shipped(page, folder, os.environ.get("SOURCE_URL")))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(sums))
    archive = output / f"{name}.zip"
    files.append(folder / "SHA256SUMS")
    write_zip(archive, [(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes(), False) for path in files])
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (output / f"{name}.zip.sha256").write_text(f"{digest}  {archive.name}\n")
    print(f"{digest}  {archive}: {archive.stat().st_size} bytes")


main()
