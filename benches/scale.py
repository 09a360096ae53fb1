#!/usr/bin/env python3
"""Plans and applies of many simulated hosts: time, memory, calls and growth, each beside its goal.

    cargo build --release && benches/scale.py [--pool target/release/pool] [--sizes 1000,10000,100000] [--peers]

--peers runs `terraform` (and `tofu`, where there is one) in the same run: one resource per host and one per volume,
which refers to its host. They use the provider that is built into the program: no API, no provider process, so the
comparison is in their favour; `pool` observes its simulated cloud meanwhile.

The bare loop writes what an apply wrote (the same rows, in as many transactions) with nothing around it: see bare.py.
"""
import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import best, run

HOST = """
    size: {{ vcpus: 2, memory: 4GiB, disk: 20GiB }}
    image: debian-12
    place: {{ spread: zone }}"""

# `one` is a pool of its own, so that one host of many can change.
INVENTORY = """version: 1
name: scale
providers: {{ cloud: {{ type: sim, page: 1000, backends: {{ fast: 100PiB }} }} }}
tiers: {{ fast: {{ backends: [cloud/fast] }} }}
pools:
  web:
    hosts: {hosts}""" + HOST + """
    labels: {{ team: a }}
    {volumes}
  one:
    hosts: {ones}""" + HOST + """
    labels: {{ team: {team} }}
    {volumes}
"""
VOLUMES = "volumes: { data: { size: 10GiB, tier: fast, on_remove: delete } }"

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

# What a row must not exceed: wall seconds and resident MB, by the row's name.
GOALS = {
    "plan, 1000 fresh": (None, 50),
    "plan, 10000 no-op": (0.5, 150),
    "plan, 100000 no-op": (5, 1200),
    "plan, 10000 over 40 zones x 60 offerings": (1, None),
    "apply, 10000": (None, 200),
    "plan, 1 changed of 10000": (0.5, None),
    "plan --target, 1 changed of 10000": (0.5, None),
    "apply PLAN, 1 changed of 10000": (0.2, None),
}


class Bench:
    """A folder with an inventory, and the program that is measured in it."""

    def __init__(self, pool, folder):
        self.pool, self.folder = pool, Path(folder)

    def command(self, *words):
        return [self.pool, "-C", self.folder, *words]

    def plan(self, *words):
        return self.command("plan", "--observe", "providers", "-q", *words)

    def write(self, hosts, ones=1, team="a", volumes=VOLUMES):
        text = INVENTORY.format(hosts=hosts, ones=ones, team=team, volumes=volumes)
        (self.folder / "pool.yaml").write_text(text)

    def fresh(self):
        shutil.rmtree(self.folder / ".pool", ignore_errors=True)

    def apply(self):
        return self.command("apply", "--yes", "--observe", "providers", "-q")

    def summary(self, *words):
        """The last event that a command prints as JSON. Plans are not read: what is measured later would begin as large as
        this process is."""
        told = subprocess.Popen(self.command(*words, "--json", "-q"), stdout=subprocess.PIPE)
        last = subprocess.run(["tail", "-n", "1"], stdin=told.stdout, capture_output=True, check=True).stdout
        told.stdout.close()
        if told.wait() not in (0, 2):
            raise SystemExit(f"{words}: exit {told.returncode}")
        return json.loads(last)

    def saved(self):
        return self.summary("plan", "--observe", "providers")["plan"]

    def list_calls(self):
        """As the first line of a plan tells it: `… observed just now (22 list calls)`."""
        told = subprocess.run(self.command("plan", "--observe", "providers"), capture_output=True, text=True, check=True)
        return int(re.search(r"\((\d+) list calls\)", told.stdout)[1])


def row(what, measured, note=""):
    wall, cpu, rss = measured[:3]
    most_wall, most_rss = GOALS.get(what, (None, None))
    goal = ", ".join(text for text in (most_wall and f"{most_wall} s", most_rss and f"{most_rss} MB") if text)
    missed = (most_wall and wall > most_wall) or (most_rss and rss > most_rss)
    verdict = f"{'MISSED' if missed else 'kept'}: {goal}" if goal else ""
    print(f"| {what} | {wall:.3f} | {cpu:.3f} | {rss:.0f} | {verdict} | {note} |", flush=True)
    return measured


def judged(what, value, goal):
    print(f"\n{what}: {value:.2f} ({'kept' if value <= goal else 'MISSED'}: at most {goal})")


def head(title):
    print(f"\n{title}\n| what | wall s | CPU s | max RSS MB | goal | |\n|---|---|---|---|---|---|", flush=True)


def sizes_rows(bench, size):
    """Rows of one size; gives the no-op plan's figures."""
    times = 3 if size <= 10_000 else 2
    head(f"{size} hosts with a volume each")
    bench.write(size - 1)
    fresh = row(f"plan, {size} fresh", best(times, bench.plan(), prepare=bench.fresh), "parse, observe, plan, check, save")
    carried = row(f"apply PLAN, {size}", carry_out(bench, times if size <= 10_000 else 1), "of a saved plan, durable journal")
    applied = best(times if size <= 10_000 else 1, bench.apply(), prepare=bench.fresh)
    row(f"apply, {size}", applied, "plan and apply")
    noop = row(f"plan, {size} no-op", best(times, bench.plan()), "cloud observed")
    written = bare_loop(bench, size)
    changed_rows(bench, size, times)
    if size <= 10_000:
        bench.write(size, team="b")
        row(f"plan, 1 more than {size}", best(times, bench.plan()))
    return fresh, (carried, applied), noop, written


def carry_out(bench, times):
    """The best of several applies of a saved plan, each from nothing."""
    measured = []
    for _ in range(times):
        bench.fresh()
        measured.append(run(bench.command("apply", bench.saved(), "--yes", "-q")))
    return min(measured)


def bare_loop(bench, size):
    """Writes again what the apply wrote; none where it takes too long to be worth it."""
    if size > 10_000:
        return None
    state = bench.folder / ".pool" / "state.db"
    program = Path(__file__).with_name("bare.py")
    told = subprocess.run([sys.executable, program, state, bench.folder / "bare.db"], capture_output=True, check=True)
    commits, wall, cpu = map(float, told.stdout.split())
    row(f"bare loop, what the apply of {size} wrote", (wall, cpu, 0), f"{commits:.0f} transactions")
    return wall


def changed_rows(bench, size, times):
    bench.write(size - 1, team="b")
    row(f"plan, 1 changed of {size}", best(times, bench.plan()))
    row(f"plan --target, 1 changed of {size}", best(times, bench.plan("--target", "host/one-0")))
    measured = []
    for turn in range(times):
        bench.write(size - 1, team=f"t{turn}")
        measured.append(run(bench.command("apply", bench.saved(), "--yes", "-q")))
    row(f"apply PLAN, 1 changed of {size}", min(measured), "of a saved plan")
    bench.write(size - 1, team="c")
    row(f"apply, 1 changed of {size}", run(bench.apply()), "plan and apply")


def placement_rows(bench):
    """Twenty pools of 500 hosts each over 40 zones and 60 offerings, two tenants with quotas, some stock sold out."""
    zones = [f"az{n}" for n in range(40)]
    offerings = {f"m{n}": (1 + n % 20, 2 * (1 + n % 20) * (1 + n // 20)) for n in range(60)}
    for_sale = [f"      m{n}: {{ vcpus: {v}, memory: {m}GiB, disk: 40GiB, price: {v * 0.01 + m * 0.003 + n * 0.0001:.4f}/hour }}"
                for n, (v, m) in enumerate(offerings.values())]
    stock = ", ".join(f"az{z}/m{(z * 7 + n) % 60}: {5 + n}" for z in range(40) for n in range(4))
    lines = ["version: 1", "name: placed", "tenants:",
             "  one: { quota: { hosts: 6000, vcpus: 60000 } }", "  two: { quota: { hosts: 6000, memory: 900TiB } }",
             "providers:", "  cloud:", "    type: sim", "    page: 1000", f"    zones: [{', '.join(zones)}]",
             "    quota: { hosts: 12000, vcpus: 200000 }", f"    stock: {{ {stock} }}", "    offerings:", *for_sale, "pools:"]
    for n in range(20):
        lines += [f"  p{n}:", "    hosts: 500", f"    tenant: {'one' if n % 2 else 'two'}", "    image: debian-12",
                  f"    size: {{ vcpus: {1 + n % 10}, memory: {2 + n % 8}GiB, disk: 20GiB }}",
                  "    place: { spread: zone, optimize: cost }"]
    (bench.folder / "pool.yaml").write_text("\n".join(lines) + "\n")
    head("placement: 20 pools of 500 hosts, quotas of provider and tenants, stock, spread over zones")
    row("plan, 10000 over 40 zones x 60 offerings", best(3, bench.plan(), prepare=bench.fresh), "fresh")


def call_rows(bench):
    """Calls of a provider whose pages and batches hold 1,000, as Nova's, Cinder's and EC2's do."""
    print("\ncalls of the provider, with pages and batches of 1,000\n| what | calls | goal |\n|---|---|---|")
    for volumes, kinds in (("", "hosts"), (VOLUMES, "hosts with a volume each")):
        for size in (1000, 10_000):
            bench.fresh()
            bench.write(size - 1, volumes=volumes)
            made = sum(bench.summary("apply", "--yes", "--observe", "providers")["run"]["calls"].values())
            seen = bench.list_calls()
            print(f"| create {size} {kinds} | {made} | {goal(made, 60) if size == 1000 else ''} |")
            print(f"| refresh {size} {kinds} | {seen} | {goal(seen, 20) if not volumes else ''} |", flush=True)


def goal(value, most):
    return f"{'kept' if value <= most else 'MISSED'}: {most}"


def terraform_rows(tool, size, folder, own):
    head(f"{tool}, {size} + {size}")
    (Path(folder) / "main.tf").write_text(SHAPE % size)
    run([tool, "init", "-input=false"], cwd=folder)
    theirs = row(f"{tool} plan, {size} fresh", best(1, [tool, "plan", "-input=false", "-out=plan.bin"], cwd=folder))
    if own:
        print(f"\n{tool} ÷ pool: {theirs[0] / own[0]:.0f} in wall, {theirs[1] / own[1]:.0f} in CPU (goal: at least 100)")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pool", default="target/release/pool")
    arguments.add_argument("--sizes", default="1000,10000,100000")
    arguments.add_argument("--peers", action="store_true")
    arguments.add_argument("--peer-size", type=int, default=1000)
    chosen = arguments.parse_args()
    pool = os.path.abspath(chosen.pool)
    sizes = sorted(map(int, filter(None, chosen.sizes.split(","))))
    rows = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows[size] = sizes_rows(Bench(pool, folder), size)
    for size, (_, (carried, applied), _, written) in rows.items():
        if written:
            judged(f"apply PLAN of {size}, wall, ÷ bare loop", carried[0] / written, 2)
            print(f"with the planning: {applied[0] / written:.2f}")
    for small, large in zip(sizes, sizes[1:]):
        for figure, name in ((0, "wall"), (1, "CPU")):
            growth = math.log(rows[large][2][figure] / rows[small][2][figure]) / math.log(large / small)
            judged(f"no-op plan, {name} from {small} to {large}, exponent of n", growth, 1.1)
    with tempfile.TemporaryDirectory() as folder:
        placement_rows(Bench(pool, folder))
    with tempfile.TemporaryDirectory() as folder:
        call_rows(Bench(pool, folder))
    if chosen.peers:
        for tool in filter(shutil.which, ["terraform", "tofu"]):
            with tempfile.TemporaryDirectory() as folder:
                terraform_rows(tool, chosen.peer_size, folder, rows.get(chosen.peer_size, (None,))[0])


if __name__ == "__main__":
    main()
