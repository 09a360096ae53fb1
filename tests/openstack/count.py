#!/usr/bin/python3
"""Counts what stands in the project, with openstacksdk and nothing of `pool`.

    count.py PREFIX [LINEAGE]      what carries the prefix in its name or the lineage in its marks, and what hangs on that

Ends with 1 where something stands twice.
"""
import collections
import sys

import bed

KINDS = ("servers", "ports", "floating_ips", "networks", "subnets", "routers", "security_groups", "volumes", "snapshots",
         "backups", "server_groups")


class Count:
    """What was found: kind → things, each as (id, name, mark)."""

    def __init__(self, prefix, lineage=None, cloud="demo"):
        self.prefix, self.lineage, self.found = prefix, lineage, {kind: [] for kind in KINDS}
        with bed.connect(cloud) as connection:
            self.project = connection.current_project_id
            self.compute(connection.compute)
            self.network(connection.network)
            self.storage(connection.block_storage)

    def ours(self, thing):
        return (thing.name or "").startswith(self.prefix) or bool(self.lineage and self.mark(thing).startswith(self.lineage))

    @staticmethod
    def mark(thing):
        """`LINEAGE ADDRESS GENERATION TOKEN`, from metadata or description; empty where there is none."""
        data = getattr(thing, "metadata", None) or {}
        if "pool_lineage" in data:
            return " ".join(data.get(f"pool_{key}", "") for key in ("lineage", "address", "generation", "token"))
        text = getattr(thing, "description", None) or ""
        return text[len("pool "):] if text.startswith("pool ") else ""

    def add(self, kind, thing):
        self.found[kind].append((thing.id, thing.name, self.mark(thing)))

    def ids(self, kind):
        return {id for id, _, _ in self.found[kind]}

    def compute(self, compute):
        for server in compute.servers(details=True):
            if self.ours(server):
                self.add("servers", server)
        for group in compute.server_groups():
            if self.ours(group):
                self.add("server_groups", group)

    def network(self, network):
        mine = {"project_id": self.project}
        for kind in ("networks", "routers", "security_groups"):
            for thing in getattr(network, kind)(**mine):
                if self.ours(thing):
                    self.add(kind, thing)
        for subnet in network.subnets(**mine):
            if self.ours(subnet) or subnet.network_id in self.ids("networks"):
                self.add("subnets", subnet)
        for port in network.ports(**mine):
            theirs = port.device_id in self.ids("servers") or port.network_id in self.ids("networks")
            if (self.ours(port) or theirs) and not (port.device_owner or "").startswith("network:"):
                self.add("ports", port)
        for address in network.ips(**mine):
            if self.ours(address) or address.port_id in self.ids("ports"):
                self.add("floating_ips", address)

    def storage(self, storage):
        for kind in ("volumes", "snapshots", "backups"):
            for thing in getattr(storage, kind)(details=True):
                of = getattr(thing, "volume_id", None)
                if self.ours(thing) or (of and of in self.ids("volumes")):
                    self.add(kind, thing)

    def numbers(self):
        return {kind: len(things) for kind, things in self.found.items() if things}

    def doubled(self):
        """Addresses that more than one thing of a kind stands for, and names that two servers or volumes have."""
        twice = []
        for kind, things in self.found.items():
            marks = collections.Counter(" ".join(mark.split()[:2]) for _, _, mark in things if mark)
            names = collections.Counter(name for _, name, _ in things if kind in ("servers", "volumes"))
            twice += [f"{kind}: {what} × {times}" for what, times in (marks + names).items() if times > 1]
        return twice


def main():
    count = Count(*sys.argv[1:3])
    for kind, things in count.found.items():
        print(f"{kind:16} {len(things)}")
        for id, name, mark in things:
            print(f"  {id} {name} {mark}")
    for line in count.doubled():
        print("TWICE", line)
    sys.exit(bool(count.doubled()))


if __name__ == "__main__":
    main()
