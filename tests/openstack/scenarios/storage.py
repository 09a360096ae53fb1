"""Volumes: their bytes, their sizes, their tiers."""
import hashlib

import bed
from world import World

CONTENT = "head -c 3000000 /dev/urandom > /srv/data/blob; sync; sha256sum < /srv/data/blob"


def tiers():
    """A volume grows in use, moves from gold to bronze by retype with every byte, and goes with its pool."""
    with World("tier") as world:
        def declare(size, tier):
            world.declare({"db": world.hosts(1, volumes={"data": {"size": size, "tier": tier, "mount": "/srv/data", "on_remove": "delete"}})})

        declare("1GiB", "high")
        world.apply()
        digest = _digest(world.on("db-0", CONTENT))
        before = world.volume("db-0.data")
        assert bed.volume_file(before.id)[1] == "gold"

        declare("2GiB", "high")
        assert "in place" in world.pool("plan")
        world.apply()
        assert world.volume("db-0.data").size == 2
        assert int(world.on("db-0", "df --output=size -k /srv/data | tail -1")) > 1_800_000, "the file system grew too"
        assert _digest(world.on("db-0", "sha256sum < /srv/data/blob")) == digest

        declare("2GiB", "low")
        plan = world.pool("plan")
        assert "private/gold" in plan and "private/bronze" in plan, plan
        world.apply()
        after = world.volume("db-0.data")
        assert (after.id, after.volume_type) == (before.id, "bronze"), "the same volume, of the other type"
        file, backend = bed.volume_file(after.id)
        assert backend == "bronze"
        world.on("db-0", "sync")
        assert _digest(world.on("db-0", "sha256sum < /srv/data/blob")) == digest, "every byte came along"
        world.nothing_to_do()
        world.expect(servers=1, ports=1, networks=1, subnets=1, security_groups=1, volumes=1)


def raw_bytes():
    """A detached volume that is retyped has the same bytes in the file of the other backend."""
    with World("raw") as world:
        def declare(hosts, tier):
            # The volume stays when its host goes.
            world.declare({"db": world.hosts(hosts, volumes={"data": {"size": "1GiB", "tier": tier, "on_remove": "keep"}})})

        declare(1, "high")
        world.apply()
        volume = world.volume("db-0.data")
        path, _ = bed.volume_file(volume.id)
        with open(path, "r+b") as file:
            file.seek(5 << 20)
            file.write(b"written by somebody else" * 1000)
        before = _file_digest(path)
        declare(1, "low")
        world.apply()
        path, backend = bed.volume_file(volume.id)
        assert backend == "bronze" and _file_digest(path) == before
        world.nothing_to_do()


def refused_retype():
    """A retype that Cinder silently refuses fails with Cinder's reason, and the volume stays what it was."""
    with World("refuse") as world:
        admin = bed.connect("admin")
        name = f"{world.prefix}-full"
        kind = admin.block_storage.create_type(name=name, extra_specs={"volume_backend_name": "nowhere"})
        try:
            def declare(tier):
                world.declare({"db": world.hosts(1, volumes={"data": {"size": "1GiB", "tier": tier, "on_remove": "delete"}})},
                              tiers={"high": {"backends": ["private/gold"]}, "full": {"backends": [f"private/{name}"]}})

            declare("high")
            world.apply()
            declare("full")
            said = world.pool("apply", "--yes", code={1, 8})
            assert "volume/db-0.data" in said, said
            volume = world.volume("db-0.data")
            assert (volume.volume_type, volume.status) == ("gold", "in-use"), volume
            declare("high")
            world.apply()
            world.nothing_to_do()
            world.destroy()
        finally:
            admin.block_storage.delete_type(kind)


def boots_from_a_tier():
    """Hosts that boot from a volume of a tier; it comes and goes with them."""
    with World("root") as world:
        world.declare({"web": world.hosts(2, root={"tier": "high"})})
        world.apply()
        count = world.counted()
        assert count.numbers()["servers"] == 2, count.numbers()
        roots = [a.volume_id for host in ("web-0", "web-1") for a in world.sdk.compute.volume_attachments(world.server(host).id)]
        assert len(roots) == 2 and all(bed.volume_file(root)[1] == "gold" for root in roots)
        world.nothing_to_do()
        world.destroy()
        left = [v.id for v in world.sdk.block_storage.volumes() if v.id in roots]
        assert not left, "a boot volume goes with its host"


def _digest(said):
    return next(word for word in said.split() if len(word) == 64)


def _file_digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
