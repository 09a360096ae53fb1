"""Bad hosts: each is found by its facts before anything is changed, or resumed from where it stopped."""
import time

import bed
from scenarios.trouble import _print
from world import standing, timed


def wrong_distribution():
    """A host with another distribution is refused by its name."""
    _refused("sed -i 's/^ID=.*/ID=fedora/; s/^VERSION_ID=.*/VERSION_ID=41/' /etc/os-release", "fedora 41")


def no_sudo():
    """A login that may not become root is refused, with all that it would need root for."""
    _refused("rm /etc/sudoers.d/pool", "root", host={"ssh": {"user": "pool"}})


def no_mirror():
    """A host that does not reach the repository of packages is refused, and told what it did not reach."""
    _refused("grep -v registry /etc/hosts >/tmp/h; cat /tmp/h >/etc/hosts; echo '10.89.0.254 registry.pool.test' >>/etc/hosts",
             "nothing answers at registry.pool.test:80")


def little_disk():
    """A host with too little free disk is refused. A disk cannot be filled here alone: a `stat` that says so stands for it."""
    _refused("printf '#!/bin/sh\\ncase \"$*\" in \"-f -c %%a %%S /\") echo 1000 4096;; *) exec /usr/bin/stat \"$@\";; esac\\n' >/usr/local/bin/stat; "
             "chmod 755 /usr/local/bin/stat", "its disk has")


def wrong_clock():
    """A host whose clock is ahead is refused. Clocks cannot be set here: a `date` that is ahead stands for it."""
    _refused("printf '#!/bin/sh\\ncase \"$*\" in +%%s) echo $(($(/usr/bin/date +%%s) + 600));; *) exec /usr/bin/date \"$@\";; esac\\n' "
             ">/usr/local/bin/date; chmod 755 /usr/local/bin/date", "its clock is")


def port_taken():
    """A host where something listens at the kubelet's port is refused."""
    _refused("systemd-run -q /opt/bed/hello -listen :10250; sleep 1", "something listens at its port 10250")


def stolen_address():
    """Another host answers at the address: it gets no word but the refusal."""
    with standing() as world:
        bed.fresh("k4")
        before = _print("k4")
        world.kubernetes(workers=("k2", "k3", "k4"), keys={"k4": bed.key("k3")})
        said = world.apply("--partial", code={1, 4, 5, 8})
        assert "host key" in said, said
        assert _print("k4") == before
        world.expect(["k1"], ["k2", "k3"])
        bed.down("k4")


def full_disk():
    """The disk is full in the middle of the installation: what fails is named, and once there is room the next apply goes on."""
    with standing() as world:
        bed.fresh("k4")
        bed.on("k4", "mount -t tmpfs -o size=8M tmpfs /var/cache/apt")
        world.kubernetes(workers=("k2", "k3", "k4"))
        said = world.apply(code={1, 8})
        assert "space" in said, said
        world.expect(["k1"], ["k2", "k3"])
        bed.on("k4", "umount /var/cache/apt")
        _joins(world)


def apt_lock():
    """Somebody else installs packages: the lock is waited for."""
    with standing() as world:
        bed.fresh("k4")
        lock = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(20)"
        bed.on("k4", f'systemd-run -q python3 -c "{lock}"')
        world.kubernetes(workers=("k2", "k3", "k4"))
        _joins(world)


def swap():
    """Swap that fstab turns on is turned off for good."""
    with standing() as world:
        bed.fresh("k4")
        bed.on("k4", "echo '/swapfile none swap sw 0 0' >>/etc/fstab")
        world.kubernetes(workers=("k2", "k3", "k4"))
        _joins(world, leave=False)
        assert "# pool: /swapfile" in bed.on("k4", "cat /etc/fstab")
        world.kubernetes()
        world.apply()
        bed.down("k4")


def _joins(world, leave=True):
    begun = time.monotonic()
    world.apply()
    timed("bootstrapped and joined", begun)
    world.expect(["k1"], ["k2", "k3", "k4"])
    if leave:
        world.kubernetes()
        world.apply()
        bed.down("k4")


def _refused(spoil, words, host=None):
    """A host like that is refused with these words, nothing on it is changed, and the others are not held up."""
    with standing() as world:
        bed.fresh("k4")
        bed.on("k4", spoil)
        before = _print("k4")
        world.kubernetes(workers=("k2", "k3", "k4"))
        if host:
            world.text["pools"]["workers"]["hosts"]["k4"].update(host)
            world.declare(world.text["pools"], world.text["clusters"], registries=world.text["registries"])
        begun = time.monotonic()
        said = world.apply("--partial", code={1, 4, 5, 8})
        timed("refused", begun)
        assert words in said, said
        assert _print("k4") == before, "something on it was changed"
        world.expect(["k1"], ["k2", "k3"])
        bed.down("k4")
