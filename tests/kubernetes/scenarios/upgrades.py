"""Another version of Kubernetes, and the way back."""
import time

import bed
from world import standing, timed


def minor_upgrade():
    """One minor release up, with a workload: a snapshot before, the workers one after the other; a worker that fails goes back."""
    with standing() as world:
        world.serve("k2", "k3")
        # The new kubelet cannot be installed there.
        bed.on("k3", "cat >/etc/apt/apt.conf.d/99broken", stdin='DPkg::Pre-Install-Pkgs { "! grep -q kubelet_1.35"; };\n')
        world.kubernetes(version=bed.NEXT)
        begun = time.monotonic()
        said = world.apply(code=8, within=1500)
        timed("control plane and one worker up, one failed", begun)
        assert "member/k8s/k3" in said, said
        nodes = world.nodes()
        assert nodes["k1"][2] == nodes["k2"][2] == f"v{bed.NEXT}" and nodes["k3"][2] == f"v{bed.VERSION}", nodes
        _snapshot_is_good(world)
        # Back: the control plane stays, the worker has its old packages and takes work again.
        world.kubernetes(version=bed.VERSION)
        begun = time.monotonic()
        said = world.apply("--partial", code={0, 5}, within=600)
        timed("rolled back", begun)
        assert "does not go back" in said, said
        nodes = world.nodes()
        assert nodes["k3"] == (True, False, f"v{bed.VERSION}", True), nodes
        assert bed.VERSION in bed.on("k3", "kubeadm version -o short")
        # And up again, once the cause is gone.
        bed.on("k3", "rm /etc/apt/apt.conf.d/99broken")
        world.kubernetes(version=bed.NEXT)
        begun = time.monotonic()
        world.apply(within=600)
        timed("the last one up", begun)
        world.expect(["k1"], ["k2", "k3"], bed.NEXT)
        world.nothing_to_do()
        world.answers("k1", "k2", "k3", pods=2)
        # It does not go back to the version that others expect.
        world.destroy()
        world.kubernetes()
        world.apply()


def two_control_planes_upgraded():
    """Two control planes and a worker go one minor release up."""
    with standing() as world:
        bed.fresh("k4")
        world.kubernetes(control=("k1", "k4"), workers=("k2",))
        world.apply()
        world.expect(["k1", "k4"], ["k2"])
        world.kubernetes(control=("k1", "k4"), workers=("k2",), version=bed.NEXT)
        begun = time.monotonic()
        world.apply(within=1800)
        timed("two control planes and a worker up", begun)
        world.expect(["k1", "k4"], ["k2"], bed.NEXT)
        world.nothing_to_do()
        world.destroy()
        bed.down("k4")
        world.kubernetes()
        world.apply()


def restored():
    """A snapshot is taken, read, and gone back to: what came after it is lost, what was there before is there again."""
    with standing() as world:
        world.serve("k2", "k3")
        world.kubectl("create", "configmap", "before")
        begun = time.monotonic()
        world.pool("cluster", "snapshot", "k8s", "--yes")
        timed("snapshot", begun)
        file = _snapshot_is_good(world)
        world.kubectl("create", "configmap", "after")
        world.kubectl("delete", "configmap", "before")
        begun = time.monotonic()
        world.pool("cluster", "restore", "k8s", "--host", "k1", "--file", file, "--yes")
        timed("restored", begun)
        world.kubectl("get", "configmap", "before")
        assert "NotFound" in world.kubectl("get", "configmap", "after", check=False)
        bed.until("the nodes are ready", lambda: all(node[0] for node in world.nodes().values()), 120)
        world.kubectl("rollout", "restart", "deploy/hello")
        world.kubectl("rollout", "status", "deploy/hello", "--timeout=120s", within=130)
        world.answers("k1", "k2", "k3", pods=2)
        world.nothing_to_do()
        world.kubectl("delete", "configmap", "before")


def skew():
    """A version that is two releases ahead is refused with the rule, before anything is done."""
    with standing() as world:
        world.kubernetes(version="1.36.0")
        said = world.pool("plan", code={0, 5})
        assert "one minor release at a time" in said, said
        world.kubernetes(version="1.33.0")
        said = world.pool("plan", code={0, 5})
        assert "does not go back" in said, said


def _snapshot_is_good(world):
    file = bed.on("k1", "ls -1t /var/lib/pool/etcd/*.db | head -n 1").strip()
    bed.on("k1", f"test -s {file}.host.tgz && cp {file} /var/lib/etcd/look.db")
    said = world.kubectl("-n", "kube-system", "exec", "etcd-k1", "--", "etcdutl", "snapshot", "status", "/var/lib/etcd/look.db")
    bed.on("k1", "rm /var/lib/etcd/look.db")
    print(f"    {file}: {said.strip()}", flush=True)
    assert len(said.split(",")) >= 4, said
    return file
