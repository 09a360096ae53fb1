#!/bin/bash
# demo.sh [STEP...] : a cluster of k1 (control plane), k2, k3 over SSH, written by hand: what `pool apply` is measured against.
# steps: prepare init network join workload    (no step: all)
. "$(dirname "$0")/lib.sh"
NODES=${NODES:-3}
IGNORE=--ignore-preflight-errors=SystemVerification   # only because the machine has cgroup v1: an error from 1.35 on
k() { ssh_node 1 KUBECONFIG=/etc/kubernetes/admin.conf "$@"; }
took() { local t=$(date +%s.%N); "$@"; printf '== %s: %.1f s\n' "$1 ${2:-}" $(echo "$(date +%s.%N)-$t" | bc); }
prepare_one() { local v=${2:-$K8S}; ssh_node $1 'cat >/tmp/ca.crt' <$BED/pki/ca.crt; ssh_node $1 'cat >/tmp/key.gpg' <$BED/srv/apt/key.gpg
  local c=$BED/srv/files/containerd-$CONTAINERD.tar.gz
  [ -z "${NEW_CONTAINERD:-}" ] || ssh_node $1 "containerd --version 2>/dev/null | grep -q $CONTAINERD" || { ssh_node $1 tar -C /usr/local -xz <$c
    ssh_node $1 'd=/etc/systemd/system/containerd.service.d; mkdir -p $d; printf "[Service]\nExecStart=\nExecStart=/usr/local/bin/containerd\n" >$d/10-local.conf; systemctl daemon-reload'; }
  ssh_node $1 bash -s - $v $MIRROR:5000 $MIRROR:5000/registry.k8s.io/pause:$PAUSE <$HERE/node/prepare.sh | sed "s/^/k$1: /"; }
prepare() { local i p=(); for i in $(seq $NODES); do prepare_one $i & p+=($!); done; for i in ${p[@]}; do wait $i; done; }
init() {
  k test -f /etc/kubernetes/admin.conf && k kubectl get --raw /readyz >/dev/null && return
  ssh_node 1 'cat >/root/kubeadm.yaml' <<C
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $SUBNET.11}
nodeRegistration: {criSocket: "unix:///run/containerd/containerd.sock"}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$K8S
clusterName: bed
controlPlaneEndpoint: $SUBNET.11:6443
imageRepository: $MIRROR:5000/registry.k8s.io
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
failCgroupV1: false   # only because the machine has cgroup v1; refused from 1.35 on without this
C
  ssh_node 1 "kubeadm config images pull --config kubeadm.yaml >/dev/null && kubeadm init --config kubeadm.yaml --upload-certs $IGNORE" | tail -25
}
network() { ssh_node 1 "cat >/root/kube-flannel.yml" <$BED/srv/files/kube-flannel.yml; k kubectl apply -f /root/kube-flannel.yml | tail -1; }
join_one() {
  ssh_node $1 test -f /etc/kubernetes/kubelet.conf && return
  local token hash; token=$(k kubeadm token create --ttl 15m)
  hash=$(ssh_node 1 "openssl x509 -pubkey -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum | cut -c1-64")
  ssh_node $1 kubeadm join $SUBNET.11:6443 --token $token --discovery-token-ca-cert-hash sha256:$hash $IGNORE | tail -3
}
join() { local i p=(); for i in $(seq 2 $NODES); do join_one $i & p+=($!); done; for i in ${p[@]:-}; do wait $i; done
  k kubectl wait --for=condition=Ready node --all --timeout=180s; }
workload() {
  k kubectl apply -f - <<C | tail -2
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  replicas: 2
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      terminationGracePeriodSeconds: 2
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: hello}}}]
      containers: [{name: hello, image: "docker.io/pool/hello:1", ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /, port: 8080}}}]
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {type: NodePort, selector: {app: hello}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
C
  k kubectl rollout status deploy/hello --timeout=120s | tail -1; k kubectl get pods -o wide
}
for s in ${*:-prepare init network join workload}; do took $s; done
