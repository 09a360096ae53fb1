"""The hosts that the scenarios run against: bare Debian systems with systemd and sshd, and a company's mirror beside them.

State is in $POOL_K8S_BED (default /var/tmp/pool-beds/kubernetes); bed/build.sh fills it, once.
"""
import base64
import os
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATE = Path(os.environ.get("POOL_K8S_BED", "/var/tmp/pool-beds/kubernetes"))
MIRROR = "registry.pool.test"
VERSION, NEXT = "1.34.4", "1.35.4"
CONTAINERD = "2.2.3"
DOCKER = ["docker", "-H", f"unix://{STATE}/docker.sock"]
HOSTS = ("k1", "k2", "k3")
UP_LIMIT = 300


def run(*words, check=True, within=UP_LIMIT, **more):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=within, **more)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def up(*hosts):
    """Starts the mirror and what is missing of these hosts: k1, k2, …"""
    if not (STATE / "srv/apt/Packages").exists():
        raise SystemExit("the bed is not built; tests/kubernetes/bed/build.sh does it, once, in about 12 minutes")
    run(HERE / "bed/up.sh", *(hosts or HOSTS))


def fresh(*hosts):
    """These hosts as they were never touched."""
    down(*hosts)
    up(*hosts)


def down(*hosts):
    there = [host for host in hosts if exists(host)]
    if there:
        run(HERE / "bed/down.sh", *there)


def exists(host):
    return run(*DOCKER, "ps", "-aq", "-f", f"name=^poolk{host[1:]}$").strip() != ""


def address(host):
    return f"10.89.0.{10 + int(host[1:])}"


def key(host):
    """The host key that the host answers with."""
    words = run(*DOCKER, "exec", f"pool{host}", "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()
    return f"{words[0]} {words[1]}"


def on(host, command, check=True, within=120, stdin=None):
    """What a shell command says on a host, as root; not over the line that `pool` uses."""
    done = subprocess.run([*DOCKER, "exec", *(["-i"] if stdin else []), f"pool{host}", "sh", "-c", command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=within, input=stdin)
    assert not check or done.returncode == 0, f"on {host}: {command}: exit {done.returncode}\n{done.stdout[-3000:]}"
    return done.stdout


def kill(host):
    """The host is gone, as when its power is."""
    run(*DOCKER, "kill", f"pool{host}")


def start(host):
    run(*DOCKER, "start", f"pool{host}")
    until(f"{host} answers", lambda: listens(host), 60)


def restart(host):
    """As a reboot: every process ends, what is on disk stays."""
    kill(host)
    start(host)


def listens(host, port=22):
    import socket
    try:
        with socket.create_connection((address(host), port), 2) as line:
            return line.recv(3) == b"SSH"
    except OSError:
        return False


def ca():
    return (STATE / "pki/ca.crt").read_text()


def apt_key():
    """The key of the apt repository, armoured."""
    armoured = STATE / "srv/apt/key.asc"
    if armoured.exists():
        return armoured.read_text()
    text = base64.encodebytes((STATE / "srv/apt/key.gpg").read_bytes()).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{text}-----END PGP PUBLIC KEY BLOCK-----\n"


def until(what, ready, within=120, every=0.5):
    """Waits until `ready()` is true, and says what it waited for when it never is."""
    end = time.monotonic() + within
    while not (value := ready()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(every)
    return value
