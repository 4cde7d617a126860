"""Build and try the image of Containerfile: by podman or docker, else its steps one by one in a root of their own.

Without an engine the steps run in a mount namespace, in an overlay of this machine's own root whose /usr/local holds
nothing but a fresh Python: what FROM would bring is this machine's, all else is what the file says. Needs root.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = ROOT / "Containerfile"
SAMPLE = ROOT / "tests" / "data" / "sample.warc.gz"
# What the image must do with no network: each line by a shell, as its user.
TRIED = """
kamisuki version
ray --version
test "$(id -u)" -ne 0
test -w . && test ! -w /usr/local
kamisuki run demo --input /sample.warc.gz --out out --workers 1
kamisuki funnel out
test -z "$(find ~/.cache/kamisuki -type f -name '*.nb?')"
"""


@dataclass(frozen=True)
class Step:
    """An instruction of a Containerfile and what follows it, continued lines joined."""

    instruction: str
    text: str


def steps(text: str) -> list[Step]:
    """The instructions of a Containerfile in order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [Step(name.upper(), rest.strip()) for name, _, rest in found]


def faults(text: str, context: Path, ignored: str) -> list[str]:
    """What is wrong with a Containerfile by the rules that it is held to, a line each."""
    found, user = [], "root"
    allowed = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    if "*" not in ignored.splitlines():
        found.append("the context must be what is named: .dockerignore lacks *")
    for step in steps(text):
        words = shlex.split(step.text) if step.instruction != "RUN" else []
        if step.instruction == "FROM" and (":" not in words[0] or words[0].endswith(":latest") or "/" not in words[0]):
            found.append(f"{words[0]}: a base image has a registry and a version")
        if step.instruction == "ADD":
            found.append("ADD fetches and unpacks: use COPY")
        if step.instruction == "COPY":
            for source in words[:-1]:
                if not (context / source).exists() or source not in allowed:
                    found.append(f"{source} is not in the context")
        if step.instruction == "USER":
            user = words[0]
        if step.instruction == "RUN":
            for command in re.split(r"&&|;|\|\|?", step.text):
                known = (r"--require-hashes", r" uv==[\d.]+\s*$", r"--no-deps .*/build\s*$")
                if re.search(r"\bpip install\b", command) and not any(re.search(each, command) for each in known):
                    found.append(f"packages without hashes: {command.strip()}")
                if "apt-get install" in command and (
                    "--yes" not in command or "--no-install-recommends" not in command
                ):
                    found.append(f"more is installed than is asked for: {command.strip()}")
                if re.search(r"\b(curl|wget|git clone)\b", command):
                    found.append(f"a download that no hash holds: {command.strip()}")
            if "apt-get update" in step.text and "rm -rf /var/lib/apt/lists/*" not in step.text:
                found.append("package lists stay in the image")
        if re.search(r"(?i)(secret|token|password|access_key)\w*=", step.text):
            found.append("a credential stands in the image")
    if user in ("root", "0"):
        found.append("the image runs as root")
    return found


def engine() -> str | None:
    """podman or docker where one answers."""
    for name in ("podman", "docker"):
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True).returncode == 0:
            return name
    return None


def build_with(name: str) -> None:
    """Build by an engine and try the image without a network."""
    subprocess.run([name, "build", "--file", str(CONTAINERFILE), "--tag", "kamisuki-test", str(ROOT)], check=True)
    run = [name, "run", "--rm", "--network", "none", "--volume", f"{SAMPLE}:/sample.warc.gz:ro", "kamisuki-test"]
    subprocess.run([*run, "sh", "-euxc", TRIED], check=True)


def build_here(folder: Path) -> None:
    """Enter a mount namespace with an overlay of / in `folder`, and go through the steps there."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    python = os.path.realpath(sys.executable)
    inside = [sys.executable, "-m", "tests.cluster.containerfile", "--inside", str(folder), "--python", python]
    subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", *inside], cwd=ROOT, check=True)


def go_through(folder: Path, python: str) -> None:
    """The steps, in a mount namespace of our own."""
    root = folder / "root"
    layers = f"lowerdir=/,upperdir={folder / 'upper'},workdir={folder / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    prepare = f"""
        rm -rf /usr/local && {python} -m venv --copies /usr/local && chmod 755 /root
        mount -t proc proc /proc && mount -t tmpfs tmpfs /dev/shm
        for folder in {tempfile.gettempdir()} {Path.home() / ".cache"} {ROOT.parent}; do
          if [ -d "$folder" ]; then mount -t tmpfs tmpfs "$folder"; fi
        done
        chmod 1777 /tmp
    """
    subprocess.run(["mount", "--rbind", "/dev", str(root / "dev")], check=True)
    environment = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    # This machine's way to its package index is no part of the image.
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    _run(root, prepare, environment, None)
    user, folder_inside, arguments = None, "/", {}
    for step in steps(CONTAINERFILE.read_text(encoding="utf-8")):
        print(f"{step.instruction} {step.text[:150]}", flush=True)
        if step.instruction == "ARG":
            name, _, value = step.text.partition("=")
            arguments[name] = value
        elif step.instruction == "ENV":
            for word in shlex.split(step.text):
                name, _, value = word.partition("=")
                environment[name] = re.sub(r"\$(\w+)", lambda match: arguments[match[1]], value)
        elif step.instruction == "COPY":
            *sources, target = shlex.split(step.text)
            for source in sources:
                _copy(ROOT / source, root / target.lstrip("/"), into=target.endswith("/"))
        elif step.instruction == "RUN":
            _run(root, step.text, environment, user, folder_inside)
        elif step.instruction == "USER":
            user = int(step.text)
        elif step.instruction == "WORKDIR":
            folder_inside = step.text
        elif step.instruction not in ("FROM", "CMD"):
            raise SystemExit(f"{step.instruction}: this builder does not know it")
    shutil.copy(SAMPLE, root / "sample.warc.gz")
    environment["HOME"] = folder_inside
    # No network but the machine's own loop, which Ray needs.
    tried = (
        f"ip link set lo up\nexec setpriv --reuid {user} --regid {user} --clear-groups sh -euxc {shlex.quote(TRIED)}"
    )
    subprocess.run(
        ["unshare", "--net", "chroot", str(root), "sh", "-c", f"cd {folder_inside}\n{tried}"],
        env=environment,
        check=True,
    )


def _copy(source: Path, target: Path, into: bool) -> None:
    target = target / source.name if into else target
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(root: Path, command: str, environment: dict[str, str], user: int | None, folder: str = "/") -> None:
    entered = ["chroot", *([f"--userspec={user}"] if user else []), str(root), "sh", "-ec", f"cd {folder}\n{command}"]
    subprocess.run(entered, env=environment, check=True)


def main() -> None:
    """Build the image and try it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--python", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        go_through(given.inside, given.python)
        return
    name = engine()
    if name:
        build_with(name)
    else:
        print("no podman or docker answers: the steps run in an overlay of this machine's root", flush=True)
        with tempfile.TemporaryDirectory(prefix="kamisuki-image-") as folder:
            build_here(Path(folder))
    print(f"image: built {'by ' + name if name else 'without an engine'} and tried")


if __name__ == "__main__":
    main()
