"""What operators do beside plan and apply: checks, rights, copies, taking over."""
import base64
import contextlib
import json
import subprocess

import yaml

import bed
from world import World


def checked():
    """`pool check` passes on what can be made, and names what cannot: image, zone, quota, volume type."""
    with World("check") as world:
        world.declare({"web": world.hosts(2, volumes={"data": {"size": "1GiB", "tier": "high", "on_remove": "delete"}})})
        world.pool("check")
        used = world.sdk.compute.get("/limits").json()["limits"]["absolute"]["totalInstancesUsed"]
        with bed.quota("compute", instances=used + 1):
            said = world.pool("check", code=5)
            assert "hosts" in said, said
        data = {"data": {"size": "1GiB", "tier": "high", "on_remove": "delete"}}
        world.declare({"web": world.hosts(1, image="gone", volumes=data), "app": world.hosts(1, place={"on": ["private/*/nowhere"]})},
                      images={"base": {"private": "tiny"}, "gone": {"private": "no-such-image"}}, tiers={"high": {"backends": ["private/no-such-type"]}})
        said = world.pool("check", code=5)
        for word in ("no-such-image", "nowhere", "no-such-type"):
            assert word in said, f"{word}: {said}"
        world.expect()


def least_rights():
    """An application credential of the role member alone is enough for everything; a wrong one is exit 3."""
    with World("least") as world:
        sdk = world.sdk
        user = sdk.current_user_id
        credential = sdk.identity.create_application_credential(user=user, name=world.prefix, roles=[{"name": "member"}])
        try:
            def clouds(secret):
                world.clouds(json.dumps({"clouds": {"demo": {
                    "region_name": "RegionOne", "auth_type": "v3applicationcredential",
                    "auth": {"auth_url": f"http://{bed.address()[0]}:{bed.address()[1]}/v3",
                             "application_credential_id": credential.id, "application_credential_secret": secret}}}}))

            clouds(credential.secret)
            world.declare(networks={"front": world.network(router="public")}, pools={"web": world.hosts(
                2, public="public", place={"on": ["private/*/az1"], "apart": "may"},
                volumes={"data": {"size": "1GiB", "tier": "high", "on_remove": "delete"}})})
            world.pool("check")
            world.apply()
            world.nothing_to_do()
            world.expect(servers=2, ports=2, floating_ips=2, networks=1, subnets=1, routers=1, security_groups=1, volumes=2, server_groups=1)
            clouds("wrong")
            said = world.pool("plan", code=3)
            assert "wrong" not in said, "no secret in what is said"
            clouds(credential.secret)
            world.destroy()
        finally:
            sdk.identity.delete_application_credential(user, credential.id)
        assert "Could not find Application Credential" in world.pool("plan", code=3)
        world.clouds(bed.CLOUDS.read_text())


def adopted():
    """Machines that openstacksdk made are taken over with a plan that changes nothing, set up, and let go as they were."""
    with World("adopt") as world, contextlib.ExitStack() as stack:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", world.dir / "login"], check=True)
        machines = [_Foreign(world, stack, ordinal) for ordinal in range(2)]
        world.declare({}, networks={}, providers={"private": {
            "type": "openstack", "cloud": "demo", "ssh": {"user": "root", "key": {"file": "login"}, "trust": "console"}}})
        world.pool("adopt", "private", "--only", f"{world.prefix}*", "--write", "adopted.pool.yaml")
        text = (world.dir / "adopted.pool.yaml").read_text()
        for machine in machines:
            assert machine.id in text and machine.volume in text, text
        before = [machine.seen() for machine in machines]
        plan = world.pool("plan")
        assert "0 to add, 0 to change, 0 to replace, 0 to destroy" in plan, plan
        world.apply()
        assert before == [machine.seen() for machine in machines], "taking over changes nothing"
        world.nothing_to_do()

        pools = yaml.safe_load(text)["pools"]
        assert len(pools) == 1, text
        pool, = pools
        (world.dir / "setup.pool.yaml").write_text(text.replace(
            f"  {pool}:\n", f"  {pool}:\n    bootstrap: {{ files: {{ /etc/motd: {{ content: \"kept by pool\\n\", mode: \"0644\" }} }} }}\n", 1))
        (world.dir / "adopted.pool.yaml").unlink()
        world.apply()
        for host in pools[pool]["hosts"]:
            assert "kept by pool" in world.on(host, "cat /etc/motd"), host
        world.nothing_to_do()
        world.pool("destroy", "--yes")
        assert before == [machine.seen() for machine in machines], "what is let go is as it was"


class _Foreign:
    """A machine with a network of its own and a volume, of which `pool` knows nothing."""

    def __init__(self, world, stack, ordinal):
        self.world, self.sdk, name = world, world.sdk, f"{world.prefix}-{ordinal}"
        network = self.sdk.network.create_network(name=name)
        stack.callback(self.sdk.network.delete_network, network)
        block = world.second.rsplit(".", 1)[0]
        self.sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr=f"{block}.{128 * ordinal}/25", enable_dhcp=False, gateway_ip=None)
        volume = self.sdk.block_storage.create_volume(name=name, size=1, volume_type="gold")
        self.volume = volume.id
        stack.callback(self.sdk.block_storage.delete_volume, volume)
        config = {"users": [{"name": "root", "ssh_authorized_keys": [(world.dir / "login.pub").read_text()]}]}
        self.id = self.sdk.compute.create_server(
            name=name, image_id=self.sdk.image.find_image("tiny").id, flavor_id=self.sdk.compute.find_flavor("m1.small").id,
            networks=[{"uuid": network.id}], user_data=base64.b64encode(b"#cloud-config\n" + json.dumps(config).encode()).decode()).id
        stack.callback(self.gone)
        self.sdk.compute.wait_for_server(self.sdk.compute.get_server(self.id), wait=120)
        self.sdk.compute.create_volume_attachment(self.id, volume_id=volume.id)
        bed.until("the volume is attached", lambda: self.sdk.block_storage.get_volume(volume.id).status == "in-use")

    def gone(self):
        self.sdk.compute.delete_server(self.id)
        self.sdk.compute.wait_for_delete(self.sdk.compute.get_server(self.id), wait=60)
        bed.until("the volume is free", lambda: self.sdk.block_storage.get_volume(self.volume).status == "available")

    def seen(self):
        """All that the services say of it."""
        server = self.sdk.compute.get_server(self.id).to_dict()
        ports = [port.to_dict() for port in self.sdk.network.ports(device_id=self.id)]
        for thing in (server, *ports):
            thing.pop("location", None)
        volume = self.sdk.block_storage.get_volume(self.volume)
        return server, ports, (volume.name, volume.size, volume.volume_type, volume.status, volume.metadata, volume.attachments)


def copies():
    """Snapshot, restore, backup, a volume from a copy, and all of it gone in the end; every byte is what it was."""
    with World("copy") as world:
        def declare(hosts, **more):
            world.declare({"db": world.hosts(1, volumes={"data": {"size": "1GiB", "tier": "high", "mount": "/srv/data", "on_remove": "delete"}}), **hosts}, **more)

        declare({})
        world.apply()
        world.on("db-0", "echo first > /srv/data/mark; sync")
        world.pool("volume", "snapshot", "volume/db-0.data", "one", "--yes")
        world.pool("volume", "backup", "volume/db-0.data", "kept", "--yes")
        whole = dict(servers=1, ports=1, networks=1, subnets=1, security_groups=1, volumes=1, snapshots=1, backups=1)
        world.expect(**whole)
        world.nothing_to_do()
        declare({"copy": world.hosts(1, volumes={"data": {
            "size": "1GiB", "tier": "high", "mount": "/srv/data", "on_remove": "delete", "from": "snapshot/db-0.data.one"}})})
        world.on("db-0", "echo second > /srv/data/mark; sync")
        world.apply()
        assert "first" in world.on("copy-0", "cat /srv/data/mark"), "a volume from a snapshot has its bytes"
        world.nothing_to_do()
        declare({})
        world.apply()
        world.on("db-0", "umount /srv/data")
        world.pool("volume", "restore", "snapshot/db-0.data.one", "--yes")
        world.apply()
        assert "first" in world.on("db-0", "cat /srv/data/mark"), "a restored snapshot"
        world.on("db-0", "echo third > /srv/data/mark; sync; umount /srv/data")
        world.pool("volume", "restore", "backup/db-0.data.kept", "--yes")
        world.apply()
        assert "first" in world.on("db-0", "cat /srv/data/mark"), "a restored backup"
        world.pool("volume", "delete", "snapshot/db-0.data.one", "--yes")
        world.pool("volume", "delete", "backup/db-0.data.kept", "--yes")
        world.expect(**{**whole, "snapshots": 0, "backups": 0})
        world.nothing_to_do()


def powered():
    """Hosts are stopped, started and restarted by name; what is declared is on. Host keys come from the console where that is asked for."""
    with World("power") as world:
        world.declare({"web": world.hosts(2)}, providers={"private": {
            "type": "openstack", "cloud": "demo", "ssh": {"user": "root", "trust": "console"}}})
        world.apply()
        ids = {host: world.server(host).id for host in ("web-0", "web-1")}
        assert "up" in world.on("web-0", "echo up")
        world.pool("host", "stop", "web-0", "--yes")
        assert world.server("web-0").status == "SHUTOFF"
        world.apply()
        assert world.server("web-0").status == "ACTIVE"
        world.pool("host", "restart", "host/web-*", "--yes")
        for host, id in ids.items():
            assert (world.server(host).id, world.server(host).status) == (id, "ACTIVE")
            assert "up" in world.on(host, "echo up")
        world.nothing_to_do()
        world.expect(servers=2, ports=2, networks=1, subnets=1, security_groups=1)
