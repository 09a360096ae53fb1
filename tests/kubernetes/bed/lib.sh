# Shared by build.sh, up.sh, down.sh and demo.sh: places, versions and the bed's own docker daemon.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BED=${POOL_K8S_BED:-/var/tmp/pool-beds/kubernetes}
export GOFLAGS= CGO_ENABLED=0
K8S=${K8S_VERSION:-1.34.4} K8S_NEXT=${K8S_NEXT-1.35.4}
ETCD=3.6.5 COREDNS=1.12.1 PAUSE=3.10.1 FLANNEL=0.28.4 CNI=1.9.1 CNI_FLANNEL=0.9.1
CONTAINERD=2.2.3 GVISOR=v0.0.0-20260905035102-160fafc42237
SUBNET=10.89.0 MIRROR=registry.pool.test                # hosts are $SUBNET.11, .12 ...; the mirror is $SUBNET.2
DOCKER="docker -H unix://$BED/docker.sock"
mkdir -p "$BED"/{bin,mod,img,log}

docker_up() { # the bed's own daemon: nothing else on the machine is touched
  $DOCKER info >/dev/null 2>&1 && return
  setsid nohup dockerd -H unix://$BED/docker.sock --data-root $BED/docker --exec-root $BED/docker-run \
    --pidfile $BED/docker.pid --bridge none --mtu 1400 --default-ulimit nofile=20000:20000 >$BED/log/dockerd.log 2>&1 </dev/null &
  for _ in $(seq 60); do $DOCKER info >/dev/null 2>&1 && return; sleep .5; done
  echo "dockerd did not start, see $BED/log/dockerd.log" >&2; return 1
}
ssh_node() { # ssh_node NUMBER COMMAND...
  local n=$1; shift
  ssh -i $BED/id -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$BED/known_hosts -o ConnectTimeout=5 -o LogLevel=ERROR \
    root@$SUBNET.$((10+n)) "$@"
}
