"""A wheel of the bucle that runs now, built here: a project's lock holds bucle itself, also where no index has it.

Equal sources give equal bytes: entries are sorted, dated 1980 and stored without compression (zlib's output differs between
its versions).
"""

import base64
import hashlib
import os
import tomllib
import zipfile
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

import bucle
from bucle.ledger import new_id

_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: bucle\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_LEFT_OUT = ("RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")


def own_wheel(wheels: Path) -> Path:
    """Return a wheel of this bucle below `wheels`, in a folder named for its hash; built unless it is there."""
    data = build_wheel()
    target = wheels / wheel_folder(hashlib.sha256(data).hexdigest()) / f"bucle-{bucle.__version__}-py3-none-any.whl"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(new_id("tmp"))
        temporary.write_bytes(data)
        temporary.replace(target)
    return target


def wheel_folder(sha256: str) -> str:
    """Return the name of the folder that holds the wheel of this hash; one version may have had several builds."""
    return sha256[:16]


def build_wheel() -> bytes:
    """Return the bytes of a wheel: of the source tree if bucle runs from one, else of the installed distribution."""
    package = Path(bucle.__file__).parent
    project = package.parent.parent / "pyproject.toml"
    if package.parent.name == "src" and project.is_file():
        files = {f"bucle/{path}": (package / path).read_bytes() for path in _sources(package)}
        files |= _metadata_of(tomllib.loads(project.read_text("utf-8"))["project"])
    else:
        files = _installed_files()
    return _zip(files)


def _sources(package: Path) -> list[str]:
    found: list[str] = []
    for folder, names, files in os.walk(package):
        names[:] = [name for name in names if name != "__pycache__"]
        found += [str(Path(folder, file).relative_to(package)) for file in files if not file.endswith((".pyc", ".swp"))]
    return found


def _metadata_of(project: dict[str, Any]) -> dict[str, bytes]:
    """Write what a build backend would make of pyproject.toml, as far as an installer reads it."""
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Summary: {project['description']}", f"Requires-Python: {project['requires-python']}"]
    lines += [f"Requires-Dist: {each}" for each in project["dependencies"]]
    for extra, requirements in project.get("optional-dependencies", {}).items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {each}; extra == "{extra}"' for each in requirements]
    scripts = [f"{name} = {target}" for name, target in project.get("scripts", {}).items()]
    return {
        f"{_info()}/METADATA": ("\n".join(lines) + "\n").encode(),
        f"{_info()}/entry_points.txt": ("\n".join(["[console_scripts]", *scripts]) + "\n").encode(),
    }


def _installed_files() -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for file in metadata.distribution("bucle").files or ():
        name = file.as_posix()
        ours = name.startswith("bucle/") and "__pycache__" not in name
        described = name.startswith(f"{_info()}/") and file.name not in _LEFT_OUT
        if ours or described:
            files[name] = Path(str(file.locate())).read_bytes()
    return files


def _zip(files: dict[str, bytes]) -> bytes:
    files = files | {f"{_info()}/WHEEL": _WHEEL.encode()}
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(files.items())]
    files[f"{_info()}/RECORD"] = ("\n".join([*record, f"{_info()}/RECORD,,"]) + "\n").encode()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _info() -> str:
    return f"bucle-{bucle.__version__}.dist-info"
