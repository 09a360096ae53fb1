"""A folder with an inventory, the program `pool` in it, and what stands in the cloud for it."""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

import bed
from count import Count

ROOT = bed.HERE.parent.parent
POOL = Path(os.environ.get("POOL_BIN", ROOT / "target/debug/pool"))
KEEP = bool(os.environ.get("KEEP"))
WITHIN = 900


class World:
    """For `with`: at the end everything is destroyed, and counted.

    All names in the cloud begin with its prefix, and its networks have addresses of its own, so that scenarios and other
    users of the bed do not meet.
    """

    def __init__(self, scenario, clouds=None):
        self.prefix = f"{scenario}-{random.randrange(16**4):04x}"
        self.dir = Path(tempfile.mkdtemp(prefix=f"pool-{self.prefix}-"))
        self.block = f"127.{random.randrange(64, 96)}.{random.randrange(256)}"
        self.second = f"127.{random.randrange(96, 128)}.{random.randrange(256)}.0/24"
        self.clouds(clouds or bed.CLOUDS.read_text())
        self.sdk, self.last = bed.connect(), None
        self.log = self.dir / "log"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        failed = kind is not None
        try:
            if not failed:
                self.destroy()
        except BaseException:
            failed = True
            raise
        finally:
            if failed:
                print(f"    left for a look: {self.dir}", flush=True)
                if not KEEP:
                    with contextlib.suppress(Exception):
                        self.pool("destroy", "--yes", code=None)
            else:
                shutil.rmtree(self.dir)

    def clouds(self, text):
        (self.dir / "clouds.yaml").write_text(text)

    # The inventory

    def declare(self, pools, networks=None, tiers=None, **more):
        """Writes the inventory. What the scenarios have in common stands here."""
        text = {
            "version": 1,
            "name": self.prefix,
            "providers": {"private": {"type": "openstack", "cloud": "demo", "ssh": {"user": "root"}}},
            "images": {"base": {"private": "tiny"}, "next": {"private": "tiny-2"}},
            "networks": networks if networks is not None else {"front": self.network()},
            "tiers": tiers or {"high": {"backends": ["private/gold"]}, "mid": {"backends": ["private/silver"]}, "low": {"backends": ["private/bronze"]}},
            "pools": pools,
            # Scenarios say themselves what may go.
            "policy": {"max_destroyed": "100%", "max_replaced": "100%"},
        }
        text.update(more)
        # Through JSON, so that no part is shared: inventories have no anchors.
        (self.dir / "pool.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(text)), sort_keys=False))

    def network(self, **more):
        """A network whose hosts can really be reached."""
        return {"cidr": f"{self.block}.0/24", "on": ["private"], "dhcp": False, "ingress": {"ssh": {"from": "any", "port": "22"}}, **more}

    @staticmethod
    def hosts(count, **more):
        """A pool of small hosts in the network `front`."""
        base = {"hosts": count, "size": {"vcpus": 1, "memory": "1GiB", "disk": "10GiB"}, "image": "base", "network": "front",
                "place": {"on": ["private/*/az1"]}}
        return {**base, **more}

    # The program

    def environment(self):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "POOL_"))}
        return dict(clean, OS_CLIENT_CONFIG_FILE=str(self.dir / "clouds.yaml"), NO_COLOR="1", HOME=str(self.dir))

    def start(self, *words):
        """The program, running; its output goes to the log."""
        with open(self.log, "a") as log:
            print(f"\n$ pool {' '.join(words)}", file=log, flush=True)
            return subprocess.Popen([POOL, *words], cwd=self.dir, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def pool(self, *words, code=0, within=WITHIN):
        """Runs it; what it said, if it ended as expected. `code` may be a set; None: any."""
        begun = self.log.stat().st_size if self.log.exists() else 0
        process = self.start(*words)
        try:
            ended = process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            ended = f"killed after {within} s"
        with open(self.log) as log:
            log.seek(begun)
            said = log.read()
        self.last = ended
        wanted = code if isinstance(code, (set, tuple)) or code is None else {code}
        assert wanted is None or ended in wanted, f"pool {' '.join(words)}: exit {ended}, not {code}\n{said[-6000:]}"
        return said

    def killed(self, *words, after):
        """Runs it and kills it, as by kill -9, after so many seconds; whether it was still running."""
        process = self.start(*words)
        try:
            process.wait(after)
            return False
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True

    def apply(self, *words, **more):
        return self.pool("apply", "--yes", *words, **more)

    def nothing_to_do(self):
        """A second plan is empty: what was applied is what is seen."""
        return self.pool("plan", "--detailed-exitcode", code=0)

    def state(self):
        return json.loads(self.pool("state", "pull"))

    def lineage(self):
        return next(iter(find(self.state(), "lineage")), None)

    # The cloud, seen with openstacksdk

    def counted(self):
        return Count(self.prefix)

    def expect(self, **numbers):
        """Exactly this stands in the cloud, and nothing of it twice."""
        count = self.counted()
        assert not count.doubled(), count.doubled()
        assert count.numbers() == {kind: number for kind, number in numbers.items() if number}, (
            f"counted {count.numbers()}, expected {numbers}: {count.found}")
        return count

    def server(self, host):
        """The server of a host; there must be one."""
        name = f"{self.prefix}-default-{host}"
        found = [server for server in self.sdk.compute.servers(details=True) if server.name == name]
        assert len(found) == 1, f"{len(found)} servers are called {name}"
        return found[0]

    def volume(self, name):
        """The volume `HOST.NAME`; there must be one. What a migration leaves behind is being deleted."""
        found = [v for v in self.sdk.block_storage.volumes(details=True)
                 if v.metadata.get("pool_address") == f"volume/{name}" and v.name.startswith(self.prefix) and v.status != "deleting"]
        assert len(found) == 1, f"{len(found)} volumes stand for {name}"
        return found[0]

    def on(self, host, command):
        """What a command says on a host, over SSH as `pool` does it."""
        lines = self.pool("exec", f"host/{host}", "--", command).splitlines()
        return "".join(line.split(" | ", 1)[1] + "\n" for line in lines if line.startswith(f"{host} ") and " | " in line)

    def destroy(self):
        self.pool("destroy", "--yes")
        self.expect()


def find(value, key):
    """All values of a key, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from find(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from find(inner, key)


def timed(what, begun):
    print(f"    {what}: {time.monotonic() - begun:.0f} s", flush=True)
