"""What operators do beside plan and apply: checks, rights, copies, taking over."""
import json

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
