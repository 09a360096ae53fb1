"""Full zones and full quotas."""
import bed
from world import World


def full_zone():
    """A zone that is full: the approved alternative is taken, and nothing is left of the attempts."""
    with World("full") as world:
        world.declare({"big": world.hosts(4, **_big(["private/*/az-small", "private/*/az2"]))})
        said = world.apply()
        zones = sorted(world.server(f"big-{ordinal}").availability_zone for ordinal in range(4))
        assert zones == ["az-small", "az-small", "az-small", "az2"], f"{zones}\n{said}"
        world.expect(servers=4, ports=4, networks=1, subnets=1, security_groups=1)
        world.nothing_to_do()


def no_zone_left():
    """A zone that is full and no alternative: the words of the scheduler, the rest is made, nothing is left behind."""
    with World("none") as world:
        world.declare({"big": world.hosts(4, **_big(["private/*/az-small"]))})
        said = world.pool("apply", "--yes", code=8)
        assert "No valid host" in said, said
        world.expect(servers=3, ports=3, networks=1, subnets=1, security_groups=1)


def quota_at_plan():
    """A quota that is too small is said at the plan, before anything is made."""
    with World("quota") as world:
        world.declare({"web": world.hosts(4)})
        with bed.quota("compute", instances=_used(world) + 2):
            said = world.pool("plan", code=5)
            assert "hosts" in said and "quota" in said.lower() or "limit" in said.lower(), said
            world.expect()
        world.apply()
        world.expect(servers=4, ports=4, networks=1, subnets=1, security_groups=1)


def quota_at_run_time():
    """A quota that is lowered after the plan: what fits is made, the rest says so, and the next apply mends."""
    with World("late") as world:
        world.declare({"web": world.hosts(4)})
        plan = world.pool("plan", "-o", "saved")
        assert "Plan:" in plan
        with bed.quota("compute", instances=_used(world) + 2):
            # One call at a time: of several at once Nova refuses more than would not fit, as each counts the others.
            said = world.pool("apply", "saved", "--limit", "private=1", code=8)
            assert "quota" in said.lower(), said
            world.expect(servers=2, ports=2, networks=1, subnets=1, security_groups=1)
        world.apply()
        world.expect(servers=4, ports=4, networks=1, subnets=1, security_groups=1)
        world.nothing_to_do()


def _big(places):
    """Hosts of which az-small has room for three."""
    return {"size": {"vcpus": 2, "memory": "4GiB", "disk": "10GiB"}, "place": {"on": places, "offerings": ["m1.medium"]}}


def _used(world):
    return world.sdk.compute.get("/limits").json()["limits"]["absolute"]["totalInstancesUsed"]
