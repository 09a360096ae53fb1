"""Much at once: changes of every kind in one plan, and machines that break while they change."""
import bed
from world import World

MARK = "written before the change"


def all_at_once():
    """Rules, labels, flavor, tier and size in one plan: everything changes in place, nothing is lost, nothing is doubled."""
    with World("mixed") as world:
        def declare(ingress, labels, vcpus, size, tier):
            world.declare(
                networks={"front": world.network(ingress=ingress)},
                pools={"web": world.hosts(3, labels=labels, size={"vcpus": vcpus, "memory": "1GiB", "disk": "10GiB"},
                                          place={"on": ["private/*/az1", "private/*/az2"], "spread": "zone"}, volumes=_data(size, tier))})

        ssh = {"ssh": {"from": "any", "port": "22"}}
        declare(ssh, {"role": "frontend", "stage": "one"}, 1, "1GiB", "high")
        world.apply()
        whole = dict(servers=3, ports=3, networks=1, subnets=1, security_groups=1, volumes=3)
        before = world.expect(**whole)
        hosts = [f"web-{ordinal}" for ordinal in range(3)]
        for host in hosts:
            _write(world, host)

        declare({**ssh, "https": {"from": "any", "port": "443"}}, {"role": "backend", "team": "shop"}, 2, "2GiB", "low")
        plan = world.pool("plan")
        for word in ("ingress.https", "m1.medium", "private/bronze"):
            assert word in plan, f"{word}: {plan}"
        assert "0 to replace, 0 to destroy" in plan, plan
        world.apply()

        after = world.expect(**whole)
        for kind in whole:
            assert before.ids(kind) == after.ids(kind), f"{kind} were replaced"
        open_ports = {rule.port_range_min for id in after.ids("security_groups")
                      for rule in world.sdk.network.security_group_rules(security_group_id=id) if rule.direction == "ingress" and rule.port_range_min}
        assert open_ports == {22, 443}, open_ports
        for host in hosts:
            server, volume = world.server(host), world.volume(f"{host}.data")
            assert server.status == "ACTIVE" and "m1.medium" in (server.flavor.name, server.flavor.original_name), server.flavor
            labels = {key: value for key, value in server.metadata.items() if not key.startswith("pool_")}
            assert labels == {"role": "backend", "team": "shop"}, labels
            assert (volume.volume_type, volume.size, volume.status) == ("bronze", 2, "in-use"), volume
            assert bed.volume_file(volume.id)[1] == "bronze"
            assert MARK in world.on(host, "cat /srv/data/mark"), host
        world.nothing_to_do()


def broken_with_volumes():
    """A server in ERROR with volumes is replaced while they change tier and size: the volumes come along with every byte."""
    with World("error") as world:
        admin = bed.connect("admin")

        def declare(size, tier):
            world.declare({"db": world.hosts(2, volumes={
                **_data(size, tier), "log": {"size": "1GiB", "tier": "mid", "mount": "/srv/log", "on_remove": "delete"}})})

        declare("1GiB", "high")
        world.apply()
        whole = dict(servers=2, ports=2, networks=1, subnets=1, security_groups=1, volumes=4)
        before = world.expect(**whole)
        for host in ("db-0", "db-1"):
            _write(world, host)
        broken, good = world.server("db-0"), world.server("db-1")

        _break(admin, broken)
        world.apply()
        again = world.expect(**whole)
        assert before.ids("volumes") == again.ids("volumes"), "volumes were replaced"
        assert world.server("db-0").id != broken.id and world.server("db-1").id == good.id
        _kept(world, "db-0", "high", 1)
        world.nothing_to_do()

        broken = world.server("db-0")
        _break(admin, broken)
        declare("2GiB", "low")
        plan = world.pool("plan")
        assert "-/+ host/db-0" in plan and "private/bronze" in plan, plan
        world.apply()
        after = world.expect(**whole)
        assert before.ids("volumes") == after.ids("volumes"), "volumes were replaced"
        assert world.server("db-0").id != broken.id and world.server("db-1").id == good.id
        for host in ("db-0", "db-1"):
            _kept(world, host, "low", 2)
        world.nothing_to_do()


def _data(size, tier):
    return {"data": {"size": size, "tier": tier, "mount": "/srv/data", "on_remove": "delete"}}


def _write(world, host):
    world.on(host, f"echo {MARK} > /srv/data/mark; sync")


def _break(admin, server):
    answer = admin.compute.post(f"/servers/{server.id}/action", json={"os-resetState": {"state": "error"}})
    assert answer.ok, answer.text


def _kept(world, host, tier, size):
    volume, kinds = world.volume(f"{host}.data"), {"high": "gold", "low": "bronze"}
    assert (volume.volume_type, volume.size, volume.status) == (kinds[tier], size, "in-use"), volume
    assert [attachment["server_id"] for attachment in volume.attachments] == [world.server(host).id], volume.attachments
    assert bed.volume_file(volume.id)[1] == kinds[tier]
    assert MARK in world.on(host, "cat /srv/data/mark"), host
    mounts = world.on(host, "cat /proc/mounts")
    assert " /srv/data ext4" in mounts and " /srv/log ext4" in mounts, mounts
