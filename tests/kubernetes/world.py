"""A folder with an inventory, the program `pool` in it, and what stands on the hosts for it."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

import bed

ROOT = bed.HERE.parent.parent
POOL = Path(os.environ.get("POOL_BIN", ROOT / "target/debug/pool"))
WITHIN = 900
STANDING = bed.STATE / "standing"


class World:
    """An inventory and its state. For `with`: the folder goes at the end, unless something failed."""

    user = "root"

    def __init__(self, name, folder=None):
        self.name = name
        self.dir = Path(folder or tempfile.mkdtemp(prefix=f"pool-{name}-"))
        self.log, self.last, self.text = self.dir / "log", None, None
        files = self.dir / "files"
        files.mkdir(exist_ok=True)
        (files / "ca.crt").write_text(bed.ca())
        (files / "apt.asc").write_text(bed.apt_key())
        shutil.copy(bed.STATE / "srv/files/kube-flannel.yml", files)
        shutil.copy(bed.STATE / "id", self.dir / "id")
        (self.dir / "id").chmod(0o600)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            shutil.rmtree(self.dir)
        else:
            print(f"    left for a look: {self.dir}", flush=True)

    # The inventory

    def declare(self, pools, clusters=None, **more):
        """Writes the inventory. What the scenarios have in common stands here."""
        self.text = {
            "version": 1,
            "name": self.name,
            "providers": {"hosts": {"type": "ssh", "ssh": {"user": self.user, "key": {"file": "id"}}}},
            "pools": pools,
            # Scenarios say themselves what may go.
            "policy": {"max_destroyed": "100%", "max_replaced": "100%"},
        }
        if clusters:
            self.text["clusters"] = clusters
        self.text.update(more)
        # Through JSON, so that no part is shared: inventories have no anchors.
        (self.dir / "pool.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(self.text)), sort_keys=False))

    def kubernetes(self, control=("k1",), workers=("k2", "k3"), version=bed.VERSION, runtime=None, cluster=None, keys=None,
                   bootstrap=None, registry=None, **more):
        """Declares a cluster of these hosts."""
        runtime = runtime or {"type": "containerd", "registries": ["company"]}

        def pool(hosts):
            known = {host: {"address": bed.address(host), "host_key": (keys or {}).get(host) or bed.key(host)} for host in hosts}
            return {"hosts": known, "place": {"on": ["hosts"]}, "bootstrap": {"runtime": runtime, **(bootstrap or {})}}

        pools = {"masters": pool(control)}
        if workers:
            pools["workers"] = pool(workers)
        spec = {
            "type": "kubernetes", "version": version, "control_plane": "masters", "workers": ["workers"] if workers else [],
            # This computer may have the older kind of cgroups.
            "cgroup_v1": not Path("/sys/fs/cgroup/cgroup.controllers").exists(),
            "pod_network": {"type": "flannel", "cidr": "10.244.0.0/16", "manifest": "files/kube-flannel.yml"},
            "packages": {"url": f"http://{bed.MIRROR}/apt", "suite": "./", "key": "files/apt.asc"},
            **(cluster or {}),
        }
        mirrors = {name: name for name in ("registry.k8s.io", "ghcr.io", "docker.io")}
        company = {"address": f"{bed.MIRROR}:5000", "ca": "files/ca.crt", "mirrors": mirrors, **(registry or {})}
        self.declare(pools, {"k8s": spec}, registries={"company": company}, **more)

    # The program

    def environment(self, **more):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "POOL_"))}
        return dict(clean, NO_COLOR="1", HOME=str(self.dir), **more)

    def start(self, *words, **environment):
        """The program, running; its output goes to the log."""
        with open(self.log, "a") as log:
            print(f"\n$ pool {' '.join(words)}", file=log, flush=True)
            return subprocess.Popen([POOL, *words], cwd=self.dir, env=self.environment(**environment), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)

    def pool(self, *words, code=0, within=WITHIN, **environment):
        """Runs it; what it said, if it ended as expected. `code` may be a set; None: any."""
        begun = self.log.stat().st_size if self.log.exists() else 0
        process = self.start(*words, **environment)
        try:
            ended = process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            ended = f"killed after {within} s"
        with open(self.log) as log:
            log.seek(begun)
            said = log.read()
        self.last = ended
        wanted = code if isinstance(code, (set, tuple)) or code is None else {code}
        assert wanted is None or ended in wanted, f"pool {' '.join(words)}: exit {ended}, not {code}\n{said[-6000:]}"
        return said

    def apply(self, *words, **more):
        return self.pool("apply", "--yes", *words, **more)

    def nothing_to_do(self):
        """A second plan is empty: what was applied is what is seen."""
        return self.pool("plan", "--detailed-exitcode", code=0)

    def events(self, *words, kill_at=None, code=0, within=WITHIN):
        """Runs an apply and reads its events; `kill_at(event, count)` true: it is killed right then, as by kill -9.

        The events, and whether it was killed.
        """
        seen, killed = [], False
        with open(self.log, "a") as log:
            process = subprocess.Popen([POOL, "apply", "--yes", "--json", *words], cwd=self.dir, env=self.environment(),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        end = time.monotonic() + within
        for line in process.stdout:
            with open(self.log, "a") as log:
                log.write(line)
            if not line.startswith("{"):
                continue
            seen.append(json.loads(line))
            if kill_at and not killed and kill_at(seen[-1], len(seen)):
                process.send_signal(signal.SIGKILL)
                killed = True
            if time.monotonic() > end:
                process.kill()
        ended = process.wait()
        assert killed or code is None or ended == code, f"apply: exit {ended}, not {code}; see {self.log}"
        return seen, killed

    def destroy(self):
        return self.pool("destroy", "--yes")


class Kubernetes(World):
    """A world whose hosts are a Kubernetes cluster."""

    first = "k1"

    def kubectl(self, *words, check=True, stdin=None, host=None, within=120):
        line = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
        return bed.on(host or self.first, f"kubectl --kubeconfig /etc/kubernetes/admin.conf {line}", check=check, stdin=stdin, within=within)

    def nodes(self):
        """Node → (ready, control plane, kubelet's version, schedulable)."""
        rows = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        out = {}
        for row in rows:
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in row["status"]["conditions"])
            control = "node-role.kubernetes.io/control-plane" in row["metadata"]["labels"]
            out[row["metadata"]["name"]] = (ready, control, row["status"]["nodeInfo"]["kubeletVersion"], not row["spec"].get("unschedulable"))
        return out

    def expect(self, control, workers, version=bed.VERSION):
        """Exactly these nodes are there, ready and open for work."""
        wanted = {host: (True, host in control, f"v{version}", True) for host in (*control, *workers)}
        assert self.nodes() == wanted, f"{self.nodes()} instead of {wanted}"

    def serve(self, *nodes, name="hello", image="docker.io/pool/hello:1", port=30080, more=""):
        """A workload with a pod on each of these nodes, that answers to requests at any of them."""
        self.kubectl("apply", "-f", "-", stdin=WORKLOAD.format(name=name, image=image, port=port, replicas=len(nodes), more=more))
        self.kubectl("rollout", "status", f"deploy/{name}", "--timeout=180s", within=200)
        self.answers(*nodes, port=port)

    def answers(self, *nodes, port=30080, pods=None):
        """Requests at each of these nodes are answered, by as many pods as there are nodes."""
        for node in nodes:
            ask = f"/opt/bed/hello -n 20 -get http://{bed.address(node)}:{port}/"

            def answered():
                said = bed.on(node, f"{ask} || echo failed")
                return "failed" not in said and len({line.split()[2] for line in said.splitlines()}) == (pods or len(nodes))
            # The rules of a node follow its pods after a moment.
            bed.until(f"requests at {node} are answered", answered, 60)

WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      {more}
      topologySpreadConstraints: [{{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {{matchLabels: {{app: {name}}}}}}}]
      containers: [{{name: hello, image: "{image}", ports: [{{containerPort: 8080}}], readinessProbe: {{httpGet: {{path: /, port: 8080}}}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{type: NodePort, selector: {{app: {name}}}, ports: [{{port: 80, targetPort: 8080, nodePort: {port}}}]}}
"""


class standing:
    """For `with`: a cluster of k1, which controls it, and the workers k2 and k3; as the last scenario left it, or a new one.

    It is kept for the next scenario when it is as declared at the end.
    """

    def __enter__(self):
        if (STANDING / "pool.yaml").exists():
            world = Kubernetes("standing", STANDING)
            try:
                bed.up()
                world.kubernetes()
                world.nothing_to_do()
                world.expect(["k1"], ["k2", "k3"])
                return self.begin(world)
            except (AssertionError, subprocess.SubprocessError):
                pass
        shutil.rmtree(STANDING, ignore_errors=True)
        bed.fresh("k1", "k2", "k3")
        STANDING.mkdir()
        world = Kubernetes("standing", STANDING)
        world.kubernetes()
        world.apply()
        return self.begin(world)

    def begin(self, world):
        self.world = world
        return world

    def __exit__(self, kind, *_):
        if kind is not None:
            kept = Path(tempfile.mkdtemp(prefix="pool-failed-"))
            shutil.copytree(STANDING, kept, dirs_exist_ok=True)
            print(f"    left for a look: {kept}", flush=True)
            shutil.rmtree(STANDING, ignore_errors=True)
            return
        self.world.kubectl("delete", "deploy,service,pdb,pod", "--all", "--wait=false", "--grace-period=1", check=False)
        self.world.kubernetes()
        if self.world.pool("plan", "--detailed-exitcode", code=None) and self.world.last != 0:
            self.world.apply(code=None)


def timed(what, begun):
    print(f"    {what}: {time.monotonic() - begun:.1f} s", flush=True)
