"""Where each library runs: ours and implicit here, the others in environments of their own, made by the command.

LensKit 2025.8 wants pandas before 3, RecTools 0.19 numpy before 2 (docs/decisions/0014-peers.md).
"""

import hashlib
import importlib.metadata
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[2] / ".venv-peers"
OURS = ("lamplighter", "implicit")
"""Libraries of the environment that the command runs in."""


def constraints(library: str) -> Path:
    """Every version that the environment of a library is made of."""
    return HERE / f"constraints-{library}.txt"


def interpreter(library: str) -> Path:
    """The Python that has a library; its environment is made, or made anew where its versions have changed."""
    if library in OURS:
        return Path(sys.executable)
    folder, pins = ENVIRONMENTS / library, constraints(library)
    python, marker = folder / "bin" / "python", folder / "ready"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    if not marker.exists() or marker.read_text() != wanted:
        print(f"making the environment of {library} in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", pins, library, "pyarrow"]
        subprocess.run([python, *install], check=True)
        marker.write_text(wanted)
    return python


@cache
def version(library: str) -> str:
    """What a library's figures belong to: its version, or the digest of our code, how it is asked, and beside what.

    Read once: workers go on with the code they began with, whatever is edited meanwhile.
    """
    asked = (HERE / f"answers_of_{library}.py").read_bytes()
    beside = b"" if library in OURS else constraints(library).read_bytes()
    return f"{release(library)}+{hashlib.sha256(asked + beside).hexdigest()[:8]}"


def release(library: str) -> str:
    """A library's version; of our own, the digest of its code."""
    if library == "lamplighter":
        import answers_of_lamplighter

        return answers_of_lamplighter.version()
    if library in OURS:
        return importlib.metadata.version(library)
    (found,) = re.findall(rf"^{library}==(.+)$", constraints(library).read_text(), re.MULTILINE | re.IGNORECASE)
    return str(found)
