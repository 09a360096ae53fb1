#!/usr/bin/python3
"""N servers on a real OpenStack, created, given volumes, refreshed and deleted by `pool`, beside openstacksdk's own loop.

    cargo build --release && benches/openstack.py [--pool target/release/pool] [--servers 100] [--only pool|sdk]

Calls are counted by a proxy between client and services (tests/openstack/proxy.py), CPU and memory are those of the client's whole
process, and the CPU of the services stands beside them: on one computer they are what is waited for. `pool` makes a port and a
server for each host, and volumes of a tier; openstacksdk lets Nova make the port, which is fewer calls, and waits for each
server as its `wait_for_server` does, 20 at a time. Both end with an empty project.
"""
import argparse
import concurrent.futures
import os
import random
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/openstack"))

from measure import run  # noqa: E402

sys.path.remove(str(HERE))  # `openstack` is the library, not this file

AT_ONCE = 20
SDK_PHASES = ("create", "volumes", "refresh", "delete")


# What the services cost


def services_cpu(oslab):
    """CPU seconds of all services so far, by the sessions that the bed started."""
    leaders = {int(file.read_text()) for file in (oslab / "run").glob("*.pid")}
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) in leaders:
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


# The peer: one phase per process, so that each is measured as a whole


def sdk(phase, name, count, clouds):
    import openstack
    config = openstack.config.OpenStackConfig(config_files=[clouds], load_envvars=False)
    cloud = openstack.connection.Connection(config=config.get_one(cloud="demo"))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        globals()[f"sdk_{phase}"](cloud, name, count, lambda work, items: list(threads.map(work, items)))


def sdk_create(cloud, name, count, each):
    image, flavor = cloud.image.find_image("tiny").id, cloud.compute.find_flavor("m1.small").id
    network = cloud.network.find_network(f"{name}-net").id

    def create(index):
        server = cloud.compute.create_server(name=f"{name}-{index}", image_id=image, flavor_id=flavor, networks=[{"uuid": network}])
        cloud.compute.wait_for_server(server, wait=1800)

    each(create, range(count))


def sdk_volumes(cloud, name, count, each):
    def volume(server):
        made = cloud.block_storage.create_volume(name=server.name, size=1, volume_type="gold")
        cloud.block_storage.wait_for_status(made, "available", interval=2, wait=1800)
        cloud.compute.create_volume_attachment(server.id, volume_id=made.id)
        cloud.block_storage.wait_for_status(made, "in-use", interval=2, wait=1800)

    each(volume, [server for server in cloud.compute.servers() if server.name.startswith(name)])


def sdk_refresh(cloud, name, count, each):
    servers = [server for server in cloud.compute.servers() if server.name.startswith(name)]
    ports, volumes = list(cloud.network.ports()), list(cloud.block_storage.volumes())
    assert len(servers) == count and len(ports) >= count and len(volumes) >= count


def sdk_delete(cloud, name, count, each):
    def delete(server):
        cloud.compute.delete_server(server.id)
        cloud.compute.wait_for_delete(server, wait=1800)

    def volume(volume):
        cloud.block_storage.wait_for_status(volume, "available", interval=2, wait=1800)
        cloud.block_storage.delete_volume(volume.id)

    each(delete, [server for server in cloud.compute.servers() if server.name.startswith(name)])
    each(volume, [volume for volume in cloud.block_storage.volumes() if volume.name.startswith(name)])


# `pool`


def inventory(folder, name, count, volumes):
    text = f"""version: 1
name: {name}
providers: {{ private: {{ type: openstack, cloud: demo }} }}
images: {{ base: {{ private: tiny }} }}
networks: {{ front: {{ on: [private], existing: {name}-net }} }}
tiers: {{ high: {{ backends: [private/gold] }} }}
policy: {{ max_destroyed: 100% }}
pools:
  web:
    hosts: {count}
    size: {{ vcpus: 1, memory: 1GiB, disk: 10GiB }}
    image: base
    network: front
    place: {{ on: ["private/*/az1", "private/*/az2"], spread: zone }}
"""
    if volumes:
        text += "    volumes: { data: { size: 1GiB, tier: high, on_remove: delete } }\n"
    (folder / "pool.yaml").write_text(text)


def phases_of_pool(binary, folder, name, count):
    """Phase → (what must stand in the inventory before, command)."""
    words = [binary, "-C", folder]
    return {
        "create": (lambda: inventory(folder, name, count, False), [*words, "apply", "--yes", "-q"]),
        "volumes": (lambda: inventory(folder, name, count, True), [*words, "apply", "--yes", "-q"]),
        "refresh": (lambda: None, [*words, "plan", "-q", "--observe", "providers"]),
        "delete": (lambda: None, [*words, "destroy", "--yes", "-q"]),
    }


# Measuring


def measured(who, phases, proxy, env, oslab):
    rows = {}
    for phase, (before, command) in phases.items():
        before()
        proxy.forget()
        services = services_cpu(oslab)
        wall, cpu, rss, _ = run(command, env=env)
        rows[phase] = dict(wall=wall, cpu=cpu, rss=rss, services=services_cpu(oslab) - services, kinds=proxy.kinds())
        print(f"{who} {phase}: {wall:.0f} s, {sum(rows[phase]['kinds'].values())} calls", file=sys.stderr, flush=True)
    return rows


def report(results, count):
    print(f"\n{count} servers\n| phase | who | calls | calls a server | wall s | client CPU s | CPU ms a server | max RSS MB | CPU s of the services |")
    print("|---|---|---|---|---|---|---|---|---|")
    for phase in SDK_PHASES:
        for who, rows in results.items():
            row = rows[phase]
            calls = sum(row["kinds"].values())
            print(f"| {phase} | {who} | {calls} | {calls / count:.2f} | {row['wall']:.1f} | {row['cpu']:.2f} | {row['cpu'] * 1000 / count:.1f} | {row['rss']:.0f} | {row['services']:.0f} |")
    for who, rows in results.items():
        print(f"\n{who}: calls by kind\n| phase | calls |\n|---|---|")
        for phase in SDK_PHASES:
            kinds = sorted(rows[phase]["kinds"].items(), key=lambda kind: -kind[1])
            print(f"| {phase} | {', '.join(f'{number} {kind}' for kind, number in kinds)} |")


def goals(rows, count):
    create, refresh = rows["create"], rows["refresh"]
    calls = sum(create["kinds"].values()) / count
    print("\n| goal | at most | measured |\n|---|---|---|")
    print(f"| calls to create a server with its port | 2.5 | {calls:.2f} |")
    print(f"| calls to refresh {count} servers with ports and volumes | 10 | {sum(refresh['kinds'].values())} |")
    print(f"| client CPU to create a server | 10 ms | {create['cpu'] * 1000 / count:.1f} ms |")
    print(f"| client CPU beside that of the services | - | {create['cpu'] / create['services']:.1%} |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pool", default="target/release/pool")
    arguments.add_argument("--servers", type=int, default=100)
    arguments.add_argument("--only", choices=("pool", "sdk"))
    arguments.add_argument("--sdk", nargs=4, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.sdk:
        phase, name, count, clouds = chosen.sdk
        return sdk(phase, name, int(count), clouds)
    import bed
    from proxy import Proxy
    bed.up()
    count, pool = chosen.servers, os.path.abspath(chosen.pool)
    with tempfile.TemporaryDirectory() as temporary, Proxy(Path(temporary) / "proxy", "127.0.78.100") as proxy:
        folder = Path(temporary)
        clouds = folder / "clouds.yaml"
        clouds.write_text(proxy.clouds())
        env = dict({key: value for key, value in os.environ.items() if not key.startswith("OS_")}, OS_CLIENT_CONFIG_FILE=str(clouds), HOME=str(folder))
        results = {}
        for who in (chosen.only,) if chosen.only else ("pool", "sdk"):
            name = f"bench-{who}-{random.randrange(16**4):04x}"
            with network(bed, name):
                phases = phases_of_pool(pool, folder, name, count) if who == "pool" else {
                    phase: (lambda: None, [sys.executable, __file__, "--sdk", phase, name, str(count), clouds]) for phase in SDK_PHASES}
                results["pool" if who == "pool" else "openstacksdk"] = measured(who, phases, proxy, env, bed.OSLAB)
    report(results, count)
    if "pool" in results:
        goals(results["pool"], count)


class network:
    """A network for the servers of one client; gone at the end, unless something is left in it."""

    def __init__(self, bed, name):
        self.cloud, self.name = bed.connect(), f"{name}-net"

    def __enter__(self):
        self.made = self.cloud.network.create_network(name=self.name)
        self.cloud.network.create_subnet(network_id=self.made.id, ip_version=4, cidr="10.77.0.0/20", name=self.name)

    def __exit__(self, *_):
        self.cloud.network.delete_network(self.made)


if __name__ == "__main__":
    main()
