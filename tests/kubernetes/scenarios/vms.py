"""Hosts with a kernel of their own: Debian's, in a virtual machine, with cgroup v2 and AppArmor."""
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

import bed
from world import World, timed

VM, PORT = bed.STATE / "vm", 12209
# Everything in it is emulated, and many times slower than a host.
BOOT, INSTALL = 600, 900
PACKAGES = r"dpkg-query -W -f '${Package} ${db:Status-Status}\n'"


def power_cut():
    """The power of a virtual machine goes while packages are unpacked, and again while they are set up; then Docker and gVisor run."""
    _vm("new")
    with World("vm") as world:
        _declare(world)
        begun = time.monotonic()
        _cut_while(world, "half-installed")
        _cut_while(world, "half-configured")
        resumed = time.monotonic()
        world.apply(within=INSTALL)
        timed("done after all", resumed)
        timed("from a bare host, with two cuts", begun)
        world.nothing_to_do()
        _confined()
        _on("docker run -d --name stays --restart always hello")
        _rebooted()
        world.nothing_to_do()
        bed.until("its container is back", lambda: _on("docker inspect stays --format '{{.State.Running}}'", check=False).strip() == "true", 120)
        _confined()
    _vm("down")


power_cut.alone = True


def _declare(world):
    """One host with Docker Engine and gVisor, and nothing else."""
    archive = world.dir / "files/gvisor.tar.gz"
    shutil.copy(bed.STATE / "srv/files/gvisor.tar.gz", archive)
    key = " ".join((VM / "host_key.pub").read_text().split()[:2])
    bootstrap = {"runtime": {"type": "docker", "sandboxes": ["gvisor"]}, "unpack": {"gvisor": {"to": "/usr/local"}}}
    hosts = {"vm1": {"address": "127.0.0.1", "host_key": key, "ssh": {"port": PORT}}}
    world.declare({"one": {"hosts": hosts, "place": {"on": ["hosts"]}, "bootstrap": bootstrap}},
                  artifacts={"gvisor": {"path": "files/gvisor.tar.gz", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}})


def _cut_while(world, state):
    """Applies, and cuts the power while dpkg has a package in this state."""
    begun = time.monotonic()
    process = world.start("apply", "--yes")
    try:
        # One line that stays open: to log in takes seconds.
        _on(f"until pidof dpkg && {PACKAGES} | grep ' {state}$'; do sleep 0.1; done", within=INSTALL)
        _vm("cut")
        timed(f"cut while {state}", begun)
        assert process.wait(120) != 0, world.log.read_text()
    finally:
        process.kill()
        process.wait()
    begun = time.monotonic()
    _vm("boot")
    timed("booted", begun)
    half = _on(f"{PACKAGES} | grep -v ' installed$' || true").splitlines()
    print(f"    found {', '.join(half)}", flush=True)
    assert half, "nothing was"


def _rebooted():
    """It turns itself off, as when it is told to, and is turned on."""
    _on("systemctl --no-block poweroff")
    bed.until("it is off", lambda: not _runs(), 180)
    begun = time.monotonic()
    _vm("boot")
    # It answers before its services run.
    _on("systemctl is-system-running --wait || true")
    timed("rebooted", begun)


def _confined():
    """Containers under runc have their AppArmor profile on cgroup v2, and those under gVisor another kernel."""
    assert _on("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert "2" in _on("docker info --format '{{.CgroupVersion}}'")
    image = subprocess.run(["tar", "-C", bed.STATE / "bin/hello", "-c", "hello"], stdout=subprocess.PIPE, check=True).stdout
    _on("docker import --change 'ENTRYPOINT [\"/hello\"]' - hello", stdin=image)
    for name, runtime in (("plain", "runc"), ("boxed", "runsc")):
        _on(f"docker run -d --name {name} --runtime {runtime} hello")
    profile = _on("cat /proc/$(docker inspect plain --format '{{.State.Pid}}')/attr/current").strip()
    assert profile == "docker-default (enforce)", profile
    kernels = {name: _kernel(name) for name in ("plain", "boxed")}
    print(f"    {profile}; {kernels['boxed']}", flush=True)
    assert "gvisor" in kernels["boxed"].lower() and "gvisor" not in kernels["plain"].lower(), kernels
    _on("docker rm -f plain boxed")


def _kernel(container):
    address = _on(f"docker inspect {container} --format '{{{{.NetworkSettings.IPAddress}}}}'").strip()
    return bed.until(f"{container} answers", lambda: _on(f"docker run --rm hello -get http://{address}:8080/kernel || true").strip(), 120)


# The machine

def _vm(*words):
    bed.run(bed.HERE / "bed/vm.sh", *words, within=BOOT)


def _runs():
    try:
        return Path("/proc", (VM / "pid").read_text().strip()).exists()
    except FileNotFoundError:
        return False


def _on(command, check=True, within=300, stdin=None):
    """What a shell command says on it, as root."""
    known = VM / "known_hosts"
    known.write_text(f"[127.0.0.1]:{PORT} {(VM / 'host_key.pub').read_text()}")
    line = ["ssh", "-i", bed.STATE / "id", "-p", str(PORT), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes",
            "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR", "root@127.0.0.1", command]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=within, input=stdin or b"")
    said = done.stdout.decode()
    assert not check or done.returncode == 0, f"on the machine: {command}: exit {done.returncode}\n{said[-3000:]}"
    return said
