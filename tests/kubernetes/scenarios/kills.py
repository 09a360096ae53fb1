"""`pool` and hosts are killed in the middle, and everything goes on from there."""
import time

import bed
from world import Kubernetes, standing, timed


def killed_everywhere():
    """`pool` is killed once at every boundary: each phase of each host, each step; every apply goes on where the last one stopped."""
    first, *workers = hosts = ("k5", "k6", "k7")
    bed.fresh(*hosts)
    with Kubernetes("kills") as world:
        world.first = first
        world.kubernetes(control=[first], workers=workers)
        met, runs, begun = set(), 0, time.monotonic()
        while True:
            runs += 1
            killed, steps = False, {}

            def boundary(event, _):
                place = _place(event, steps)
                if place is None or place in met:
                    return False
                met.add(place)
                return True
            # One step at a time: what runs beside the step that is cut off would go past its own boundaries.
            _, killed = world.events("--parallelism", "1", kill_at=boundary, code=0)
            if not killed:
                break
            assert runs < 200, "it never ends"
        timed(f"{runs} applies, {len(met)} boundaries", begun)
        for host in hosts:
            _kill_at_the_rest(world, host, met)
            phases = {phase for address, phase in met if address.endswith(f"/{host}")}
            print(f"    {host}: {', '.join(sorted(phases))}", flush=True)
            assert {"bootstrap started", *SPOILT, "bootstrap done", "member"} <= phases, phases
        world.expect([first], workers)
        world.nothing_to_do()
        world.serve(*workers)
        world.destroy()
    bed.down(*hosts)


# Phase of a bootstrap → what gives it something to do again.
SPOILT = {
    "package": "dpkg --force-all -r socat",
    "file": "rm /etc/modules-load.d/pool-kubernetes.conf",
    "runtime": "systemctl stop containerd",
    "sysctl": "sysctl -w net.ipv4.ip_forward=0",
    "packages": "apt-mark unhold kubectl",
}


def _kill_at_the_rest(world, host, met):
    """A host goes on for some milliseconds while `pool` is being killed, and past short phases: they are met one by one."""
    for phase, spoil in SPOILT.items():
        place = (f"host/{host}", phase)
        if place in met:
            continue
        bed.on(host, spoil)
        steps = {}
        _, killed = world.events(kill_at=lambda event, _: _place(event, steps) == place)
        assert killed, f"{host} was not cut off in {phase}"
        met.add(place)
        world.apply()


def killed_while_leaving():
    """`pool` is killed at every boundary of a removal, too."""
    with standing() as world:
        world.serve("k2", "k3")
        world.kubernetes(workers=("k2",))
        met = set()
        while True:
            steps = {}

            def boundary(event, _):
                place = _place(event, steps)
                if place is None or place in met:
                    return False
                met.add(place)
                return True
            _, killed = world.events(kill_at=boundary, code=0)
            if not killed:
                break
        print(f"    {', '.join(sorted(' '.join(place) for place in met))}", flush=True)
        world.expect(["k1"], ["k2"])
        world.nothing_to_do()


def worker_killed_in_its_join():
    """A worker loses its power while it joins, comes back, and joins."""
    with standing() as world:
        world.kubernetes(workers=("k2",))
        world.apply()
        world.kubernetes()
        steps = {}

        def joins(event, _):
            place = _place(event, steps)
            if place == ("member/k8s/k3", "join started"):
                # Between the note on the host and the node in the cluster.
                bed.until("it joins", lambda: "begun" in bed.on("k3", "cat /var/lib/pool/member 2>/dev/null", check=False), 30, 0.1)
                bed.kill("k3")
            return False
        seen, _ = world.events(kill_at=joins, code=None)
        assert any(event.get("event") == "step_failed" for event in seen), seen[-3:]
        bed.start("k3")
        begun = time.monotonic()
        world.apply()
        timed("joined after all", begun)
        world.expect(["k1"], ["k2", "k3"])
        world.nothing_to_do()


def rebooted_in_its_bootstrap():
    """A bare host reboots while packages are installed; the next apply goes on."""
    with standing() as world:
        bed.fresh("k4")
        world.kubernetes(workers=("k2", "k3", "k4"))
        steps, done = {}, []

        def installs(event, _):
            place = _place(event, steps)
            if place == ("host/k4", "bootstrap started") and not done:
                done.append(True)
                bed.until("packages are installed", lambda: bed.on("k4", "pidof dpkg", check=False).strip(), 90, 0.1)
                bed.restart("k4")
            return False
        world.events(kill_at=installs, code=None)
        assert done
        begun = time.monotonic()
        world.apply()
        timed("bootstrapped and joined after all", begun)
        world.expect(["k1"], ["k2", "k3", "k4"])
        world.kubernetes()
        world.apply()
        bed.down("k4")


def rebooted_cluster():
    """All hosts of a cluster reboot; it comes back by itself, and an apply finds nothing to do."""
    with standing() as world:
        world.serve("k2", "k3")
        for host in ("k1", "k2", "k3"):
            bed.restart(host)
        bed.until("the cluster is back", lambda: _well(world), 120)
        world.answers("k1", "k2", "k3", pods=2)
        world.nothing_to_do()


def _well(world):
    try:
        world.expect(["k1"], ["k2", "k3"])
        return True
    except (AssertionError, ValueError):
        return False


def _place(event, steps):
    """(address, phase): where a run is, when this event is a boundary."""
    kind = event.get("event")
    if kind in ("step_started", "step_succeeded"):
        steps[event["step"]] = event["address"]
        return event["address"], f"{event['verb']} {'started' if kind == 'step_started' else 'done'}"
    if kind == "step_progress" and event["step"] in steps:
        return steps[event["step"]], event["detail"].split()[0]
    return None
