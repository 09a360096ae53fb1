"""Docker Engine and Docker Swarm, on hosts k5 to k9."""
import time

import bed
from world import World, timed

IMAGE = f"{bed.MIRROR}:5000/docker.io/pool/hello:1"


class _Swarm(World):
    def swarm(self, managers, workers=(), cluster=None, runtime=None, **more):
        """Declares a swarm of these hosts; images come from the company's registry."""
        runtime = {"type": "docker", "registries": ["company"], **(runtime or {})}
        bootstrap = {"runtime": runtime, **more.pop("bootstrap", {})}

        def pool(hosts):
            known = {host: {"address": bed.address(host), "host_key": bed.key(host)} for host in hosts}
            return {"hosts": known, "place": {"on": ["hosts"]}, "bootstrap": bootstrap}

        pools = {"managers": pool(managers)}
        if workers:
            pools["workers"] = pool(workers)
        spec = {"type": "swarm", "managers": "managers", "workers": ["workers"] if workers else [], "drain_timeout": "60s", **(cluster or {})}
        self.declare(pools, {"dock": spec}, registries={"company": {"address": f"{bed.MIRROR}:5000", "ca": "files/ca.crt"}}, **more)

    @staticmethod
    def nodes(manager):
        """Host → (state, availability, role), as a manager sees it."""
        rows = bed.on(manager, "docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}'").splitlines()
        out = {}
        for row in rows:
            name, status, availability, *role = row.split()
            out[name] = (status, availability, "manager" if role else "worker")
        return out

    def expect(self, managers, workers=()):
        wanted = {host: ("Ready", "Active", "manager" if host in managers else "worker") for host in (*managers, *workers)}
        bed.until(f"the swarm is {wanted}", lambda: self.nodes(managers[0]) == wanted, 30)

    @staticmethod
    def serve(manager, replicas):
        """A service on a network across all nodes, by name."""
        bed.on(manager, "docker network inspect across >/dev/null 2>&1 || docker network create -d overlay --attachable across")
        bed.on(manager, f"docker service create -q --name hello --network across --endpoint-mode dnsrr --replicas {replicas} "
                        f"--replicas-max-per-node 1 {IMAGE}", within=180)

    @staticmethod
    def answers(asking, replicas):
        """A container on a node reaches the tasks of all nodes by the service's name."""
        def answered():
            said = bed.on(asking, f"docker run --rm --network across {IMAGE} -n 30 -get http://hello:8080/", check=False)
            return len({line.split()[2] for line in said.splitlines() if line.startswith("hello from")}) == replicas
        bed.until(f"{replicas} tasks answer to {asking}", answered, 90)


def three_managers():
    """Three managers and a worker with a service that answers across nodes; one manager is lost and replaced; promoted, demoted, drained, left."""
    hosts = ("k5", "k6", "k7", "k8")
    bed.fresh(*hosts)
    with _Swarm("swarm") as world:
        world.swarm(hosts[:3], hosts[3:], {"labels": {"workers": {"tier": "back"}}})
        begun = time.monotonic()
        world.apply()
        timed("from bare hosts", begun)
        world.expect(hosts[:3], hosts[3:])
        begun = time.monotonic()
        world.apply()
        timed("again", begun)
        assert time.monotonic() - begun < 3
        _token_ends("k5")
        assert "back" in bed.on("k5", "docker node inspect k8 --format '{{.Spec.Labels}}'")
        world.serve("k5", 4)
        for host in hosts:
            world.answers(host, 4)
        _engines_started_anew(world, hosts)
        _manager_lost(world)
        _turned(world)
        world.destroy()
        for host in ("k5", "k6", "k8", "k9"):
            assert "inactive" in bed.on(host, "docker info --format '{{.Swarm.LocalNodeState}}'"), host
    bed.down("k5", "k6", "k7", "k8", "k9")


def _token_ends(manager):
    """The token that others joined with is worthless after some minutes; here at once, because the timer is not waited for."""
    token = "docker swarm join-token -q worker"
    before = bed.on(manager, token)
    bed.on(manager, "systemctl is-active pool-token-worker.timer")
    bed.on(manager, "systemctl start pool-token-worker.service")
    bed.until("the token is another one", lambda: bed.on(manager, token) != before, 30)


def _engines_started_anew(world, hosts):
    """Engines that must be started anew are, on managers one after the other: there is always a majority."""
    for host in hosts:
        bed.on(host, "rm /run/pool/docker.service; touch /etc/docker/daemon.json")
    begun = time.monotonic()
    seen, _ = world.events()
    timed("all engines started anew", begun)
    runtimes = [event["detail"] for event in seen if event.get("event") == "step_progress" and "runtime docker done" in event["detail"]]
    assert len(runtimes) == len(hosts), runtimes
    print(f"    {', '.join(runtimes)}", flush=True)
    open_now, most = set(), 0
    for event in seen:
        managers = event.get("address") in [f"host/{host}" for host in hosts[:3]]
        if managers and event["event"] == "step_started":
            open_now.add(event["step"])
        elif event.get("event") in ("step_succeeded", "step_failed"):
            open_now.discard(event.get("step"))
        most = max(most, len(open_now))
    assert most == 1, f"{most} managers at a time"
    world.expect(hosts[:3], hosts[3:])
    world.nothing_to_do()
    world.answers(hosts[0], 4)


def _manager_lost(world):
    """k7 loses its power for good; k9 takes its part."""
    bed.kill("k7")
    bed.until("the swarm misses it", lambda: world.nodes("k5").get("k7", ("Down",))[0] != "Ready", 60)
    bed.fresh("k9")
    known = world.text["pools"]["managers"]["hosts"]
    known["k9"] = {"address": bed.address("k9"), "host_key": bed.key("k9")}
    del known["k7"]
    world.declare(world.text["pools"], world.text["clusters"], registries=world.text["registries"])
    begun = time.monotonic()
    world.apply()
    timed("a lost manager replaced", begun)
    world.expect(("k5", "k6", "k9"), ("k8",))
    world.answers("k9", 4)
    world.nothing_to_do()


def _turned(world):
    """A worker is promoted, a manager demoted, where they stand; a worker is emptied and leaves."""
    managers, workers = (world.text["pools"][pool]["hosts"] for pool in ("managers", "workers"))
    managers["k8"], workers["k9"] = workers.pop("k8"), managers.pop("k9")
    world.declare(world.text["pools"], world.text["clusters"], registries=world.text["registries"])
    world.apply()
    world.expect(("k5", "k6", "k8"), ("k9",))
    world.nothing_to_do()
    bed.on("k5", "docker service scale -d hello=3")
    gone = workers.pop("k9")
    managers["k9"] = gone
    managers.pop("k9")
    world.text["pools"].pop("workers")
    world.text["clusters"]["dock"].update(workers=[], labels={})
    world.declare(world.text["pools"], world.text["clusters"], registries=world.text["registries"])
    said = world.apply()
    assert "drain" in said, said
    world.expect(("k5", "k6", "k8"))
    world.answers("k5", 3)


def docker_with_gvisor():
    """Docker Engine with gVisor beside runc, from an artifact; `docker run --runtime runsc` sees another kernel."""
    import hashlib
    import shutil
    bed.fresh("k5")
    with _Swarm("gvisor") as world:
        shutil.copy(bed.STATE / "srv/files/gvisor.tar.gz", world.dir / "files")
        digest = hashlib.sha256((world.dir / "files/gvisor.tar.gz").read_bytes()).hexdigest()
        known = {"k5": {"address": bed.address("k5"), "host_key": bed.key("k5")}}
        runtime = {"type": "docker", "registries": ["company"], "sandboxes": ["gvisor"]}
        bootstrap = {"runtime": runtime, "unpack": {"gvisor": {"to": "/usr/local"}}}
        world.declare({"one": {"hosts": known, "place": {"on": ["hosts"]}, "bootstrap": bootstrap}},
                      registries={"company": {"address": f"{bed.MIRROR}:5000", "ca": "files/ca.crt"}},
                      artifacts={"gvisor": {"path": "files/gvisor.tar.gz", "sha256": digest}})
        begun = time.monotonic()
        world.apply()
        timed("from a bare host", begun)
        world.nothing_to_do()
        run = "docker run -d --name {0} --runtime {1} " + IMAGE
        for name, runtime in (("plain", "runc"), ("boxed", "runsc")):
            bed.on("k5", run.format(name, runtime))
        assert "gvisor" in _kernel("boxed") and "gvisor" not in _kernel("plain")
        bed.on("k5", "docker rm -f plain boxed")
    bed.down("k5")


def _kernel(container):
    address = bed.on("k5", f"docker inspect {container} --format '{{{{.NetworkSettings.IPAddress}}}}'").strip()
    said = []

    def answered():
        said[:] = [bed.on("k5", f"/opt/bed/hello -get http://{address}:8080/kernel || echo failed").lower()]
        return "failed" not in said[0]
    bed.until(f"{container} answers", answered, 60)
    return said[0]
