"""Many real sshd on loopback, each with an address and host keys of its own; and a round-trip time in front of them, if wanted."""
import socket
import subprocess
import sys
import time
from pathlib import Path


class Fleet:
    """sshd processes on 127.0.0.2, 127.0.0.3, …; ended by their process ids. `port` is where clients go."""

    def __init__(self, folder, count, port, rtt=0):
        self.folder, self.server_port, self.servers = folder, port, []
        self.port = port + 1 if rtt else port
        self.hosts = [(f"node-{chr(97 + i // 26)}{chr(97 + i % 26)}", f"127.0.0.{i + 2}") for i in range(count)]
        folder.mkdir()
        key(folder / "id")
        Path("/run/sshd").mkdir(exist_ok=True)
        for name, address in self.hosts:
            self.start(name, address)
        for _, address in self.hosts:
            self.wait(address)
        if rtt:
            self.delay(rtt)

    def start(self, name, address):
        home = self.folder / name
        (home / "home").mkdir(parents=True)
        key(home / "host_key")
        settings = f"""ListenAddress {address}:{self.server_port}
HostKey {home}/host_key
PidFile {home}/pid
AuthorizedKeysFile {self.folder}/id.pub
PasswordAuthentication no
StrictModes no
UsePAM no
MaxStartups 200
Subsystem sftp internal-sftp
SetEnv HOME={home}/home
"""
        (home / "sshd_config").write_text(settings)
        self.servers.append(subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", home / "sshd_config", "-E", home / "log"]))
        with open(self.folder / "known_hosts", "a") as known:
            known.write(f"[{address}]:{self.port} {self.host_key(name)}\n")

    def host_key(self, name):
        return " ".join((self.folder / name / "host_key.pub").read_text().split()[:2])

    def wait(self, address):
        for _ in range(100):
            try:
                socket.create_connection((address, self.server_port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"sshd on {address}:{self.server_port} did not start")

    def delay(self, rtt):
        program = Path(__file__).with_name("delay.py")
        words = [sys.executable, program, str(rtt), str(self.port), str(self.server_port)]
        words += [address for _, address in self.hosts]
        between = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.servers.append(between)
        if between.stdout.readline() != b"ready\n":
            raise SystemExit("the round-trip time could not be added")

    def stop(self):
        for server in self.servers:
            server.terminate()
            server.wait()


def key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
