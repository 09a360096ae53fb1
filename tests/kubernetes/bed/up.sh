#!/bin/bash
# up.sh N | HOST... : bare hosts k1, k2 ... (systemd + sshd, nothing else) at $SUBNET.11, .12 ... and the mirror at $SUBNET.2. Run again to add hosts.
. "$(dirname "$0")/lib.sh"
case ${1:-3} in k*) hosts="${*#k}";; *) hosts=$(seq ${1:-3});; esac
docker_up
$DOCKER network inspect poolk8s >/dev/null 2>&1 || $DOCKER network create --subnet $SUBNET.0/24 --gateway $SUBNET.1 \
  -o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.name=poolk8s poolk8s >/dev/null
# Hosts share these with the machine, and kube-proxy and the kubelets of many hosts want more of them: keep the old values.
give() { [ -f $BED/$2.old ] || cat $1/$2 >$BED/$2.old; [ "$(cat $1/$2)" -ge $3 ] && [ $2 != nf_conntrack_max ] || echo $3 >$1/$2; }
give /proc/sys/net/netfilter nf_conntrack_max 131072
give /proc/sys/fs/inotify max_user_instances 2048
give /proc/sys/fs/inotify max_user_watches 524288
$DOCKER inspect poolk-mirror >/dev/null 2>&1 || $DOCKER run -d --name poolk-mirror --hostname mirror --network poolk8s --ip $SUBNET.2 \
  -v $BED/registry:/registry -v $BED/pki:/pki:ro -v $BED/srv:/srv:ro --entrypoint /bin/sh poolbed/host:bookworm -c \
  'cd /opt/bed; ./hello -dir /srv -listen :80 & ./docker-registry serve /pki/auth.yml & exec ./docker-registry serve /pki/open.yml' >/dev/null
for i in $hosts; do
  $DOCKER inspect poolk$i >/dev/null 2>&1 && continue
  ssh-keygen -f $BED/known_hosts -R $SUBNET.$((10+i)) >/dev/null 2>&1 || true
  $DOCKER run -d --name poolk$i --hostname k$i --network poolk8s --ip $SUBNET.$((10+i)) \
    --cap-add ALL --cap-drop SYS_RESOURCE --cgroupns private --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --security-opt systempaths=unconfined --device-cgroup-rule 'a *:* rwm' --device /dev/kmsg --device /dev/fuse \
    --tmpfs /run:exec --tmpfs /tmp:exec -v /var/lib/containerd -v /var/lib/docker -v /var/lib/kubelet -v /var/lib/containers \
    --stop-signal SIGRTMIN+3 -e container=docker -e POOL_SSH_KEY="$(cat $BED/id.pub)" --add-host $MIRROR:$SUBNET.2 \
    -e BED_NAMESERVER=$(awk '/^nameserver/{print $2; exit}' /etc/resolv.conf) poolbed/host:bookworm >/dev/null
done
for i in $hosts; do
  for _ in $(seq 60); do ssh_node $i true 2>/dev/null && break; sleep .5; done
  echo "k$i: ssh -i $BED/id root@$SUBNET.$((10+i))   $(ssh_node $i systemctl is-system-running || true)"
done
