#!/usr/bin/env python3
"""A ten-step bootstrap of many hosts over real sshd on loopback, beside one OpenSSH script per host, Ansible and pyinfra.

    cargo build --release && benches/boot.py [--pool target/release/pool] [--hosts 50] [--rtt 40] [--peers FOLDER]

The steps: facts, a folder, three templated files (1, 2 and 4 kB), owner and mode, a line in a file, two commands, and a
check of a process. All ways must end with the same bytes and modes; the digest of the result says so. The servers run on
the same cores, so compare the CPU of the client. `ssh` rows run the same work as one shell script in one session.

--rtt puts so many milliseconds of round-trip time between clients and servers (see delay.py): then compare the walls.
--peers is the folder that holds `ansible-playbook` and `pyinfra`: python3 -m venv V && V/bin/pip install ansible-core pyinfra
"""
import argparse
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import peers
from fleet import Fleet
from measure import run, table

STEPS = 10
FILES = {"agent.conf": 1024, "users.conf": 2048, "net.conf": 4096}


def content(size, host):
    """About `size` bytes that mention the host in each line; the same lines for each host."""
    text, line = "# managed\nhost = @HOST@\nrole = worker\n", 0
    while len(text) < size:
        text += f"key_{line:03d} = value-{line:03d}-of-@HOST@\n"
        line += 1
    return text.replace("@HOST@", host)


def inventory(fleet, work, result):
    """One pool per host: all hosts share one root here, so each has paths of its own."""
    templates = work / "templates"
    templates.mkdir(parents=True)
    for name, size in FILES.items():
        (templates / name).write_text(content(size, "{{ self.pool }}"))
    text = f"""version: 1
name: boot
providers:
  fleet: {{ type: ssh, ssh: {{ user: root, key: {{ file: {fleet.folder}/id }}, port: {fleet.port}, trust: pinned }} }}
pools:
"""
    for name, address in fleet.hosts:
        etc = f"{result}/{name}/etc"
        key = fleet.host_key(name)
        files = "".join(
            f'        {etc}/{file}: {{ template: templates/{file}, mode: "0644", owner: root, group: root }}\n' for file in FILES
        )
        text += f"""  {name}:
    hosts: {{ {name}-x: {{ address: {address}, host_key: "{key}" }} }}
    place: {{ on: [fleet] }}
    bootstrap:
      directories: {{ {etc}: {{ mode: "0755" }} }}
      files:
{files}      scripts:
        a-line: {{ check: "grep -qxF '* soft nofile 65536' {etc}/limits", run: "echo '* soft nofile 65536' >> {etc}/limits; chmod 644 {etc}/limits" }}
        b-kernel: {{ check: "uname -r >/dev/null", run: "false" }}
        c-user: {{ check: "id -u >/dev/null", run: "false" }}
        d-alive: {{ check: "kill -0 $$(cat {fleet.folder}/{name}/pid)", run: "false" }}
"""
    (work / "pool.yaml").write_text(text)


def script(fleet, name, result):
    etc = f"{result}/{name}/etc"
    lines = ["set -e", "umask 022", "uname -srm; cat /etc/os-release; nproc; head -3 /proc/meminfo; hostname", f"mkdir -p -m 755 {etc}"]
    for file, size in FILES.items():
        lines += [f"cat >{etc}/{file}.new <<'END'", content(size, name).rstrip("\n"), "END"]
        lines += [f"if cmp -s {etc}/{file}.new {etc}/{file}; then rm {etc}/{file}.new; else chmod 644 {etc}/{file}.new; mv {etc}/{file}.new {etc}/{file}; fi"]
    lines += [f"chown 0:0 {etc}/users.conf; chmod 644 {etc}/users.conf"]
    lines += [f"grep -qxF '* soft nofile 65536' {etc}/limits 2>/dev/null || echo '* soft nofile 65536' >>{etc}/limits"]
    lines += ["uname -r", "id -u", f"kill -0 $(cat {fleet.folder}/{name}/pid)"]
    return "\n".join(lines) + "\n"


def ssh_command(fleet, work, options):
    """One `ssh` per host, all at once, each with its script on standard input."""
    base = f"ssh -F none -i {fleet.folder}/id -p {fleet.port} -o UserKnownHostsFile={fleet.folder}/known_hosts -o IdentitiesOnly=yes -o BatchMode=yes {options}"
    lines = [f"{base} root@{address} sh -s <{work}/scripts/{name} >/dev/null &" for name, address in fleet.hosts]
    (work / "all.sh").write_text("\n".join(lines) + "\nwait\n")
    return ["sh", work / "all.sh"]


def digest(result):
    total = hashlib.sha256()
    for path in sorted(path for path in result.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(result)} {path.stat().st_mode & 0o7777:o}\n".encode() + path.read_bytes())
    return total.hexdigest()[:16]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pool", default="target/release/pool")
    arguments.add_argument("--hosts", type=int, default=50)
    arguments.add_argument("--port", type=int, default=22022)
    arguments.add_argument("--rtt", type=float, default=0)
    arguments.add_argument("--peers", type=Path)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        fleet = Fleet(root / "fleet", chosen.hosts, chosen.port, chosen.rtt)
        try:
            Bench(fleet, root / "work", root / "result", chosen).measure()
        finally:
            fleet.stop()


class Bench:
    def __init__(self, fleet, work, result, chosen):
        self.fleet, self.work, self.result, self.chosen = fleet, work, result, chosen
        self.rows, self.digests = [], {}
        (work / "scripts").mkdir(parents=True)
        inventory(fleet, work, result)
        for name, _ in fleet.hosts:
            (work / "scripts" / name).write_text(script(fleet, name, result))

    def first_and_again(self, what, command, env=None):
        """Two rows: from nothing, and once more."""
        shutil.rmtree(self.result, ignore_errors=True)
        self.result.mkdir()
        for turn in ("first", "again"):
            wall, cpu, rss, _ = run(command, env=env)
            steps = len(self.fleet.hosts) * STEPS
            self.rows.append((f"{what}, {turn}", wall, cpu, rss, f"{cpu * 1000 / steps:.2f} ms CPU a host-step"))
            self.digests[f"{what}, {turn}"] = digest(self.result)

    def measure(self):
        for what, options in [("ssh, one script", ""), ("ssh, one script, curve25519", "-oKexAlgorithms=curve25519-sha256")]:
            self.first_and_again(what, ssh_command(self.fleet, self.work, options))
        if self.chosen.peers:
            for peer in (peers.ansible, peers.pyinfra):
                files = lambda host: {name: content(size, host) for name, size in FILES.items()}
                self.first_and_again(*peer(self.fleet, self.work, self.result, files, self.chosen.peers.absolute()))
        self.first_and_again("pool apply", [os.path.abspath(self.chosen.pool), "-C", self.work, "apply", "--yes", "-q"])
        table(f"{len(self.fleet.hosts)} hosts, {STEPS} steps each, {self.chosen.rtt:g} ms of round-trip time", self.rows)
        self.compare()
        print("\nend state: " + ", ".join(f"{what} {value}" for what, value in self.digests.items()))
        if len(set(self.digests.values())) != 1:
            raise SystemExit("the end states differ")

    def compare(self):
        """Others divided by `pool`, and its goals."""
        by_name = {what: row for what, *row in self.rows}
        print("\n| | ÷ pool, wall | ÷ pool, CPU |\n|---|---|---|")
        for what, (wall, cpu, *_) in by_name.items():
            own = by_name[f"pool apply, {what.rsplit(', ', 1)[1]}"]
            print(f"| {what} | {wall / own[0]:.1f} | {cpu / own[1]:.1f} |")


if __name__ == "__main__":
    main()
