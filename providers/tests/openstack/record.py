#!/usr/bin/env python3
"""Records answers of a real OpenStack as fixtures: `record.py [NAME…]`.

Needs a cloud that `tests/openstack` starts, with the clouds `demo` and `admin` in OS_CLIENT_CONFIG_FILE. It makes a
project `pool-fixtures` with small quotas, and deletes it with all that is in it at the end. Tokens and secrets are left
out; the addresses of services are written `{compute}`, `{network}`, …; everything else is as the cloud said it.
A fixture is {"request": "METHOD /SERVICE/PATH?QUERY", "sent": BODY, "status": N, "headers": {…}, "body": BODY}.
"""
import base64
import concurrent.futures
import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

HERE = pathlib.Path(__file__).parent / "fixtures"
MICRO = {"compute": "compute 2.90", "block-storage": "volume 3.70"}
KEPT = {"retry-after", "openstack-api-version", "content-type"}


class Cloud:
    """A project, logged in."""

    def __init__(self, name, project=None):
        auth = yaml.safe_load(open(os.environ["OS_CLIENT_CONFIG_FILE"]))["clouds"][name]["auth"]
        self.keystone = auth["auth_url"]
        self.login = {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": auth["username"], "password": auth["password"], "domain": {"name": "Default"}}}},
            "scope": {"project": {"name": project or auth["project_name"], "domain": {"name": "Default"}}}}}
        self.services, self.token = {"identity": self.keystone}, None
        status, headers, body = self.raw("POST", f"{self.keystone}/auth/tokens", self.login)
        assert status == 201, body
        self.token, self.project = headers["x-subject-token"], body["token"]["project"]["id"]
        for service in body["token"]["catalog"]:
            url = next(e["url"] for e in service["endpoints"] if e["interface"] == "public")
            self.services.setdefault(service["type"], url)
        self.services["network"] += "/v2.0"
        self.services["image"] += "/v2"

    def raw(self, method, url, body=None, token=None, headers=()):
        request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json")
        if token or self.token:
            request.add_header("X-Auth-Token", token or self.token)
        for key, value in headers:
            request.add_header(key, value)
        try:
            answer = urllib.request.urlopen(request, timeout=180)
        except urllib.error.HTTPError as error:
            answer = error
        text = answer.read().decode()
        try:
            parsed = json.loads(text) if text else None
        except ValueError:
            parsed = text
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, parsed

    def call(self, service, method, path, body=None, token=None):
        micro = [("OpenStack-API-Version", MICRO[service])] if service in MICRO else []
        return self.raw(method, f"{self.services[service]}/{path}", body, token, micro)

    def record(self, name, service, method, path, body=None, expect=None, token=None, url=None):
        """Calls, and writes what came back under `name`."""
        if url:
            status, headers, answer = self.raw(method, url, body, token)
        else:
            url = f"{self.services[service]}/{path}"
            status, headers, answer = self.call(service, method, path, body, token)
        assert expect in (None, status), (name, status, answer)
        place = self.hide(url)
        match = re.fullmatch(r"\{([a-z-]+)\}(.*)", place)
        fixture = {"request": f"{method} /{match[1]}{match[2]}"}
        if body is not None:
            fixture["sent"] = self.clean(body)
        fixture["status"] = status
        fixture["headers"] = {k: v for k, v in headers.items() if k in KEPT}
        fixture["body"] = self.clean(answer)
        path = HERE / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")
        print(f"{status} {name}")
        return answer

    def hide(self, text):
        """Addresses of services as names."""
        for service, url in self.services.items():
            root = "{0.scheme}://{0.netloc}".format(urllib.parse.urlparse(url))
            text = text.replace(root, "{%s}" % ("block-storage" if service == "volumev3" else service))
        return text

    def clean(self, value):
        if isinstance(value, dict):
            secret = {"password", "secret", "adminPass"}
            return {k: "-" if k in secret and isinstance(v, str) else self.clean(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.clean(v) for v in value]
        return self.hide(value) if isinstance(value, str) else value


def login(demo):
    wrong = json.loads(json.dumps(demo.login))
    tokens = f"{demo.keystone}/auth/tokens"
    demo.record("identity/token", "identity", "POST", "", demo.login, 201, url=tokens)
    wrong["auth"]["identity"]["password"]["user"]["password"] = "wrong"
    demo.record("identity/wrong-password", "identity", "POST", "", wrong, 401, url=tokens)
    wrong = json.loads(json.dumps(demo.login))
    wrong["auth"]["scope"]["project"]["name"] = "nowhere"
    demo.record("identity/wrong-project", "identity", "POST", "", wrong, 401, url=tokens)
    root = demo.services["block-storage"].rsplit("/", 1)[0]
    demo.record("compute/versions", "compute", "GET", "", expect=200, url=demo.services["compute"] + "/")
    demo.record("block-storage/versions", "block-storage", "GET", "", expect=200, url=root + "/")


def lists(demo):
    project = demo.project
    for name, service, path in [
        ("compute/flavors", "compute", "flavors/detail?limit=50"),
        ("compute/flavors-end", "compute", "flavors/detail?limit=50&marker=bm1"),
        ("compute/zones", "compute", "os-availability-zone"),
        ("compute/limits", "compute", "limits"),
        ("image/images", "image", "images?status=active&sort=created_at:desc&limit=1000"),
        ("block-storage/types", "block-storage", "types?limit=1000"),
        ("block-storage/quota", "block-storage", f"os-quota-sets/{project}?usage=true"),
        ("network/quota", "network", f"quotas/{project}/details.json"),
        ("network/networks", "network", "networks?limit=1000"),
        ("network/availability-refused", "network", "network-ip-availabilities"),
    ]:
        demo.record(name, service, "GET", path)
    marker = None
    for page in range(1, 9):
        path = "flavors/detail?limit=2" + (f"&marker={marker}" if marker else "")
        answer = demo.record(f"compute/flavors-page-{page}", "compute", "GET", path, expect=200)
        if "flavors_links" not in answer:
            break
        href = next(link["href"] for link in answer["flavors_links"] if link["rel"] == "next")
        marker = urllib.parse.parse_qs(urllib.parse.urlparse(href).query)["marker"][0]
    first = demo.record("network/networks-page-1", "network", "GET", "networks?limit=2&sort_key=id&sort_dir=asc", expect=200)
    last = first["networks"][-1]["id"]
    demo.record("network/networks-page-2", "network", "GET", f"networks?limit=2&sort_key=id&sort_dir=asc&marker={last}", expect=200)
    demo.record("image/images-page-1", "image", "GET", "images?limit=1", expect=200)


def faults(demo):
    nobody = "00000000-0000-0000-0000-000000000001"
    zone = {"server": {"name": "fixture", "imageRef": nobody, "flavorRef": "1", "networks": "none",
                       "availability_zone": "nowhere"}}
    demo.record("compute/no-token", "compute", "GET", "servers", expect=401, token="gone")
    demo.record("network/no-token", "network", "GET", "networks", expect=401, token="gone")
    demo.record("block-storage/no-token", "block-storage", "GET", "volumes", expect=401, token="gone")
    demo.record("image/no-token", "image", "GET", "images", expect=401, token="gone")
    demo.record("compute/bad-server", "compute", "POST", "servers", {"server": {"name": "fixture"}}, 400)
    demo.record("compute/bad-zone", "compute", "POST", "servers", zone, 400)
    demo.record("compute/no-server", "compute", "GET", f"servers/{nobody}", expect=404)
    demo.record("compute/not-allowed", "compute", "GET", "os-services", expect=403)
    demo.record("network/bad-subnet", "network", "POST", "subnets", {"subnet": {"network_id": nobody}}, 400)
    demo.record("network/no-network", "network", "POST", "ports", {"port": {"network_id": nobody}}, 404)
    demo.record("block-storage/no-volume", "block-storage", "GET", f"volumes/{nobody}", expect=404)
    demo.record("block-storage/bad-type", "block-storage", "POST", "volumes",
                {"volume": {"size": 1, "volume_type": "nowhere"}}, 404)
    demo.record("image/no-image", "image", "GET", f"images/{nobody}", expect=404)


def quotas(admin):
    """Answers of a project that may have nothing."""
    _, _, answer = admin.call("identity", "POST", "projects", {"project": {"name": "pool-fixtures", "domain_id": "default"}})
    project = answer["project"]["id"]
    try:
        _, _, users = admin.call("identity", "GET", "users?name=admin")
        _, _, roles = admin.call("identity", "GET", "roles?name=member")
        admin.call("identity", "PUT", f"projects/{project}/users/{users['users'][0]['id']}/roles/{roles['roles'][0]['id']}")
        admin.call("compute", "PUT", f"os-quota-sets/{project}", {"quota_set": {"instances": 0}})
        admin.call("block-storage", "PUT", f"os-quota-sets/{project}", {"quota_set": {"volumes": 0}})
        admin.call("network", "PUT", f"quotas/{project}", {"quota": {"network": 1, "port": 0, "security_group": 2}})
        poor = Cloud("admin", "pool-fixtures")
        _, _, flavors = poor.call("compute", "GET", "flavors")
        _, _, images = poor.call("image", "GET", "images?status=active")
        poor.record("compute/over-quota", "compute", "POST", "servers", {"server": {
            "name": "fixture", "imageRef": images["images"][0]["id"], "flavorRef": flavors["flavors"][0]["id"],
            "networks": "none"}}, 403)
        poor.record("block-storage/over-quota", "block-storage", "POST", "volumes", {"volume": {"size": 1}}, 413)
        network = poor.call("network", "POST", "networks", {"network": {"name": "fixture"}})[2]["network"]["id"]
        try:
            poor.record("network/over-quota", "network", "POST", "ports", {"port": {"network_id": network}}, 409)
            range_ = {"network_id": network, "ip_version": 4, "cidr": "10.99.0.0/24"}
            poor.call("network", "POST", "subnets", {"subnet": range_})
            poor.record("network/overlap", "network", "POST", "subnets", {"subnet": range_}, 400)
            admin.call("network", "PUT", f"quotas/{project}", {"quota": {"port": 5}})
            port = {"network_id": network, "mac_address": "fa:16:3e:00:00:01"}
            first = poor.record("network/port", "network", "POST", "ports", {"port": port}, 201)
            poor.record("network/mac-taken", "network", "POST", "ports", {"port": port}, 409)
            poor.record("network/in-use", "network", "DELETE", f"subnets/{first['port']['fixed_ips'][0]['subnet_id']}", expect=409)
            poor.call("network", "DELETE", f"ports/{first['port']['id']}")
        finally:
            poor.call("network", "DELETE", f"networks/{network}")
        for group in poor.call("network", "GET", f"security-groups?project_id={project}")[2]["security_groups"]:
            admin.call("network", "DELETE", f"security-groups/{group['id']}")
    finally:
        admin.call("network", "DELETE", f"quotas/{project}")
        admin.call("identity", "DELETE", f"projects/{project}")


def console(demo):
    """A server that others made, with a machine behind it: what it says, and its console with its host keys."""
    network = demo.call("network", "POST", "networks", {"network": {"name": "fixture-console"}})[2]["network"]["id"]
    demo.call("network", "POST", "subnets", {"subnet": {
        "network_id": network, "ip_version": 4, "cidr": "127.127.7.0/24", "enable_dhcp": False, "gateway_ip": None}})
    image = demo.call("image", "GET", "images?name=tiny")[2]["images"][0]["id"]
    flavors = {f["name"]: f["id"] for f in demo.call("compute", "GET", "flavors")[2]["flavors"]}
    server = demo.call("compute", "POST", "servers", {"server": {
        "name": "fixture-console", "flavorRef": flavors["m1.small"], "imageRef": image, "networks": [{"uuid": network}],
        "user_data": base64.b64encode(b"#cloud-config\n{}").decode()}})[2]["server"]["id"]
    try:
        wait(demo, "servers/detail?name=fixture-console", lambda all: all and all_settled(all))
        demo.record("hosts/foreign-one", "compute", "GET", f"servers/{server}", expect=200)
        demo.record("hosts/foreign-console", "compute", "POST", f"servers/{server}/action", {"os-getConsoleOutput": {}}, 200)
    finally:
        demo.call("compute", "DELETE", f"servers/{server}")
        wait(demo, "servers/detail?name=fixture-console", lambda all: not all)
        demo.call("network", "DELETE", f"networks/{network}")


def broken(demo, admin):
    """A server in ERROR keeps its volumes."""
    image = demo.call("image", "GET", "images?name=tiny")[2]["images"][0]["id"]
    flavors = {f["name"]: f["id"] for f in demo.call("compute", "GET", "flavors")[2]["flavors"]}
    server = demo.call("compute", "POST", "servers", {"server": {
        "name": "fixture-broken", "flavorRef": flavors["m1.small"], "imageRef": image, "networks": "none"}})[2]["server"]["id"]
    metadata = {**marks("volume/web-1.data"), "pool_tier": "gold", "pool_zone": "az1", "owner": "ann"}
    volume = demo.call("block-storage", "POST", "volumes", {"volume": {
        "name": "fixture-broken", "size": 1, "volume_type": "gold", "metadata": metadata}})[2]["volume"]["id"]
    try:
        wait(demo, "servers/detail?name=fixture-broken", lambda all: all and all_settled(all))
        at_rest(demo, volume)
        demo.call("compute", "POST", f"servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
        while demo.call("block-storage", "GET", f"volumes/{volume}")[2]["volume"]["status"] != "in-use":
            time.sleep(0.5)
        admin.call("compute", "POST", f"servers/{server}/action", {"os-resetState": {"state": "error"}})
        demo.record("block-storage/volume-in-use", "block-storage", "GET", f"volumes/{volume}", expect=200)
        demo.record("compute/detach-from-broken", "compute", "DELETE", f"servers/{server}/os-volume_attachments/{volume}", expect=409)
    finally:
        demo.call("compute", "DELETE", f"servers/{server}")
        wait(demo, "servers/detail?name=fixture-broken", lambda all: not all)
        at_rest(demo, volume)
        demo.call("block-storage", "DELETE", f"volumes/{volume}")


def race(admin):
    """Servers that meet at the limit of a project: Nova accepts them, counts again, and some are too many."""
    project = admin.call("identity", "POST", "projects", {"project": {"name": "pool-race", "domain_id": "default"}})[2]["project"]["id"]
    servers = []
    try:
        user = admin.call("identity", "GET", "users?name=admin")[2]["users"][0]["id"]
        role = admin.call("identity", "GET", "roles?name=member")[2]["roles"][0]["id"]
        admin.call("identity", "PUT", f"projects/{project}/users/{user}/roles/{role}")
        admin.call("compute", "PUT", f"os-quota-sets/{project}", {"quota_set": {"instances": 1}})
        poor = Cloud("admin", "pool-race")
        image = poor.call("image", "GET", "images?name=tiny")[2]["images"][0]["id"]
        flavor = poor.call("compute", "GET", "flavors")[2]["flavors"][0]["id"]

        def body(n):
            metadata = {"pool_lineage": LINEAGE, "pool_address": f"host/web-{n}", "pool_generation": "1", "pool_token": f"aa0{n}"}
            return {"server": {"name": f"fixture-web-{n}", "flavorRef": flavor, "imageRef": image, "networks": "none",
                               "tags": ["pool", f"pool-token-aa0{n}"], "metadata": metadata}}

        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda n: poor.call("compute", "POST", "servers", body(n)), range(8)))
        servers = [answer["server"]["id"] for status, _, answer in answers if status == 202]
        wait(poor, "servers/detail", lambda all: len(all) == len(servers) and all_settled(all))
        over = next(s for s in poor.call("compute", "GET", "servers/detail")[2]["servers"] if s["status"] == "ERROR")
        token = over["metadata"]["pool_token"]
        poor.record("hosts/one-too-many-there", "compute", "GET", f"servers/detail?tags=pool-token-{token}", expect=200)
        poor.record("hosts/one-too-many", "compute", "GET", f"servers/{over['id']}", expect=200)
    finally:
        for server in servers:
            poor.call("compute", "DELETE", f"servers/{server}")
        if servers:
            wait(poor, "servers/detail", lambda all: not all)
        admin.call("identity", "DELETE", f"projects/{project}")


def all_settled(servers):
    return all(server["status"] in ("ACTIVE", "ERROR") for server in servers)


LINEAGE = "f1" * 16


def mark(kind, name, token):
    return f"pool {LINEAGE} {kind}/{name} 1 {token}"


def wait(demo, path, until):
    """Asks until it holds; the answer's list."""
    for _ in range(120):
        servers = demo.call("compute", "GET", path)[2]["servers"]
        if until(servers):
            return servers
        time.sleep(0.5)
    raise SystemExit(f"{path} never came so far")


def hosts(demo):
    """Servers through their lives. Everything that is looked at is filtered: others may use the project."""
    def record(name, *args, **kw):
        return demo.record(f"hosts/{name}", *args, **kw)

    named = {f["name"]: f["id"] for f in demo.call("compute", "GET", "flavors")[2]["flavors"]}
    image = demo.call("image", "GET", "images?name=tiny")[2]["images"][0]["id"]
    record("image", "image", "GET", "images?name=tiny", expect=200)
    record("flavors", "compute", "GET", "flavors", expect=200)
    text = mark("network", "front", "00")
    about = {"name": "fixture-front", "description": text}
    network = demo.call("network", "POST", "networks", {"network": about})[2]["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.98.0.0/24", **about}
    demo.call("network", "POST", "subnets", {"subnet": subnet})
    group = demo.call("network", "POST", "security-groups", {"security_group": about})[2]["security_group"]["id"]
    query = "description=" + urllib.parse.quote(text)
    for what in ["networks", "subnets", "security-groups"]:
        record(what, "network", "GET", f"{what}?{query}", expect=200)
    ids = []
    try:
        def server(name, token, flavor="m1.small", zone="az1", labels=None):
            port = record(f"{name}-port", "network", "POST", "ports", {"port": {
                "network_id": network, "name": f"fixture-{name}", "description": mark("host", name, token),
                "security_groups": [group]}}, 201)["port"]
            metadata = {"pool_lineage": LINEAGE, "pool_address": f"host/{name}", "pool_generation": "1",
                        "pool_token": token, "pool_image": "tiny", "pool_image_id": image, "pool_network": "front",
                        "pool_setup": "00", "pool_host_key": "ssh-ed25519 AAAA", "team": "checkout", **(labels or {})}
            made = record(f"{name}-made", "compute", "POST", "servers", {"server": {
                "name": f"fixture-{name}", "flavorRef": named[flavor], "imageRef": image, "availability_zone": zone,
                "networks": [{"port": port["id"]}], "tags": ["pool", f"pool-token-{token}"], "metadata": metadata}}, 202)
            ids.append((made["server"]["id"], port["id"]))
            record(f"{name}-building", "compute", "GET", f"servers/detail?tags=pool-token-{token}", expect=200)
            path = f"servers/detail?tags=pool-token-{token}"
            wait(demo, path, lambda all: all and all[0]["status"] in ("ACTIVE", "ERROR"))
            time.sleep(1)
            record(f"{name}-there", "compute", "GET", path, expect=200)
            record(f"{name}-one", "compute", "GET", f"servers/{made['server']['id']}", expect=200)
            return made["server"]["id"]

        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        one = server("web-1", "aa01")
        server("web-2", "aa02", flavor="m1.xlarge", zone="az-small")
        server("web-3", "aa03", labels={"oslab_fault": "abort"})
        small = server("web-4", "aa04", zone="az-small")
        order = "name=fixture-web&sort_key=created_at&sort_dir=desc&sort_key=uuid&sort_dir=desc"
        first = record("page-1", "compute", "GET", f"servers/detail?{order}&limit=3", expect=200)
        last = first["servers"][-1]["id"]
        record("page-2", "compute", "GET", f"servers/detail?{order}&limit=3&marker={last}", expect=200)
        lone = record("lone-port", "network", "POST", "ports", {"port": {
            "network_id": network, "name": "fixture-web-5", "description": mark("host", "web-5", "aa05")}}, 201)["port"]
        fields = "&".join(f"fields={f}" for f in ["id", "name", "description", "device_id", "created_at"])
        record("lone-ports", "network", "GET", f"ports?device_id=&network_id={network}&{fields}", expect=200)
        demo.call("network", "DELETE", f"ports/{lone['id']}")

        path = "servers/detail?tags=pool-token-aa01"
        def act(name, server, body, expect):
            record(name, "compute", "POST", f"servers/{server}/action", body, expect)
        act("console", one, {"os-getConsoleOutput": {}}, 200)
        act("start-running", one, {"os-start": None}, 409)
        act("stop", one, {"os-stop": None}, 202)
        wait(demo, path, lambda all: all[0]["status"] == "SHUTOFF")
        record("stopped", "compute", "GET", path, expect=200)
        demo.call("compute", "POST", f"servers/{one}/action", {"os-start": None})
        wait(demo, path, lambda all: all[0]["status"] == "ACTIVE" and not all[0]["OS-EXT-STS:task_state"])
        act("resize", one, {"resize": {"flavorRef": named["m1.medium"]}}, 202)
        record("resizing", "compute", "GET", path, expect=200)
        wait(demo, path, lambda all: all[0]["status"] == "VERIFY_RESIZE")
        record("resized", "compute", "GET", path, expect=200)
        act("confirm", one, {"confirmResize": None}, 204)
        wait(demo, path, lambda all: all[0]["status"] == "ACTIVE" and not all[0]["OS-EXT-STS:task_state"])
        record("confirmed", "compute", "GET", path, expect=200)
        act("confirm-again", one, {"confirmResize": None}, 409)
        path = "servers/detail?tags=pool-token-aa04"
        act("resize-no-room", small, {"resize": {"flavorRef": named["m1.xlarge"]}}, 202)
        wait(demo, path, lambda all: all[0]["status"] == "ACTIVE" and not all[0]["OS-EXT-STS:task_state"])
        record("not-resized", "compute", "GET", path, expect=200)
        actions = record("actions", "compute", "GET", f"servers/{small}/os-instance-actions", expect=200)
        resize = next(a for a in actions["instanceActions"] if a["action"] == "resize")["request_id"]
        record("action", "compute", "GET", f"servers/{small}/os-instance-actions/{resize}", expect=200)
    finally:
        for server, _ in ids:
            demo.call("compute", "DELETE", f"servers/{server}")
        wait(demo, "servers/detail?name=fixture-", lambda all: not all)
        path = f"servers/detail?changes-since={since}&name=fixture-web"
        record("deleted", "compute", "GET", path, expect=200)
        record("delete-again", "compute", "DELETE", f"servers/{ids[0][0]}", expect=404)
        for _, port in ids:
            demo.call("network", "DELETE", f"ports/{port}")
        demo.call("network", "DELETE", f"networks/{network}")
        demo.call("network", "DELETE", f"security-groups/{group}")


def marks(address):
    """Whose what is recorded here is."""
    return {"pool_lineage": LINEAGE, "pool_address": address, "pool_generation": "1", "pool_token": "70" * 16}


def at_rest(cloud, volume):
    """Waits until nothing is done to a volume."""
    for _ in range(240):
        status, _, answer = cloud.call("block-storage", "GET", f"volumes/{volume}")
        if status == 404 or answer["volume"]["status"] in ("available", "error"):
            return answer
        time.sleep(0.5)
    raise TimeoutError(volume)


def volumes(demo, admin):
    """A volume that is copied, is not moved, and then is; one that no backend has room for."""
    storage = "block-storage"
    body = {"volume": {"name": "pool-fixtures", "size": 1, "volume_type": "gold",
                       "metadata": {**marks("volume/web-1.data"), "pool_tier": "gold", "pool_zone": "az1", "owner": "ann"}}}
    volume = demo.record(f"{storage}/volume-created", storage, "POST", "volumes", body, 202)["volume"]["id"]
    at_rest(demo, volume)
    demo.record(f"{storage}/volume", storage, "GET", f"volumes/{volume}", expect=200)
    copy = {"snapshot": {"volume_id": volume, "name": "pool-fixtures-a", "force": True,
                         "metadata": marks("snapshot/web-1.data.a")}}
    snapshot = demo.record(f"{storage}/snapshot-created", storage, "POST", "snapshots", copy, 202)["snapshot"]["id"]
    time.sleep(3)
    demo.record(f"{storage}/snapshots", storage, "GET", f"snapshots/detail?volume_id={volume}", expect=200)
    demo.record(f"{storage}/has-snapshots", storage, "DELETE", f"volumes/{volume}", expect=400)
    retype = {"os-retype": {"new_type": "bronze", "migration_policy": "on-demand"}}
    demo.record(f"{storage}/retype-accepted", storage, "POST", f"volumes/{volume}/action", retype, 202)
    demo.record(f"{storage}/volume-retyping", storage, "GET", f"volumes/{volume}", expect=200)
    at_rest(demo, volume)
    demo.record(f"{storage}/volume-not-moved", storage, "GET", f"volumes/{volume}", expect=200)
    demo.record(f"{storage}/messages-none", storage, "GET", f"messages?resource_uuid={volume}", expect=200)
    demo.call(storage, "DELETE", f"snapshots/{snapshot}")
    time.sleep(3)
    assert demo.call(storage, "POST", f"volumes/{volume}/action", retype)[0] == 202
    marked = urllib.parse.quote(str({"pool_token": "70" * 16}))
    for _ in range(240):
        answer = demo.call(storage, "GET", f"volumes/detail?metadata={marked}")[2]
        if len(answer["volumes"]) > 1:
            demo.record(f"{storage}/volumes-after-a-move", storage, "GET", f"volumes/detail?metadata={marked}", expect=200)
            break
        time.sleep(0.1)
    at_rest(demo, volume)
    demo.call(storage, "DELETE", f"volumes/{volume}")
    nowhere = {"volume_type": {"name": "pool-fixtures", "extra_specs": {"volume_backend_name": "nowhere"}}}
    kind = admin.call(storage, "POST", "types", nowhere)[2]["volume_type"]["id"]
    try:
        body["volume"]["volume_type"] = "pool-fixtures"
        volume = demo.call(storage, "POST", "volumes", body)[2]["volume"]["id"]
        at_rest(demo, volume)
        demo.record(f"{storage}/volume-no-room", storage, "GET", f"volumes/{volume}", expect=200)
        demo.record(f"{storage}/messages-no-room", storage, "GET", f"messages?resource_uuid={volume}", expect=200)
        demo.call(storage, "DELETE", f"volumes/{volume}")
        at_rest(demo, volume)
    finally:
        admin.call(storage, "DELETE", f"types/{kind}")


def networks(demo):
    """The parts of a network, and what Neutron refuses."""
    mark = {"name": "pool-fixtures", "description": "pool " + " ".join(marks("network/front").values())}
    made = demo.record("network/network-made", "network", "POST", "networks", {"network": mark}, 201)["network"]["id"]
    subnet = {**mark, "network_id": made, "ip_version": 4, "cidr": "10.99.0.0/24", "gateway_ip": None,
              "allocation_pools": [{"start": "10.99.0.2", "end": "10.99.0.254"}], "enable_dhcp": True}
    many = {"subnet": {**subnet, "dns_nameservers": [f"9.9.9.{n}" for n in range(1, 10)]}}
    demo.record("network/too-many-name-servers", "network", "POST", "subnets", many, 400)
    demo.record("network/subnet-made", "network", "POST", "subnets", {"subnet": {**subnet, "dns_nameservers": []}}, 201)
    group = demo.record("network/group-made", "network", "POST", "security-groups", {"security_group": mark}, 201)["security_group"]["id"]
    rule = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4", "remote_group_id": group, "description": ""}
    demo.record("network/rules-made", "network", "POST", "security-group-rules", {"security_group_rules": [rule]}, 201)
    demo.record("network/rule-exists", "network", "POST", "security-group-rules", {"security_group_rules": [rule]}, 409)
    where = urllib.parse.quote(mark["description"])
    for name, path in [("networks", "networks"), ("subnets", "subnets"), ("groups", "security-groups"), ("routers", "routers")]:
        demo.record(f"network/{name}-marked", "network", "GET", f"{path}?description={where}", expect=200)
    port = demo.call("network", "POST", "ports", {"port": {"network_id": made, "name": "pool-fixtures", "security_groups": [group]}})[2]["port"]["id"]
    demo.record("network/ports-in-the-way", "network", "GET", f"ports?network_id={made}", expect=200)
    demo.record("network/group-in-use", "network", "DELETE", f"security-groups/{group}", expect=409)
    for path in [f"ports/{port}", f"security-groups/{group}", f"networks/{made}"]:
        demo.call("network", "DELETE", path)


def main():
    demo, admin = Cloud("demo"), Cloud("admin")
    steps = {"login": lambda: login(demo), "lists": lambda: lists(demo), "faults": lambda: faults(demo),
             "quotas": lambda: quotas(admin), "race": lambda: race(admin), "console": lambda: console(demo), "broken": lambda: broken(demo, admin), "hosts": lambda: hosts(demo),
             "volumes": lambda: volumes(demo, admin), "networks": lambda: networks(demo)}
    for name in sys.argv[1:] or steps:
        steps[name]()


if __name__ == "__main__":
    main()
