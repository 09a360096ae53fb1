"""From bare hosts to a cluster, and back to bare hosts."""
import time

import bed
from world import Kubernetes, POOL, STANDING, standing, timed


def create():
    """Bare hosts become a cluster that serves, in at most 1.3 times what the commands by hand take; a second apply changes nothing."""
    import shutil
    begun = time.monotonic()
    bed.fresh("k1", "k2", "k3")
    demo = time.monotonic()
    bed.run(bed.HERE / "bed/demo.sh", "prepare", "init", "network", "join", within=600)
    by_hand = time.monotonic() - demo
    print(f"    by hand: {by_hand:.1f} s", flush=True)
    bed.fresh("k1", "k2", "k3")
    shutil.rmtree(STANDING, ignore_errors=True)
    STANDING.mkdir()
    world = Kubernetes("standing", STANDING)
    world.kubernetes()
    ours = time.monotonic()
    world.apply()
    by_pool = time.monotonic() - ours
    print(f"    by pool: {by_pool:.1f} s, {by_pool / by_hand:.2f} times", flush=True)
    world.expect(["k1"], ["k2", "k3"])
    world.serve("k2", "k3")
    timed("with both workloads", begun)
    assert by_pool <= 1.3 * by_hand, "slower than 1.3 times the commands by hand"


def second_apply():
    """An apply of what is there changes nothing: in at most 3 s, with at most 3 sessions a host."""
    with standing() as world:
        for host in ("k1", "k2", "k3"):
            bed.on(host, "echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/bed.conf; systemctl reload ssh; sleep 1")
        since = bed.on("k1", "date +%s").strip()
        begun = time.monotonic()
        said = world.apply()
        took = time.monotonic() - begun
        for host in ("k1", "k2", "k3"):
            log = bed.on(host, f"journalctl -q -u ssh --since @{since}")
            sessions, logins = log.count("Starting session"), log.count("Accepted publickey")
            print(f"    {host}: {logins} connections, {sessions} sessions", flush=True)
            assert 1 <= sessions <= 3 and logins == 1, log
        print(f"    {took:.1f} s", flush=True)
        assert took <= 3, f"{took:.1f} s"
        assert "No changes" in said or "nothing" in said.lower(), said


def destroyed():
    """What `pool destroy` leaves are hosts that can become anything."""
    with standing() as world:
        world.serve("k2", "k3")
        world.destroy()
        for host in ("k1", "k2", "k3"):
            _bare(host)
        world.kubernetes()
        world.apply()
        world.expect(["k1"], ["k2", "k3"])


def _bare(host):
    left = bed.on(host, "ls -d /run/flannel /var/lib/cni /etc/kubernetes/*.conf /etc/kubernetes/manifests/* /var/lib/etcd/member /etc/cni/net.d/* /var/lib/pool/member "
                        "2>/dev/null; ip -o link | grep -E 'cni0|flannel' ; iptables-save | grep -cE 'KUBE-|FLANNEL' | grep -vx 0; "
                        "ctr -n k8s.io tasks ls -q", check=False)
    assert not left.strip(), f"left on {host}: {left}"
