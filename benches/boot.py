#!/usr/bin/env python3
"""A ten-step bootstrap of many hosts over real sshd on loopback, beside one OpenSSH script per host.

    cargo build --release && benches/boot.py [--pool target/release/pool] [--hosts 49]

The steps: facts, a folder, three templated files (1, 2 and 4 kB), owner and mode, a line in a file, two commands, and a
check of a process. All ways must end with the same bytes and modes; the digest of the result says so. The servers run on
the same cores, so compare the CPU of the client. `ssh` rows run the same work as one shell script in one session.
"""
import argparse
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from measure import run, table

STEPS = 10
FILES = {"agent.conf": 1024, "users.conf": 2048, "net.conf": 4096}


class Fleet:
    """sshd processes on 127.0.0.2, 127.0.0.3, … with host keys of their own; ended by their process ids."""

    def __init__(self, folder, count, port):
        self.folder, self.port, self.servers = folder, port, []
        self.hosts = [(f"node-{chr(97 + i // 26)}{chr(97 + i % 26)}", f"127.0.0.{i + 2}") for i in range(count)]
        self.key(folder / "id")
        Path("/run/sshd").mkdir(exist_ok=True)
        for name, address in self.hosts:
            self.start(name, address)
        for _, address in self.hosts:
            self.wait(address)

    def key(self, path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    def start(self, name, address):
        home = self.folder / name
        (home / "home").mkdir(parents=True)
        self.key(home / "host_key")
        settings = f"""ListenAddress {address}:{self.port}
HostKey {home}/host_key
PidFile {home}/pid
AuthorizedKeysFile {self.folder}/id.pub
PasswordAuthentication no
StrictModes no
UsePAM no
MaxStartups 200
SetEnv HOME={home}/home
"""
        (home / "sshd_config").write_text(settings)
        self.servers.append(subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", home / "sshd_config", "-E", home / "log"]))
        with open(self.folder / "known_hosts", "a") as known:
            known.write(f"[{address}]:{self.port} {(home / 'host_key.pub').read_text()}")

    def wait(self, address):
        for _ in range(100):
            try:
                socket.create_connection((address, self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"sshd on {address}:{self.port} did not start")

    def stop(self):
        for server in self.servers:
            server.terminate()
            server.wait()


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
        key = " ".join((fleet.folder / name / "host_key.pub").read_text().split()[:2])
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
    arguments.add_argument("--hosts", type=int, default=49)
    arguments.add_argument("--port", type=int, default=22022)
    chosen = arguments.parse_args()
    pool = os.path.abspath(chosen.pool)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        result, work = root / "result", root / "work"
        (root / "fleet").mkdir()
        fleet = Fleet(root / "fleet", chosen.hosts, chosen.port)
        try:
            measure(pool, fleet, work, result)
        finally:
            fleet.stop()


def measure(pool, fleet, work, result):
    work.mkdir()
    (work / "scripts").mkdir()
    inventory(fleet, work, result)
    for name, _ in fleet.hosts:
        (work / "scripts" / name).write_text(script(fleet, name, result))
    steps = len(fleet.hosts) * STEPS
    rows, digests = [], {}

    def row(what, command):
        wall, cpu, rss, _ = run(command)
        rows.append((what, wall, cpu, rss, f"{cpu * 1000 / steps:.2f} ms CPU a host-step"))

    def fresh():
        shutil.rmtree(result, ignore_errors=True)
        result.mkdir()

    for what, options in [("ssh, one script", ""), ("ssh, one script, curve25519", "-oKexAlgorithms=curve25519-sha256")]:
        fresh()
        command = ssh_command(fleet, work, options)
        row(f"{what}, first", command)
        digests[what] = digest(result)
        row(f"{what}, again", command)
    fresh()
    row("pool apply, first", [pool, "-C", work, "apply", "--yes", "-q"])
    digests["pool"] = digest(result)
    row("pool apply, again (plans, probes, changes nothing)", [pool, "-C", work, "apply", "--yes", "-q"])
    table(f"{len(fleet.hosts)} hosts, {STEPS} steps each", rows)
    print("\nend state: " + ", ".join(f"{what} {value}" for what, value in digests.items()))
    if len(set(digests.values())) != 1:
        raise SystemExit("the end states differ")


if __name__ == "__main__":
    main()
