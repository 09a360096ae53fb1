"""The OpenStack that the scenarios run against: started when it is not there, looked at and disturbed from outside.

Its state folder is $OSLAB (default /var/lib/oslab); a bed that runs there already is used as it is.
"""
import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import openstack

HERE = Path(__file__).resolve().parent
OSLAB = Path(os.environ.get("OSLAB", "/var/lib/oslab"))
CLOUDS = OSLAB / "clouds.yaml"
TIERS = ("gold", "silver", "bronze")
UP_LIMIT = 900


def up():
    """Starts what does not run. From nothing it takes about four minutes."""
    done = subprocess.run([HERE / "bed/up.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=UP_LIMIT)
    if done.returncode:
        raise SystemExit(f"the bed does not start:\n{done.stdout[-4000:]}")


def connect(cloud="demo"):
    config = openstack.config.OpenStackConfig(config_files=[str(CLOUDS)], load_envvars=False)
    return openstack.connection.Connection(config=config.get_one(cloud=cloud))


def address():
    """Where all services of the bed listen, and the port of Keystone."""
    found = re.search(r"auth_url: http://([\d.]+):(\d+)", CLOUDS.read_text())
    return found[1], int(found[2])


def ports():
    """Service → port."""
    offset = address()[1] - 5000
    return {name: port + offset for name, port in (
        ("identity", 5000), ("compute", 8774), ("network", 9696), ("block-storage", 8776), ("image", 9292), ("placement", 8778))}


def volume_file(volume_id):
    """The file that holds a volume's bytes, and the backend that it is in; while it moves there are two."""
    def one():
        paths = [(OSLAB / "cinder" / tier / f"volume-{volume_id}", tier) for tier in TIERS]
        found = [(path, tier) for path, tier in paths if path.exists()]
        return found[0] if len(found) == 1 else None
    return until(f"volume {volume_id} has one file", one, 30)


def until(what, ready, within=120, every=0.5):
    """Waits until `ready()` is true, and says what it waited for when it never is."""
    end = time.monotonic() + within
    while not (value := ready()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(every)
    return value


# Disturbances. Each is undone at its end, whatever happens in between.


def leader(service):
    """The process that leads the service's group."""
    return int((OSLAB / "run" / f"{service}.pid").read_text())


@contextlib.contextmanager
def stopped(*services):
    """Services hang: they take connections and say nothing."""
    groups = [leader(service) for service in services]
    try:
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        yield
    finally:
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)


@contextlib.contextmanager
def dead(*services):
    """Services are gone."""
    for service in services:
        group = leader(service)
        os.killpg(group, signal.SIGKILL)
    try:
        yield
    finally:
        up()


@contextlib.contextmanager
def fault(hosts=("cmp1", "cmp2", "cmp3", "cmp4"), **what):
    """Hypervisors fail: spawn_delay, spawn_fail, abort, and `only` for servers with this in their name."""
    files = [OSLAB / "fault" / f"{host}.json" for host in hosts]
    try:
        for file in files:
            file.write_text(json.dumps(what))
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def quota(service, **limits):
    """Limits of the project demo: service is `compute`, `volume` or `network`; set back at the end."""
    admin = connect("admin")
    project = admin.identity.find_project("demo").id
    client, path, key = {
        "compute": (admin.compute, f"/os-quota-sets/{project}", "quota_set"),
        "volume": (admin.block_storage, f"/os-quota-sets/{project}", "quota_set"),
        "network": (admin.network, f"/v2.0/quotas/{project}", "quota"),
    }[service]
    before = client.get(path).json()[key]

    def put(values):
        if service == "compute":
            values = dict(values, force=True)
        answer = client.put(path, json={key: values})
        assert answer.ok, answer.text

    put(limits)
    try:
        yield
    finally:
        put({name: before[name] for name in limits})
