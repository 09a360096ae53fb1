"""What the bed itself must do, before anything is said about `pool`."""
import base64
import contextlib
import json
import random
import subprocess
import tempfile
from pathlib import Path

import bed

MARK = "written before the move\n"


def machines():
    """A server made with openstacksdk is a real machine: SSH, host key, console, volumes, restart, rebuild, resize."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sdk = stack.enter_context(bed.connect())
        machine = _Machine(sdk, folder, stack)
        machine.prove_host_key()
        volume = machine.attach_volume()
        machine.ssh(f"mkfs.ext4 -q /dev/disk/by-id/virtio-{volume.id[:20]} && mkdir /data && mount /dev/disk/by-id/virtio-{volume.id[:20]} /data")
        machine.ssh(f"echo /dev/disk/by-id/virtio-{volume.id[:20]} /data ext4 nofail 0 2 >> /etc/fstab")
        machine.ssh(f"printf '{MARK}' > /data/mark; sync")
        sdk.compute.reboot_server(machine.id, "SOFT")
        machine.settled()
        assert machine.ssh("cat /data/mark") == MARK, "a restart keeps the volume"
        sdk.block_storage.post(f"/volumes/{volume.id}/action", json={"os-extend": {"new_size": 2}}, microversion="3.42")
        bed.until("the volume is larger", lambda: "in-use" == sdk.block_storage.get_volume(volume.id).status)
        assert machine.ssh(f"blockdev --getsize64 /dev/disk/by-id/virtio-{volume.id[:20]}") == f"{2 << 30}\n"
        sdk.block_storage.post(f"/volumes/{volume.id}/action", json={"os-retype": {"new_type": "bronze", "migration_policy": "on-demand"}})
        bed.until("the volume is bronze", lambda: _is(sdk, volume, "bronze", "in-use"))
        assert bed.volume_file(volume.id)[1] == "bronze"
        assert machine.ssh("cat /data/mark") == MARK, "a retype keeps the bytes"
        machine.ssh("touch /rebuilt-away")
        sdk.compute.resize_server(machine.id, sdk.compute.find_flavor("m1.medium").id)
        machine.settled("VERIFY_RESIZE")
        sdk.compute.confirm_server_resize(machine.id)
        machine.settled()
        assert machine.ssh("cat /data/mark; ls /rebuilt-away") == MARK + "/rebuilt-away\n", "a resize keeps all"
        sdk.compute.post(f"/servers/{machine.id}/action", json={"rebuild": {"imageRef": sdk.image.find_image("tiny-2").id}})
        machine.settled()
        assert machine.ssh("ls / | grep -c rebuilt; true").strip() == "0", "a rebuild gives a new root"
        machine.ssh(f"mkdir /data && mount /dev/disk/by-id/virtio-{volume.id[:20]} /data")
        assert machine.ssh("cat /data/mark") == MARK, "a rebuild keeps the volume"
        machine.ssh("umount /data")


def _is(sdk, volume, kind, status):
    now = sdk.block_storage.get_volume(volume.id)
    return now.volume_type == kind and now.status == status


class _Machine:
    def __init__(self, sdk, folder, stack):
        self.sdk, self.folder, self.stack = sdk, folder, stack
        name = f"machine-{random.randrange(16**4):04x}"
        network = sdk.network.create_network(name=name)
        stack.callback(sdk.network.delete_network, network)
        block = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.0/24"
        sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr=block, enable_dhcp=False, gateway_ip=None)
        for key in ("host", "login"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        config = {"ssh_deletekeys": True, "ssh_keys": {"ed25519_private": (folder / "host").read_text()},
                  "users": [{"name": "root", "ssh_authorized_keys": [(folder / "login.pub").read_text()]}]}
        data = base64.b64encode(b"#cloud-config\n" + json.dumps(config).encode()).decode()
        self.id = sdk.compute.create_server(
            name=name, image_id=sdk.image.find_image("tiny").id, flavor_id=sdk.compute.find_flavor("m1.small").id,
            networks=[{"uuid": network.id}], user_data=data).id
        stack.callback(self.delete)
        server = self.settled()
        self.address = server.addresses[name][0]["addr"]
        key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"{self.address} {key}\n")

    def delete(self):
        self.sdk.compute.delete_server(self.id)
        self.sdk.compute.wait_for_delete(self.sdk.compute.get_server(self.id), wait=60)
        for volume in self.volumes if hasattr(self, "volumes") else []:
            bed.until("the volume is free", lambda: self.sdk.block_storage.get_volume(volume.id).status == "available", 60)
            self.sdk.block_storage.delete_volume(volume)

    def settled(self, status="ACTIVE"):
        def look():
            server = self.sdk.compute.get_server(self.id)
            assert server.status != "ERROR", server.fault
            return server if server.status == status and not server.task_state else None
        return bed.until(f"the server is {status}", look)

    def ssh(self, command):
        return subprocess.run(
            ["ssh", "-F", "none", "-i", self.folder / "login", "-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "BatchMode=yes",
             f"root@{self.address}", command], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    def prove_host_key(self):
        assert "Linux" in self.ssh("uname -s")
        console = self.sdk.compute.get_server_console_output(self.id)["output"]
        key = (self.folder / "host.pub").read_text().split()[1]
        assert key in console.split("BEGIN SSH HOST KEY KEYS")[1], "the console shows the host key"

    def attach_volume(self):
        volume = self.sdk.block_storage.create_volume(name="machine", size=1, volume_type="gold")
        self.volumes = [volume]
        bed.until("the volume is made", lambda: self.sdk.block_storage.get_volume(volume.id).status == "available")
        self.sdk.compute.create_volume_attachment(self.id, volume_id=volume.id)
        bed.until("the volume is attached", lambda: self.sdk.block_storage.get_volume(volume.id).status == "in-use")
        return volume
