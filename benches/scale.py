#!/usr/bin/env python3
"""Plans and applies of many simulated hosts with a volume each, beside `terraform plan` of the same shape.

    cargo build --release && benches/scale.py [--pool target/release/pool] [--sizes 1000,10000] [--peers]

--peers runs `terraform` (and `tofu`, where there is one) in the same run: one resource per host and one per volume,
which refers to its host. They use the provider that is built into the program: no API, no provider process, so the
comparison is in their favour; `pool` observes its simulated cloud meanwhile.
"""
import argparse
import math
import os
import shutil
import tempfile
from pathlib import Path

from measure import best, run, table

INVENTORY = """version: 1
name: scale
providers: {{ cloud: {{ type: sim, backends: {{ fast: 100PiB }} }} }}
tiers: {{ fast: {{ backends: [cloud/fast] }} }}
pools:
  web:
    hosts: {hosts}
    size: {{ vcpus: 2, memory: 4GiB, disk: 20GiB }}
    image: debian-12
    place: {{ spread: zone }}
    labels: {{ team: {team} }}
    volumes: {{ data: {{ size: 10GiB, tier: fast, on_remove: delete }} }}
"""

SHAPE = """
locals { hosts = { for i in range(%d) : "web-${i}" => i } }
resource "terraform_data" "host" {
  for_each = local.hosts
  input    = { name = each.key, size = "s1.medium", image = "debian-12" }
}
resource "terraform_data" "volume" {
  for_each = local.hosts
  input    = { host = terraform_data.host[each.key].id, size = 10 }
}
"""


def pool_rows(pool, size, folder):
    inventory = folder / "pool.yaml"
    write = lambda hosts, team="a": inventory.write_text(INVENTORY.format(hosts=hosts, team=team))
    fresh = lambda: shutil.rmtree(folder / ".pool", ignore_errors=True)
    plan = [pool, "-C", folder, "plan", "--observe", "providers", "-q"]
    write(size)
    yield f"pool plan, {size} fresh", *best(3, plan, prepare=fresh)[:3], "parse, observe, plan, check, save"
    apply = [pool, "-C", folder, "apply", "--yes", "--observe", "providers", "-q"]
    yield f"pool apply, {size}", *best(1, apply, prepare=fresh)[:3], "plan and apply, durable journal"
    yield f"pool plan, {size} no-op", *best(3, plan)[:3], "cloud observed"
    write(size + 1)
    yield f"pool plan, 1 more than {size}", *best(3, plan)[:3], ""
    yield f"pool apply, 1 more than {size}", *best(1, apply)[:3], ""


def terraform_rows(tool, size, folder):
    (folder / "main.tf").write_text(SHAPE % size)
    run([tool, "init", "-input=false"], cwd=folder)
    plan = [tool, "plan", "-input=false", "-out=plan.bin"]
    yield f"{tool} plan, {size} fresh", *best(1, plan, cwd=folder)[:3], "no provider, no API"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pool", default="target/release/pool")
    arguments.add_argument("--sizes", default="1000,10000")
    arguments.add_argument("--peers", action="store_true")
    arguments.add_argument("--peer-size", type=int, default=1000)
    chosen = arguments.parse_args()
    pool = os.path.abspath(chosen.pool)
    noop = {}
    for size in map(int, chosen.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            rows = list(pool_rows(pool, size, Path(folder)))
        noop[size] = next(row[2] for row in rows if row[0].endswith("no-op"))
        table(f"{size} hosts, {size} volumes", rows)
    sizes = sorted(noop)
    for small, large in zip(sizes, sizes[1:]):
        growth = math.log(noop[large] / noop[small]) / math.log(large / small)
        print(f"\nno-op plan, CPU from {small} to {large}: n^{growth:.2f}")
    if chosen.peers:
        for tool in filter(shutil.which, ["terraform", "tofu"]):
            with tempfile.TemporaryDirectory() as folder:
                table(f"{tool}, {chosen.peer_size} + {chosen.peer_size}", list(terraform_rows(tool, chosen.peer_size, Path(folder))))


if __name__ == "__main__":
    main()
