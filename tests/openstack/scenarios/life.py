"""The life of pools: made, set up, scaled, renewed, resized, mended, gone."""
from world import World

BOTH_ZONES = ["private/*/az1", "private/*/az2"]


def life():
    """Three pools over two zones, with rules, volumes of two tiers and bootstrap; scaled out and in by ordinals."""
    with World("life") as world:
        _three_pools(world, web=2)
        world.pool("validate")
        plan = world.pool("plan")
        assert "private/gold" in plan and "private/bronze" in plan, plan
        world.apply()
        expected = dict(servers=5, ports=5, networks=2, subnets=2, security_groups=2, volumes=4)
        world.expect(**expected)
        zones = {world.server(f"web-{ordinal}").availability_zone for ordinal in (0, 1)}
        assert zones == {"az1", "az2"}, zones
        _set_up(world)
        _rules(world)
        world.nothing_to_do()

        before = {host: world.server(host).id for host in ("web-0", "web-1", "db-0", "db-1", "app-0")}
        _three_pools(world, web=4)
        world.apply()
        world.expect(**dict(expected, servers=7, ports=7))
        _three_pools(world, web=1)
        plan = world.pool("plan")
        for ordinal in (1, 2, 3):
            assert f"- host/web-{ordinal}" in plan, plan
        world.apply()
        world.expect(**dict(expected, servers=4, ports=4))
        del before["web-1"]
        assert before == {host: world.server(host).id for host in before}, "the others are the machines that they were"
        world.nothing_to_do()


def _three_pools(world, web):
    motd = {"files": {"/etc/motd": {"content": "kept by pool\n", "mode": "0644"}}}
    world.declare(
        networks={
            "front": world.network(ingress={"ssh": {"from": "any", "port": "22"}, "https": {"from": "any", "port": "443"}}),
            "back": {"cidr": world.second, "on": ["private"], "dhcp": False,
                     "ingress": {"ssh": {"from": "any", "port": "22"}, "db": {"from": "network/front", "port": "5432"}}},
        },
        pools={
            "web": world.hosts(web, place={"on": BOTH_ZONES, "spread": "zone"}, bootstrap=motd, labels={"role": "frontend"}),
            "app": world.hosts(1, bootstrap={"directories": {"/srv/app": {"mode": "0750"}}, **motd}),
            "db": world.hosts(2, network="back", place={"on": BOTH_ZONES, "spread": "zone"}, bootstrap=motd, volumes={
                "data": {"size": "1GiB", "tier": "high", "mount": "/srv/data", "on_remove": "delete"},
                "log": {"size": "1GiB", "tier": "low", "mount": "/srv/log", "on_remove": "delete"},
            }),
        },
    )


def _set_up(world):
    for host in ("web-0", "web-1", "db-0", "db-1", "app-0"):
        assert "kept by pool" in world.on(host, "cat /etc/motd"), host
    assert "drwxr-x---" in world.on("app-0", "ls -ld /srv/app")
    for host in ("db-0", "db-1"):
        mounts = world.on(host, "cat /proc/mounts")
        assert " /srv/data ext4" in mounts and " /srv/log ext4" in mounts, mounts


def _rules(world):
    """Each network has one security group, each port is in that of its network, and the rules are those of the inventory."""
    count = world.counted()
    ports = [world.sdk.network.get_port(id) for id in count.ids("ports")]
    groups = {id: [rule for rule in world.sdk.network.security_group_rules(security_group_id=id)] for id in count.ids("security_groups")}
    assert all(len(port.security_group_ids) == 1 and port.security_group_ids[0] in groups for port in ports)
    open_ports = {rule.port_range_min for rules in groups.values() for rule in rules if rule.direction == "ingress" and rule.port_range_min}
    assert open_ports == {22, 443, 5432}, open_ports


def renewed():
    """A new image by rebuild and a new size by resize: the same servers, the same addresses, the volumes kept."""
    with World("renew") as world:
        def declare(image, vcpus):
            world.declare({"web": world.hosts(2, image=image, size={"vcpus": vcpus, "memory": "1GiB", "disk": "10GiB"}, bootstrap={
                "files": {"/etc/motd": {"content": "kept by pool\n", "mode": "0644"}},
            }, volumes={"data": {"size": "1GiB", "tier": "high", "mount": "/srv/data", "on_remove": "delete"}})})

        declare("base", 1)
        world.apply()
        before = {host: world.server(host) for host in ("web-0", "web-1")}
        world.on("web-0", "echo precious > /srv/data/mark; touch /of-the-old-system; sync")

        declare("next", 1)
        assert "rebuild" in world.pool("plan")
        world.apply()
        _same(world, before, image="tiny-2")
        assert "precious" in world.on("web-0", "cat /srv/data/mark"), "a rebuild keeps the volumes"
        assert "of-the-old" not in world.on("web-0", "ls /"), "a rebuild gives a new system"
        assert "kept by pool" in world.on("web-0", "cat /etc/motd"), "and it is set up again"
        world.nothing_to_do()

        declare("next", 2)
        assert "in place" in world.pool("plan")
        world.apply()
        _same(world, before, image="tiny-2", flavor="m1.medium")
        assert "precious" in world.on("web-0", "cat /srv/data/mark"), "a resize keeps the volumes"
        world.nothing_to_do()
        world.expect(servers=2, ports=2, networks=1, subnets=1, security_groups=1, volumes=2)


def _same(world, before, image=None, flavor=None):
    for host, old in before.items():
        now = world.server(host)
        assert (now.id, now.addresses) == (old.id, old.addresses), f"{host} is another server"
        assert now.status == "ACTIVE", now.status
        if image:
            assert now.image.id == world.sdk.image.find_image(image).id, now.image
        if flavor:
            assert now.flavor.name == flavor or now.flavor.original_name == flavor, now.flavor


def connected():
    """A router, public addresses, fixed addresses, hosts apart; rules and name servers changed in place."""
    with World("net") as world:
        def declare(ingress, dns, public):
            more = {"public": "public"} if public else {}
            world.declare(
                networks={"front": world.network(router="public", ingress=ingress, dns=dns)},
                pools={"web": world.hosts(2, addresses={"web-0": f"{world.block}.77"},
                                          place={"on": ["private/*/az1"], "apart": "must"}, **more)})

        ssh = {"ssh": {"from": "any", "port": "22"}}
        declare(ssh, [], public=True)
        world.apply()
        whole = dict(servers=2, ports=2, floating_ips=2, networks=1, subnets=1, routers=1, security_groups=1, server_groups=1)
        count = world.expect(**whole)
        hosts = {world.server(f"web-{ordinal}").hypervisor_hostname or world.server(f"web-{ordinal}").host_id for ordinal in (0, 1)}
        assert len(hosts) == 2, "apart: must"
        addresses = [a["addr"] for a in next(iter(world.server("web-0").addresses.values()))]
        assert f"{world.block}.77" in addresses, addresses
        world.nothing_to_do()

        declare({**ssh, "web": {"from": "10.0.0.0/8", "port": "8000-8080"}}, ["192.0.2.53"], public=False)
        assert "ingress.web" in world.pool("plan")
        world.apply()
        again = world.expect(**{**whole, "floating_ips": 0})
        for kind in ("servers", "networks", "subnets", "routers", "security_groups"):
            assert count.ids(kind) == again.ids(kind), f"{kind} were replaced"
        rules = [rule for id in again.ids("security_groups") for rule in world.sdk.network.security_group_rules(security_group_id=id)]
        assert any((rule.port_range_min, rule.port_range_max) == (8000, 8080) for rule in rules)
        assert [world.sdk.network.get_subnet(id).dns_nameservers for id in again.ids("subnets")] == [["192.0.2.53"]]
        world.nothing_to_do()


def mended():
    """What was deleted, stopped and relabelled behind our back is seen and mended."""
    with World("mend") as world:
        world.declare({"web": world.hosts(3, labels={"role": "frontend"})})
        world.apply()
        compute = world.sdk.compute
        gone, off, changed = (world.server(f"web-{ordinal}") for ordinal in range(3))
        compute.delete_server(gone.id)
        compute.stop_server(off.id)
        compute.set_server_metadata(changed, role="backend")
        world.sdk.compute.wait_for_delete(compute.get_server(gone.id), wait=60) if compute.find_server(gone.id) else None
        compute.wait_for_server(compute.get_server(off.id), status="SHUTOFF", wait=60)
        plan = world.pool("plan")
        for host in ("web-0", "web-1", "web-2"):
            assert f"host/{host}" in plan, plan
        world.apply()
        assert world.server("web-0").id != gone.id
        assert world.server("web-1").status == "ACTIVE"
        assert world.server("web-2").metadata["role"] == "frontend"
        world.nothing_to_do()
        world.expect(servers=3, ports=3, networks=1, subnets=1, security_groups=1)
