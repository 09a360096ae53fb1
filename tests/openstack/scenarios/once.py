"""Replies that get lost, and services that refuse: each object is made once."""
import bed
from proxy import Proxy
from world import World

# Every third creation loses its reply after the service has carried it out; deletions and changes too.
LOSSES = (
    {"match": "compute POST /servers$", "every": 3, "do": "drop"},
    {"match": "network POST", "every": 3, "do": "drop"},
    {"match": "block-storage POST /volumes$", "every": 3, "do": "drop"},
    {"match": "compute POST /servers/{id}/os-volume_attachments", "every": 3, "do": "drop"},
    {"match": "DELETE", "every": 3, "do": "drop"},
    {"match": "PUT", "every": 3, "do": "drop"},
)
REFUSALS = (
    {"match": "compute POST /servers$", "every": 4, "do": 429, "headers": {"Retry-After": "2"}, "times": 3},
    {"match": "network POST", "every": 5, "do": 503, "times": 4},
    {"match": "block-storage POST", "every": 4, "do": 413, "headers": {"Retry-After": "2"}, "times": 2},
    {"match": "GET", "every": 15, "do": 503, "times": 20},
)


def lost_replies():
    """Every third reply to a creation, change or deletion is lost: one server per host, and nothing left at the end."""
    _through(LOSSES, "lost")


def refusals():
    """429 with Retry-After, 413 and 503 between the answers: waited for, and all is made."""
    _through(REFUSALS, "busy")


def _through(rules, name):
    with World(name) as world, Proxy(world.dir / "proxy", f"127.0.78.{1 + len(name) + len(rules)}") as proxy:
        world.clouds(proxy.clouds())
        proxy.rules(*rules)
        world.declare(
            networks={"front": world.network(router="public")},
            pools={
                "web": world.hosts(6, public="public"),
                "db": world.hosts(3, volumes={"data": {"size": "1GiB", "tier": "high", "mount": "/srv/data", "on_remove": "delete"}}),
            })
        _converges(world)
        injected = [call for call in proxy.calls() if call["rule"]]
        print(f"    {len(injected)} of {len(proxy.calls())} calls met a rule", flush=True)
        assert len(injected) >= 5, "the rules were met"
        world.expect(servers=9, ports=9, floating_ips=6, networks=1, subnets=1, routers=1, security_groups=1, volumes=3)
        proxy.rules()
        world.nothing_to_do()
        proxy.rules(*rules)
        _converges(world, "destroy")
        world.expect()
        world.clouds(bed.CLOUDS.read_text())


def _converges(world, command="apply"):
    """Lost replies may end a run early (8); another one goes on. Three are enough."""
    for _ in range(3):
        world.pool(command, "--yes", code={0, 1, 4, 8})
        if world.last == 0:
            return
        print(f"    {command} again after exit {world.last}", flush=True)
    raise AssertionError(f"{command} does not converge")
