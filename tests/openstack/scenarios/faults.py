"""A cloud that fails, hangs and dies, and a `pool` that is killed."""
import random
import threading
import time

import bed
from world import World, timed

KILLS = 20


def one_of_ten():
    """One server of ten fails to build: exit 8 with Nova's words, and the next apply mends it."""
    with World("ten") as world:
        world.declare({"web": world.hosts(10)})
        with bed.fault(abort=1, only="web-7"):
            said = world.pool("apply", "--yes", code=8)
            assert "web-7" in said and "abort" in said.lower(), said
        good = {f"web-{ordinal}": world.server(f"web-{ordinal}").id for ordinal in range(10) if ordinal != 7}
        world.apply()
        world.expect(servers=10, ports=10, networks=1, subnets=1, security_groups=1)
        assert good == {host: world.server(host).id for host in good}, "the nine are the machines that they were"
        world.nothing_to_do()


def dead_compute():
    """The only hypervisor of a zone dies and comes back: the hosts that it was to build are built, once."""
    with World("dead") as world:
        world.declare({"web": world.hosts(4, place={"on": ["private/*/az1", "private/*/az2"], "spread": "zone"})})
        with bed.dead("nova-compute-cmp3"):
            process = world.start("apply", "--yes")
            time.sleep(45)
        ended = process.wait(600)
        if ended:
            world.apply()
        world.expect(servers=4, ports=4, networks=1, subnets=1, security_groups=1)
        world.nothing_to_do()


def down_compute():
    """A zone whose hypervisor is known to be down: the alternative is taken."""
    with World("down") as world:
        admin = bed.connect("admin")
        world.declare({"web": world.hosts(2, place={"on": ["private/*/az2", "private/*/az1"]})})
        with bed.dead("nova-compute-cmp3"):
            bed.until("Nova knows that cmp3 is down", lambda: any(
                service.host == "cmp3" and service.state == "down" for service in admin.compute.services()), within=180, every=2)
            world.apply()
            assert {world.server(f"web-{ordinal}").availability_zone for ordinal in (0, 1)} == {"az1"}
        world.expect(servers=2, ports=2, networks=1, subnets=1, security_groups=1)


def stopped_apis():
    """All services hang for 30 s in the middle of a run: it goes on, and nothing is made twice."""
    with World("hang") as world:
        world.declare({"web": world.hosts(8, volumes={"data": {"size": "1GiB", "tier": "high", "on_remove": "delete"}})})
        process = world.start("apply", "--yes")
        bed.until("servers are being made", lambda: len(world.counted().found["servers"]) >= 2, within=120)
        with bed.stopped("nova-api", "neutron", "cinder-api", "keystone"):
            time.sleep(30)
        ended = process.wait(600)
        assert ended in (0, 8), ended
        if ended:
            world.apply()
        world.expect(servers=8, ports=8, networks=1, subnets=1, security_groups=1, volumes=8)
        world.nothing_to_do()


def killed():
    """`pool` is killed at 20 random moments: the next apply goes on, nothing is lost, doubled or left."""
    with World("kill") as world:
        sizes = [6, 2, 5, 1, 6, 3]

        def declare(round_):
            hosts = sizes[round_ % len(sizes)]
            world.declare({
                "web": world.hosts(hosts, place={"on": ["private/*/az1", "private/*/az2"], "spread": "zone"}),
                "db": world.hosts(1 + round_ % 2, volumes={"data": {"size": "1GiB", "tier": "high", "mount": "/srv/data", "on_remove": "delete"}}),
            })

        kills, round_ = 0, 0
        random.seed(world.prefix)
        begun = time.monotonic()
        while kills < KILLS:
            declare(round_)
            for _ in range(3):
                kills += world.killed("apply", "--yes", after=random.uniform(0.3, 9))
            round_ += 1
        timed(f"{kills} kills in {round_} rounds", begun)
        declare(0)
        world.apply()
        world.expect(servers=7, ports=7, networks=1, subnets=1, security_groups=1, volumes=1)
        world.nothing_to_do()


def two_at_once():
    """Two runs of one inventory at once: one has the lease, the other says so, and all is made once."""
    with World("two") as world:
        world.declare({"web": world.hosts(3)})
        first = world.start("apply", "--yes")
        time.sleep(2)
        codes = []
        second = threading.Thread(target=lambda: codes.append(world.start("apply", "--yes").wait(300)))
        second.start()
        assert first.wait(300) == 0
        second.join()
        assert codes[0] in (0, 6, 7), codes
        world.expect(servers=3, ports=3, networks=1, subnets=1, security_groups=1)
