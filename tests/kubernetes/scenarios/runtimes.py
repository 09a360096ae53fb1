"""containerd upgraded under running pods, and pods in gVisor."""
import hashlib
import json
import shutil
import subprocess
import time

import bed
from world import Kubernetes, timed


def containerd_upgraded():
    """containerd 1.6 of the distribution becomes 2.2.3 from an artifact, under running pods; then a pod runs in gVisor."""
    first, *workers = hosts = ("k8", "k9", "k10")
    bed.fresh(*hosts)
    with Kubernetes("runtimes") as world:
        world.first = first
        world.kubernetes(control=[first], workers=workers)
        world.apply()
        world.serve(*workers)
        before = _pods(world)
        artifacts = {}
        for name, file in (("containerd", f"containerd-{bed.CONTAINERD}.tar.gz"), ("gvisor", "gvisor.tar.gz")):
            shutil.copy(bed.STATE / "srv/files" / file, world.dir / "files")
            digest = hashlib.sha256((world.dir / "files" / file).read_bytes()).hexdigest()
            artifacts[name] = {"path": f"files/{file}", "sha256": digest}
        runtime = {"type": "containerd", "programs": "/usr/local/bin", "sandboxes": ["gvisor"], "registries": ["company"]}
        unpack = {"containerd": {"to": "/usr/local"}, "gvisor": {"to": "/usr/local"}}
        world.kubernetes(control=[first], workers=workers, runtime=runtime, bootstrap={"unpack": unpack}, artifacts=artifacts)
        begun = time.monotonic()
        world.apply()
        timed("three hosts", begun)
        for host in hosts:
            assert bed.CONTAINERD in bed.on(host, "ctr version | sed -n '/Server/,$p'"), host
        bed.until("the nodes are ready", lambda: all(node[0] for node in world.nodes().values()), 60)
        # Some parts on the hosts' own network are started anew by the kubelet; what is in the pod network goes on.
        now = _pods(world)
        print(f"    started anew: {', '.join(sorted(pod for pod in before if now.get(pod) != before[pod])) or 'none'}", flush=True)
        kept = {pod: at for pod, at in before.items() if pod.startswith(("hello", "coredns"))}
        assert kept == {pod: now.get(pod) for pod in kept}, f"{now} after {before}"
        world.answers(*hosts, pods=2)
        world.nothing_to_do()
        _sandboxed(world, workers[0])
        world.destroy()
    bed.down(*hosts)


def images_without_a_registry():
    """An archive of images is loaded: pods run from it where no registry has their image."""
    image = "site.example.net/hello:7"
    bed.fresh("k8")
    with Kubernetes("archive") as world:
        world.first = "k8"
        archive = world.dir / "files/images.tar"
        with subprocess.Popen(["tar", "-C", bed.STATE / "bin/hello", "-c", "hello"], stdout=subprocess.PIPE) as tar:
            bed.run(*bed.DOCKER, "import", "--change", 'ENTRYPOINT ["/hello"]', "-", image, stdin=tar.stdout)
        bed.run(*bed.DOCKER, "save", "-o", archive, image)
        bed.run(*bed.DOCKER, "rmi", image)
        runtime = {"type": "containerd", "registries": ["company"], "images": ["site"]}
        artifacts = {"site": {"path": "files/images.tar", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}}
        world.kubernetes(control=["k8"], workers=(), runtime=runtime, cluster={"taints": {"masters": []}}, artifacts=artifacts)
        world.apply()
        world.serve("k8", image=image)
        world.nothing_to_do()
        world.destroy()
    bed.down("k8")


def no_sandbox():
    """Kata without hardware virtualisation, and gVisor with a containerd that is too old, are refused with the reason."""
    bed.fresh("k4")
    with Kubernetes("sandboxes") as world:
        world.kubernetes(control=("k4",), workers=(), runtime={"type": "containerd", "sandboxes": ["kata"], "registries": ["company"]})
        said = world.apply(code={1, 5, 8})
        assert "/dev/kvm" in said, said
        world.kubernetes(control=("k4",), workers=(), runtime={"type": "containerd", "sandboxes": ["gvisor"], "registries": ["company"]})
        said = world.apply(code={1, 5, 8})
        assert "gVisor" in said, said
        assert not bed.on("k4", "dpkg -l containerd 2>/dev/null | grep ^ii", check=False).strip()
    bed.down("k4")


def _sandboxed(world, node):
    world.kubectl("apply", "-f", "-", stdin=SANDBOXED % node)
    begun = time.monotonic()
    bed.until("the pod answers from its own kernel", lambda: "gvisor" in world.kubectl(
        "exec", "sandboxed", "--", "/hello", "-get", "http://127.0.0.1:8080/kernel", check=False).lower(), 120, 2)
    timed("a pod in gVisor", begun)
    reached = world.kubectl("exec", "sandboxed", "--", "/hello", "-n", "10", "-get", f"http://{_service(world)}/")
    assert len({line.split()[2] for line in reached.splitlines()}) == 2, reached


def _service(world):
    return world.kubectl("get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}").strip()


def _pods(world):
    """Container → when it was started, of all pods."""
    rows = json.loads(world.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    return {f"{row['metadata']['name']}/{one['name']}": one["state"].get("running", {}).get("startedAt")
            for row in rows for one in row["status"].get("containerStatuses", [])}


SANDBOXED = """
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: gvisor}
handler: runsc
---
apiVersion: v1
kind: Pod
metadata: {name: sandboxed}
spec: {runtimeClassName: gvisor, nodeName: %s, terminationGracePeriodSeconds: 1, containers: [{name: hello, image: "docker.io/pool/hello:1"}]}
"""
