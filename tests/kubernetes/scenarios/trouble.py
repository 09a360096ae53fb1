"""Joins that go wrong, leftovers, and passwords."""
import time

import bed
from world import standing, timed


def half_joins():
    """A wrong token and a wrong CA hash fail in time and without telling secrets; what they leave is repaired."""
    with standing() as world:
        world.kubernetes(workers=("k2",))
        world.apply()
        world.kubernetes()
        with _instead("k1", "kubeadm", 'case "$*" in *"token create"*) echo abcdef.0123456789abcdef;; *) exec /usr/bin/kubeadm "$@";; esac'):
            begun = time.monotonic()
            said = world.apply(code={1, 8})
            timed("a wrong token", begun)
            assert time.monotonic() - begun < 120 and "abcdef.0123456789abcdef" not in said, said
        with _instead("k1", "openssl", 'case "$1" in x509) exec /usr/bin/openssl "$@";; *) echo another;; esac'):
            begun = time.monotonic()
            said = world.apply(code={1, 8})
            timed("a wrong CA hash", begun)
            assert "public key" in said or "hash" in said, said
        begun = time.monotonic()
        world.apply()
        timed("repaired", begun)
        world.expect(["k1"], ["k2", "k3"])
        world.nothing_to_do()


def leftovers_of_nobody():
    """What a join by somebody's hand left, and that came to nothing, is cleared away."""
    with standing() as world:
        world.kubernetes(workers=("k2",))
        world.apply()
        bed.on("k3", "mkdir -p /etc/kubernetes/pki; cp /etc/hostname /etc/kubernetes/pki/ca.crt; echo x >/etc/kubernetes/bootstrap-kubelet.conf")
        world.kubernetes()
        world.apply()
        world.expect(["k1"], ["k2", "k3"])


def leftovers_of_another_cluster():
    """A host that is a member of another cluster is refused with what was found, and nothing on it is changed."""
    with standing() as world:
        bed.fresh("k4")
        bed.on("k4", "mkdir -p /etc/kubernetes/manifests /var/lib/etcd/member; cd /etc/kubernetes; echo x >admin.conf; echo x >kubelet.conf; echo x >manifests/etcd.yaml")
        before = _print("k4")
        world.kubernetes(workers=("k2", "k3", "k4"))
        said = world.apply(code={1, 5, 8})
        assert "another cluster" in said and "admin.conf" in said and "kubeadm reset" in said, said
        assert _print("k4") == before, "something on it was changed"
        world.expect(["k1"], ["k2", "k3"])
        bed.down("k4")


def credentials():
    """Images come from a registry that wants a password; it is in no plan, state, journal or log."""
    with standing() as world:
        secret = "pool-bed"
        world.kubernetes(registry={"address": f"{bed.MIRROR}:5001", "user": "pool", "password": {"env": "REGISTRY_PASSWORD"}})
        world.pool("plan", "--out", "saved.plan", "--detailed-exitcode", code=2, REGISTRY_PASSWORD=secret)
        world.apply(REGISTRY_PASSWORD=secret)
        world.serve("k2", "k3", image="docker.io/pool/hello:2")
        world.pool("plan", "--detailed-exitcode", code=0, REGISTRY_PASSWORD=secret)
        world.pool("plan", "--json", code=None, REGISTRY_PASSWORD=secret)
        for word in (secret.encode(), b"cG9vbDpwb29sLWJlZA"):
            for file in world.dir.rglob("*"):
                assert not file.is_file() or word not in file.read_bytes(), f"the password is in {file}"


class _instead:
    """For `with`: a program on a host says something else."""

    def __init__(self, host, program, script):
        self.host, self.path, self.script = host, f"/usr/local/bin/{program}", script

    def __enter__(self):
        bed.on(self.host, f"cat >{self.path}; chmod 755 {self.path}", stdin=f"#!/bin/sh\n{self.script}\n")

    def __exit__(self, *_):
        bed.on(self.host, f"rm -f {self.path}")


def _print(host):
    """What stands on a host, in a word."""
    return bed.on(host, "{ find /etc /usr/bin /var/lib/dpkg /var/lib/pool /var/lib/etcd -xdev -newer /etc/hostname -type f 2>/dev/null | sort | "
                        "xargs -r sha256sum; dpkg -l | sha256sum; } | sha256sum")
