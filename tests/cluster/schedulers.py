"""Stand-ins for schedulers, which really start things: sbatch, srun and scontrol; qsub and pbsdsh; mpirun.

`Site` makes a folder of commands to put on PATH. A job script is read as its scheduler reads it (directives at its
head, unknown ones refused) and run on this machine; what it starts on each node is started, as the site's `enter` says:
plainly, or in namespaces of its own (tests/cluster/namespaces.py). As on real sites, srun hands the environment on and
pbsdsh does not.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# Long options of sbatch and qsub that a script's head may hold, by their manuals.
SBATCH = {
    "job-name",
    "nodes",
    "ntasks-per-node",
    "exclusive",
    "time",
    "output",
    "requeue",
    "partition",
    "account",
    "mem",
}
SRUN = {"nodes", "ntasks", "ntasks-per-node", "cpu-bind", "export"}
PBS = {"-N", "-l", "-j", "-q", "-P", "-W", "-o", "-e", "-A"}
GRID_ENGINE = {"-N", "-l", "-cwd", "-j", "-pe", "-V", "-g", "-p"}
_TIME = re.compile(r"(\d+-)?\d{1,3}:\d\d:\d\d")


@dataclass(frozen=True)
class Site:
    """A folder of commands that stand for a scheduler, and its nodes by name.

    `enter` maps a node to the words that start a command there; without it a command starts in a process here.
    """

    folder: Path
    nodes: tuple[str, ...]
    enter: dict[str, list[str]] = field(default_factory=dict)

    def commands(self, *names: str) -> None:
        """Make these commands."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "site.json").write_text(json.dumps({"nodes": self.nodes, "enter": self.enter}))
        for name in names:
            path = self.folder / name
            path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {self.folder} {name} "$@"\n')
            path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def directives(script: str, mark: str) -> list[str]:
    """The words of a script's directives: lines that begin with a mark, up to the first command."""
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith(mark):
            words += line.removeprefix(mark).split()
        elif line.strip() and not line.startswith("#"):
            break
    return words


def check_sbatch(words: list[str], known: set[str] = SBATCH) -> None:
    """Refuse options that sbatch or srun does not have."""
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in known:
            raise SystemExit(f"unrecognized option '{word}'")
        if name == "time" and not _TIME.fullmatch(value):
            raise SystemExit(f"Invalid --time specification: {value}")


def check_qsub(words: list[str], known: set[str]) -> dict[str, str]:
    """Refuse options that qsub does not have; the resources that are asked for."""
    asked: dict[str, str] = {}
    place = 0
    while place < len(words):
        option = words[place]
        if option not in known:
            raise SystemExit(f"qsub: illegal option {option}")
        if option in ("-cwd", "-V"):
            place += 1
            continue
        value = words[place + 1]
        if option == "-l":
            for part in value.split(","):
                name, _, amount = part.partition("=")
                if name in ("walltime", "h_rt") and not _TIME.fullmatch(amount):
                    raise SystemExit(f"qsub: illegal -l value {part}")
                asked[name] = amount
        place += 2
    return asked


def on_every_node(site: Site, command: list[str], environment: dict[str, str] | None) -> int:
    """Run a command on every node at once; the largest exit code, as srun has it."""
    running = []
    for number, node in enumerate(site.nodes):
        own = {
            **(os.environ if environment is None else environment),
            "STAND_IN_NODE": node,
            "SLURM_PROCID": str(number),
        }
        running.append(subprocess.Popen([*site.enter.get(node, []), *command], env=own))
    return max(abs(process.wait()) for process in running)


def sbatch(site: Site, arguments: list[str]) -> int:
    """Run a job script as Slurm would."""
    *options, script = arguments
    words = directives(Path(script).read_text(), "#SBATCH")
    check_sbatch([*words, *options])
    asked = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    assert int(asked["nodes"]) >= 1
    more = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NODELIST": f"node[1-{len(site.nodes)}]"}
    more |= {"SLURM_JOB_NUM_NODES": str(len(site.nodes)), "SLURM_CPUS_ON_NODE": "1"}
    # Slurm runs a copy of the script, on the first node.
    return subprocess.run([*site.enter.get(site.nodes[0], []), "bash", script], env={**os.environ, **more}).returncode


def srun(site: Site, arguments: list[str]) -> int:
    """Start a command on every node, with the environment of the caller."""
    place = next(number for number, word in enumerate(arguments) if not word.startswith("--"))
    check_sbatch(arguments[:place], SRUN)
    return on_every_node(site, arguments[place:], None)


def scontrol(site: Site, arguments: list[str]) -> int:
    """`scontrol show hostnames LIST`."""
    if arguments[:2] != ["show", "hostnames"]:
        raise SystemExit("scontrol: only `show hostnames`")
    print("\n".join(site.nodes))
    return 0


def qsub(site: Site, arguments: list[str]) -> int:
    """Run a job script as PBS or, where KIND says so, Grid Engine would: with the variables of -v and no others."""
    assert arguments[0] == "-v"
    given = dict(pair.split("=", 1) for pair in arguments[1].split(","))
    script = Path(arguments[2])
    pbs = check_qsub(directives(script.read_text(), "#PBS"), PBS)
    grid = check_qsub(directives(script.read_text(), "#$"), GRID_ENGINE)
    assert pbs["select"] and pbs["walltime"] == grid["h_rt"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **given}
    hosts = site.folder / "hosts"
    if os.environ.get("KIND") == "grid engine":
        hosts.write_text("".join(f"{node} 4 all.q@{node} <NULL>\n" for node in site.nodes))
        environment |= {"PE_HOSTFILE": str(hosts), "JOB_ID": "4711"}
    else:
        hosts.write_text("".join(f"{node}\n" for node in site.nodes))
        environment |= {"PBS_NODEFILE": str(hosts), "PBS_JOBID": "4711.server", "PBS_O_WORKDIR": os.getcwd()}
    return subprocess.run([*site.enter.get(site.nodes[0], []), "bash", str(script)], env=environment).returncode


def pbsdsh(site: Site, arguments: list[str]) -> int:
    """Start a command on every node with no environment to speak of, and hand no exit code on."""
    if arguments[0] != "--":
        raise SystemExit("usage: pbsdsh [-c copies] [-s] [-v] [-o] -- command")
    plain = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "PBS_JOBID": os.environ["PBS_JOBID"]}
    on_every_node(site, arguments[1:], plain)
    return 0


def mpirun(site: Site, arguments: list[str]) -> int:
    """Open MPI's, as far as it starts one process a node."""
    assert arguments[:4] == ["--host", ",".join(site.nodes), "--map-by", "ppr:1:node"], arguments
    return on_every_node(site, arguments[4:], None)


def main() -> None:
    """Be the command that this was called as."""
    folder, name, *arguments = sys.argv[1:]
    told = json.loads((Path(folder) / "site.json").read_text())
    site = Site(Path(folder), tuple(told["nodes"]), told["enter"])
    known = {"sbatch": sbatch, "srun": srun, "scontrol": scontrol, "qsub": qsub, "pbsdsh": pbsdsh, "mpirun": mpirun}
    raise SystemExit(known[name](site, arguments))


if __name__ == "__main__":
    main()
