"""What happens to a cluster that stands: hosts come and go, labels change, certificates end."""
import time

import bed
from scenarios.life import _bare
from world import Kubernetes, standing, timed


def second_control_plane():
    """A second control plane joins and leaves again; etcd has two members, then one."""
    with standing() as world:
        bed.fresh("k4")
        world.kubernetes(control=("k1", "k4"))
        begun = time.monotonic()
        world.apply()
        timed("joined", begun)
        world.expect(["k1", "k4"], ["k2", "k3"])
        assert len(_etcd(world)) == 2, _etcd(world)
        world.kubectl("get", "--raw", "/readyz", host="k4")
        world.nothing_to_do()
        world.kubernetes()
        begun = time.monotonic()
        world.apply()
        timed("left", begun)
        world.expect(["k1"], ["k2", "k3"])
        assert len(_etcd(world)) == 1, _etcd(world)
        _bare("k4")
        bed.down("k4")


def endpoint_by_name():
    """An API that is known by a name, and logins that need sudo: the name is led to the second control plane, and the first leaves."""
    first, second, worker = hosts = ("k5", "k6", "k7")
    bed.fresh(*hosts)
    with Kubernetes("named") as world:
        world.user, world.first, named = "pool", first, {"endpoint": "api.pool.test:6443"}
        _lead(hosts, first)
        world.kubernetes(control=[first, second], workers=[worker], cluster=named)
        begun = time.monotonic()
        world.apply()
        timed("three hosts", begun)
        world.expect([first, second], [worker])
        assert "https://api.pool.test:6443" in bed.on(worker, "cat /etc/kubernetes/kubelet.conf")
        assert "https://api.pool.test:6443" in world.pool("cluster", "kubeconfig", "k8s")
        world.nothing_to_do()
        world.serve(worker)
        _lead(hosts, second)
        world.first = second
        # Its pods hold the names that the host knew when they were started.
        world.kubectl("-n", "kube-system", "rollout", "restart", "daemonset/kube-proxy")
        world.kubectl("-n", "kube-system", "rollout", "status", "daemonset/kube-proxy", "--timeout=100s")
        world.kubernetes(control=[second], workers=[worker], cluster=named)
        begun = time.monotonic()
        world.apply()
        timed("the first one left", begun)
        world.expect([second], [worker])
        _bare(first)
        world.nothing_to_do()
        world.answers(worker)
        world.destroy()
    bed.down(*hosts)


def _lead(hosts, to):
    """The name of the API leads to this host, on all of them."""
    for host in hosts:
        bed.on(host, f"sed '/api.pool.test/d' /etc/hosts >/tmp/hosts; echo '{bed.address(to)} api.pool.test' >>/tmp/hosts; cat /tmp/hosts >/etc/hosts")


def remove_and_rejoin():
    """A worker is emptied and leaves, what ran on it runs elsewhere; then it joins again."""
    with standing() as world:
        world.serve("k2", "k3")
        world.kubernetes(workers=("k2",))
        begun = time.monotonic()
        said = world.apply()
        timed("left", begun)
        assert "drain" in said, said
        world.expect(["k1"], ["k2"])
        world.answers("k1", "k2", pods=2)
        _bare("k3")
        world.nothing_to_do()
        world.kubernetes()
        begun = time.monotonic()
        world.apply()
        timed("joined again", begun)
        world.expect(["k1"], ["k2", "k3"])
        world.kubectl("rollout", "restart", "deploy/hello")
        world.kubectl("rollout", "status", "deploy/hello", "--timeout=120s", within=130)
        world.answers("k1", "k2", "k3", pods=2)


def dead_worker():
    """A worker whose machine is gone for good leaves without being asked, and the host that takes its name joins."""
    with standing() as world:
        bed.kill("k3")
        bed.until("the cluster misses it", lambda: not world.nodes()["k3"][0], 120)
        bed.fresh("k3")
        said = world.pool("apply", "--yes", code={4, 5, 8})
        assert "host key" in said or "another" in said, said
        world.kubernetes()
        # The new key is recorded first; with it the host is looked at.
        world.pool("apply", "--yes", code=None)
        world.apply()
        world.expect(["k1"], ["k2", "k3"])
        world.nothing_to_do()


def labels_and_taints():
    """Labels and taints follow the inventory; those of others stay."""
    with standing() as world:
        world.kubectl("label", "node", "k2", "others=mine")
        world.kubernetes(cluster={"labels": {"workers": {"tier": "back", "disk": "ssd"}}, "taints": {"workers": ["dedicated=db:NoSchedule"]}})
        world.apply()
        labels, taints = _settings(world, "k2")
        assert labels["tier"] == "back" and labels["disk"] == "ssd" and labels["others"] == "mine", labels
        assert taints == ["dedicated=db:NoSchedule"], taints
        world.nothing_to_do()
        world.kubernetes(cluster={"labels": {"workers": {"tier": "front"}}})
        world.apply()
        labels, taints = _settings(world, "k2")
        assert labels["tier"] == "front" and "disk" not in labels and labels["others"] == "mine", labels
        assert taints == [], taints
        world.nothing_to_do()
        world.kubectl("label", "node", "k2", "others-")


def blocked_drain():
    """A budget of disruption holds a drain up: it is named, the limit is kept, and once it is gone the removal goes on."""
    with standing() as world:
        world.serve("k2", "k3")
        world.kubectl("apply", "-f", "-", stdin=BUDGET)
        world.kubernetes(workers=("k2",), cluster={"drain_timeout": "15s"})
        begun = time.monotonic()
        said = world.apply(code={1, 8})
        took = time.monotonic() - begun
        timed("held up", begun)
        assert "disruption budget" in said and "hello" in said, said
        assert 14 < took < 40, took
        assert "k3" in world.nodes(), "it left although its budget forbids it"
        world.kubectl("delete", "pdb", "hello")
        world.apply()
        world.expect(["k1"], ["k2"])


def certificates():
    """Certificates that would end soon are renewed, and everything runs with the new ones."""
    with standing() as world:
        before = bed.on("k1", "openssl x509 -enddate -noout -in /etc/kubernetes/pki/apiserver.crt")
        world.kubernetes(cluster={"renew_before": "87600h"})
        world.pool("plan", "--detailed-exitcode", code=2)
        begun = time.monotonic()
        said = world.apply()
        timed("renewed", begun)
        assert "renew" in said, said
        assert bed.on("k1", "openssl x509 -enddate -noout -in /etc/kubernetes/pki/apiserver.crt") != before
        served = "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -enddate -noout"
        assert bed.on("k1", served) == bed.on("k1", "openssl x509 -enddate -noout -in /etc/kubernetes/pki/apiserver.crt")
        world.kubernetes()
        world.nothing_to_do()
        world.expect(["k1"], ["k2", "k3"])


def kubeconfig():
    """`pool cluster kubeconfig` prints what kubectl needs."""
    with standing() as world:
        said = world.pool("cluster", "kubeconfig", "k8s")
        bed.on("k2", "cat >/tmp/kubeconfig", stdin=said[said.index("apiVersion"):])
        assert "k3" in bed.on("k2", "kubectl --kubeconfig /tmp/kubeconfig get nodes; rm /tmp/kubeconfig")


def _settings(world, node):
    import json
    row = json.loads(world.kubectl("get", "node", node, "-o", "json"))
    taints = [f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in row["spec"].get("taints", [])]
    return row["metadata"]["labels"], taints


def _etcd(world):
    files = "--cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt --key=/etc/kubernetes/pki/etcd/server.key"
    return world.kubectl("-n", "kube-system", "exec", "etcd-k1", "--", "etcdctl", *files.split(), "member", "list").split("\n")[:-1]


BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: hello}
spec: {minAvailable: 2, selector: {matchLabels: {app: hello}}}
"""
