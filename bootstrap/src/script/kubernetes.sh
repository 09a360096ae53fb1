# Members of Kubernetes clusters. Cluster ids are LINEAGE/CLUSTER; a note on each host says whose member it is, and whether it
# became one in full.
member_note=/var/lib/pool/member
kc() { lim "${kc_limit:-60}" kubectl --kubeconfig "$kube/admin.conf" "$@"; }
# own ARGUMENT...: as the node itself, which may read itself.
own() { lim 20 kubectl --kubeconfig "$kube/kubelet.conf" "$@"; }
# member_state ID ROLE: absent, whole, half or foreign in $state, and $why.
member_state() {
  state=absent why= traces=
  for x in kubelet.conf admin.conf manifests/kube-apiserver.yaml manifests/etcd.yaml; do
    [ ! -e "$kube/$x" ] || traces="${traces:+$traces, }$kube/$x"
  done
  [ ! -e /var/lib/etcd/member ] || traces="${traces:+$traces, }/var/lib/etcd"
  read -r a b c 2>/dev/null <"$member_note" || a='' b='' c=''
  if [ "$a" != "$1" ]; then
    if [ -n "$traces" ]; then
      state=foreign why="it holds a member of another cluster ($traces); if that is not needed any more, run on the host: kubeadm reset"
    elif [ -e "$kube/bootstrap-kubelet.conf" ] || [ -e "$kube/pki/ca.crt" ]; then
      # Somebody's join that came to nothing: there is nothing to lose.
      state=half
    fi
    return
  fi
  case $2$c in
    *begun) state=half;;
    worker*) [ -e "$kube/kubelet.conf" ] && state=whole || state=half;;
    *) [ -e "$kube/kubelet.conf" ] && [ -e "$kube/admin.conf" ] && [ -e "$kube/manifests/etcd.yaml" ] && state=whole || state=half;;
  esac
  [ "$state" = half ] || [ "$b" = "$2" ] || state=foreign why="it is a $b of this cluster, not a $2"
}
mark() { mkdir -p "${member_note%/*}" && echo "$*" >"$member_note.new" && sync -- "$member_note.new" && mv -f "$member_note.new" "$member_note"; }
# ports PORT...: those that somebody listens at.
ports() {
  open=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { split($2, a, ":"); print a[2] }')
  for p in "$@"; do case $open in *"$(printf %04X "$p")"*) printf '%s ' "$p";; esac; done
}
# probe_member ID ROLE, while it is to become or to be one.
probe_member() {
  member_state "$1" "$2"
  case $state in
    whole) systemctl -q is-active kubelet && { ok; return; }; differs 'kubelet does not run';;
    half) differs 'it was begun and not finished';;
    foreign) differs "$why"; denied "$why" disk; return;;
    absent)
      missing
      if [ "$2" = worker ]; then taken=$(ports 10250); else taken=$(ports 6443 2379 2380 10250 10257 10259); fi
      [ -z "$taken" ] || denied "something listens at its port ${taken% }" disk;;
  esac
  denied 'only root can make it a member'
}
# ask_member ID ROLE: its state in a word, once nobody is changing it.
ask_member() {
  alone member_state "$1" "$2" || return
  # A worker that its cluster does not know is none, whatever is on its disk.
  if [ "$state$2" = wholeworker ] && own get node "$(node_name)" -o name 2>&1 | grep -q NotFound; then
    mark "$1" "$2" begun && state=half || return
  fi
  echo "$state"
}
# alone COMMAND...: one session at a time. One that lost its client goes on to the end of what it does: a join that looks half
# done may be whole in a moment, and what is cleared away meanwhile would be missing for good.
alone() {
  mkdir -p /run/pool && exec 9>/run/pool/member.lock && lim 600 flock 9 || return
  "$@"; done_with=$?
  exec 9>&-
  return "$done_with"
}
# masked COMMAND...: what it says, without what opens doors.
masked() {
  "$@" >"$tmp/out" 2>&1 </dev/null; st=$?
  sed -E 's/[a-z0-9]{6}\.[a-z0-9]{16}/<token>/g; s/[0-9a-f]{64}/<key>/g' "$tmp/out" >&2
  return "$st"
}
# kube_at PACKAGE LIST: the three packages have that version. What a host was before may have left another one.
kube_at() {
  for x in kubeadm kubelet kubectl; do
    [ "$(kube_version "$x")" != "$1" ] || continue
    kube_install "$2" "kubeadm=$1" "kubelet=$1" "kubectl=$1" && apt-mark hold kubeadm kubelet kubectl >/dev/null &&
      systemctl daemon-reload
    return
  done
}
# act_init ID VERSION PACKAGE LIST: begins a cluster with the configuration in $f. What was cut off goes on where the API
# answers with that version; where it does not, there was no cluster yet.
act_init() { alone do_init "$@"; }
do_init() {
  member_state "$1" control-plane
  case $state in
    whole) start_kubelet && await_api 120; return;;
    foreign) echo "$why" >&2; return 1;;
    half)
      if [ -e "$kube/admin.conf" ] && runs "$2" && await_api 30; then finish_init "$1"; return; fi
      reset_member || return;;
  esac
  kube_at "$3" "$4" && mark "$1" control-plane begun && masked lim 600 kubeadm config images pull --config "$f" || return
  masked lim 600 kubeadm init --config "$f" --upload-certs && await_api 60 && mark "$1" control-plane done
}
finish_init() {
  for phase in 'upload-config all' 'upload-certs --upload-certs' mark-control-plane bootstrap-token 'addon all'; do
    set -- "$1" $phase
    id=$1; shift
    masked lim 120 kubeadm init phase "$@" --config "$f" || return
    set -- "$id"
  done
  mark "$1" control-plane done
}
start_kubelet() { systemctl -q is-active kubelet && { held=1; return 0; }; systemctl start kubelet; }
# await_api SECONDS: until the API server here says that it is ready.
await_api() {
  end_at=$(($(date +%s) + $1))
  until [ "$(kc get --raw /readyz 2>"$tmp/api")" = ok ]; do
    [ "$(date +%s)" -lt "$end_at" ] || { echo "its API server is not ready after $1 s: $(tail -n 1 "$tmp/api")" >&2; return 1; }
    sleep 0.3
  done
}
# act_join ID ROLE PACKAGE LIST: joins with the configuration in $f. What was begun and not finished is cleared away first.
act_join() { alone do_join "$@"; }
do_join() {
  member_state "$1" "$2"
  case $state in
    whole) start_kubelet; return;;
    foreign) echo "$why" >&2; return 1;;
    half) reset_member || return;;
  esac
  kube_at "$3" "$4" && mark "$1" "$2" begun && masked lim 600 kubeadm join --config "$f" && mark "$1" "$2" done
}
# probe_ready NAME VERSION, act_ready NAME VERSION SECONDS: whether the cluster takes the node for ready, as itself sees it.
node_ready() {
  set -- "$1" "$2" "$(own get node "$1" -o 'jsonpath={.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}' 2>&1)"
  case $3 in
    "v$2 True "*) return 0;;
    "v$2 "*) why=${3#* * }; why="is not ready: $why";;
    *) why="is not there with version $2: $3";;
  esac
  return 1
}
probe_ready() { node_ready "$1" "$2" && ok || differs "$why"; }
act_ready() {
  end_at=$(($(date +%s) + $3))
  node_ready "$1" "$2" && { held=1; return 0; }
  until node_ready "$1" "$2"; do
    [ "$(date +%s)" -lt "$end_at" ] || { echo "node $1 $why" >&2; return 1; }
    sleep 0.3
  done
}
# ticket ROLE: what a host needs to join. The token lasts for minutes.
ticket() {
  # Several may ask at once, and each upload of certificates makes the key of the one before worthless.
  exec 8>/run/pool-ticket.lock && lim 60 flock 8 || return
  echo "token=$(lim 60 kubeadm --kubeconfig "$kube/admin.conf" token create --ttl 15m 2>/dev/null)"
  echo "ca=sha256:$(openssl x509 -pubkey -noout -in "$kube/pki/ca.crt" | openssl pkey -pubin -outform der | sha256sum | cut -c1-64)"
  echo "endpoint=$(sed -n 's,^ *server: https://,,p' "$kube/admin.conf")"
  [ "$1" = worker ] || echo "key=$(lim 60 kubeadm init phase upload-certs --upload-certs --kubeconfig "$kube/admin.conf" 2>/dev/null | tail -n 1)"
}
# survey: each node, and how long the certificates here last.
survey() {
  kc_limit=20 kc get nodes -o 'go-template={{range .items}}node {{.metadata.name}} {{.status.nodeInfo.kubeletVersion}} {{if .spec.unschedulable}}cordoned{{else}}open{{end}} {{$role := "worker"}}{{range $k, $v := .metadata.labels}}{{if eq $k "node-role.kubernetes.io/control-plane"}}{{$role = "control-plane"}}{{end}}{{end}}{{$role}} {{range .status.conditions}}{{if eq .type "Ready"}}{{.status}} {{.message}}{{end}}{{end}}
{{end}}' || return
  for x in "$kube"/pki/apiserver.crt "$kube"/pki/front-proxy-client.crt "$kube"/pki/etcd/server.crt; do
    [ ! -e "$x" ] || echo "expires $(date -d "$(openssl x509 -enddate -noout -in "$x" | cut -d= -f2)" +%s)"
  done
}
# act_manifest: applies the objects in $f. Server-side, because some are larger than an annotation may be.
act_manifest() { kc_limit=120 kc apply --server-side --force-conflicts --field-manager=pool -f "$f"; }
probe_never() { missing; denied 'only root can do that'; }
# act_settings NAME LABELS TAINTS OLD...: labels as KEY=VALUE, taints as Kubernetes writes them, both with commas; a note on
# the node says which are ours, so that what is no longer declared goes.
act_settings() {
  had=$(kc get node "$1" -o 'go-template={{range $k, $v := .metadata.annotations}}{{if eq $k "pool.labels"}}{{$v}}{{end}}{{end}}') || return
  was=$(kc get node "$1" -o 'go-template={{range $k, $v := .metadata.annotations}}{{if eq $k "pool.taints"}}{{$v}}{{end}}{{end}}') || return
  name=$1 labels=$2 taints=$3
  set --
  for x in $(commas "$labels"); do set -- "$@" "$x"; done
  for x in $(commas "$had"); do case ",$labels," in *",${x%%=*}="*) ;; *) set -- "$@" "${x%%=*}-";; esac; done
  [ $# = 0 ] || kc label --overwrite node "$name" "$@" || return
  set --
  for x in $(commas "$taints"); do set -- "$@" "$x"; done
  for x in $(commas "$was"); do
    case ",$taints," in *",$x,"*) continue;; esac
    key=${x%%:*}; set -- "$@" "${key%%=*}:${x##*:}-"
  done
  [ $# = 0 ] || kc taint --overwrite node "$name" "$@" || return
  kc annotate --overwrite node "$name" "pool.labels=$labels" "pool.taints=$taints" >/dev/null
}
commas() { printf %s "$1" | tr , ' '; }
# act_cordon NAME, act_uncordon NAME
act_cordon() { kc cordon "$1"; }
act_uncordon() { kc uncordon "$1"; }
# act_drain NAME SECONDS: budgets of disruption are honoured; what holds it up is in the last words.
act_drain() {
  kc get node "$1" -o name >/dev/null 2>"$tmp/err" || { absent && { held=1; return 0; }; cat "$tmp/err" >&2; return 1; }
  kc_limit=$(($2 + 30)) kc drain "$1" --ignore-daemonsets --delete-emptydir-data --timeout="$2s"
}
absent() { grep -q NotFound "$tmp/err"; }
# act_forget NAME: the node is not there any more, nor its part of etcd, on a control plane that stays.
act_forget() {
  forget_etcd "$1" || return
  kc_limit=60 kc delete node "$1" --ignore-not-found --wait=true
}
# etcdctl ARGUMENT...: in the etcd of this control plane.
etcdctl() {
  pod=$(kc -n kube-system get pods -l component=etcd --field-selector "spec.nodeName=$(node_name)" -o name | head -n 1)
  [ -n "$pod" ] || { echo 'no etcd runs on this control plane' >&2; return 1; }
  kc -n kube-system exec "${pod#pod/}" -c etcd -- etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt \
    --cert=/etc/kubernetes/pki/etcd/server.crt --key=/etc/kubernetes/pki/etcd/server.key "$@"
}
node_name() { openssl x509 -noout -subject -in /var/lib/kubelet/pki/kubelet-client-current.pem | sed 's/.*system:node://'; }
forget_etcd() {
  members=$(etcdctl member list) || return
  # 8e9e05c52164694d, started, m1, https://…, https://…, false
  id=$(printf '%s\n' "$members" | awk -F', ' -v n="$1" '$3 == n { print $1 }')
  [ -z "$id" ] || etcdctl member remove "$id"
}
# reset_member: nothing of a member is left. Kubernetes' own reset takes a control plane out of etcd, and leaves the pod
# network and the rules of packets behind. A range of pods that is remembered would be used in the next life of the node,
# which has another.
reset_member() {
  if command -v kubeadm >/dev/null; then lim 180 kubeadm reset -f >"$tmp/out" 2>&1 || { tail -n 20 "$tmp/out" >&2; return 1; }; fi
  set +f
  rm -rf -- /etc/cni/net.d/* /var/lib/cni /run/flannel /run/calico /var/lib/calico "$kube"/*.conf "$kube/pki" "$kube"/manifests/* \
    /var/lib/etcd/member
  set -f
  for x in cni0 flannel.1 kube-ipvs0 vxlan.calico; do ip link del "$x" 2>/dev/null || :; done
  for x in iptables ip6tables; do
    command -v "$x-save" >/dev/null || continue
    "$x-save" 2>/dev/null | grep -vE 'KUBE-|FLANNEL|cali-' >"$tmp/rules" && "$x-restore" <"$tmp/rules" 2>/dev/null || :
  done
  rm -f -- "$member_note"
}
# act_reset ID: only what is ours.
act_reset() { alone do_reset "$@"; }
do_reset() {
  member_state "$1" worker
  [ "$state" != absent ] || { rm -f -- "$member_note"; held=1; return 0; }
  read -r a b c 2>/dev/null <"$member_note" || a=
  [ "$a" = "$1" ] || [ "$state" = half ] || { echo "$why" >&2; return 1; }
  reset_member
}
# runs VERSION: whether kubelet and, on a control plane, its other parts are of that version.
runs() { [ "$(kubelet --version)" = "Kubernetes v$1" ] && parts_run "$1"; }
parts_run() {
  for x in apiserver controller-manager scheduler; do
    x=$kube/manifests/kube-$x.yaml
    [ ! -e "$x" ] || grep -q "image: .*:v$1\$" "$x" || return 1
  done
}
probe_version() { runs "$1" && ok || { differs "runs $(kubelet --version), not v$1"; denied 'only root can upgrade'; }; }
# probe_packages VERSION PACKAGE: whether all three packages are those, and run.
probe_packages() {
  for x in kubeadm kubelet kubectl; do
    [ "$(kube_version "$x")" = "$2" ] || { differs "$x is not of version $2"; denied 'only root can install packages'; return; }
  done
  probe_version "$1"
}
# act_upgrade FIRST(1|0) VERSION PACKAGE LIST IGNORED: all but the kubelet, which is changed once the node is empty.
act_upgrade() {
  # What was cut off later is not begun again here: by then the node may be empty already.
  if [ -e "$kube/manifests/kube-apiserver.yaml" ] && parts_run "$2" &&
    kc -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' | grep -q "^kubernetesVersion: v$2\$"; then
    held=1; return 0
  fi
  kube_install "$4" "kubeadm=$3" && apt-mark hold kubeadm >/dev/null || return
  how=node
  [ "$1" = 0 ] || how="apply v$2 -y"
  # Each part of a control plane that is started anew may take the API away for a moment.
  for try in 1 2 3; do
    calm 5 180 && masked lim 1200 kubeadm upgrade $how ${5:+--ignore-preflight-errors="$5"} && return
  done
  return 1
}
# act_kubelet VERSION PACKAGE LIST
act_kubelet() {
  if runs "$1"; then start_kubelet; return; fi
  kube_install "$3" "kubelet=$2" "kubectl=$2" && apt-mark hold kubelet kubectl >/dev/null &&
    systemctl daemon-reload && lim 120 systemctl restart kubelet || return
  # On a control plane a new kubelet starts etcd and the API server anew, some seconds after it said that it is ready.
  [ ! -e "$kube/manifests/kube-apiserver.yaml" ] || calm 15 180
}
# act_rollback VERSION PACKAGE LIST: packages as they were. A kubelet may be older than its cluster, never newer.
act_rollback() {
  [ ! -e "$kube/manifests/kube-apiserver.yaml" ] || grep -q "image: .*:v$1\$" "$kube/manifests/kube-apiserver.yaml" ||
    { echo 'its API server runs another version; only a snapshot brings that back' >&2; return 1; }
  kube_at "$2" "$3" && lim 120 systemctl restart kubelet
}
# act_snapshot FILE: what etcd holds; and beside it what this control plane is made of, without which that is worth nothing.
act_snapshot() {
  [ ! -s "$1" ] || { held=1; return 0; }
  mkdir -p -m 700 "${1%/*}" && rm -f /var/lib/etcd/pool-snapshot.db &&
    kc_limit=300 etcdctl snapshot save /var/lib/etcd/pool-snapshot.db &&
    kube_version kubeadm >"$1.packages" &&
    (umask 077; cd / && tar -czf "$1.host.tgz" etc/kubernetes/pki etc/kubernetes/manifests etc/kubernetes/admin.conf \
      var/lib/kubelet/config.yaml var/lib/kubelet/kubeadm-flags.env) &&
    chmod 600 /var/lib/etcd/pool-snapshot.db && mv -f /var/lib/etcd/pool-snapshot.db "$1.new" && sync -- "$1.new" &&
    mv -f "$1.new" "$1" || return
  set +f
  ls -1t "${1%/*}"/*.db | tail -n +6 | while read -r old; do rm -f -- "$old" "$old.host.tgz" "$old.packages"; done
  set -f
}
# act_restore FILE LIST: this control plane as it was when that snapshot was taken, and the only one. What etcd held until
# now is kept beside it.
act_restore() {
  for x in "$1" "$1.host.tgz" "$1.packages"; do [ -s "$x" ] || { echo "$x is not there" >&2; return 1; }; done
  work=${1%/*}/restore
  etcd=$(tar -xzOf "$1.host.tgz" etc/kubernetes/manifests/etcd.yaml) || return
  image=$(printf '%s\n' "$etcd" | sed -n 's/^ *image: //p' | head -n 1)
  name=$(printf '%s\n' "$etcd" | sed -n 's/^ *- --name=//p' | head -n 1)
  peer=$(printf '%s\n' "$etcd" | sed -n 's/^ *- --initial-advertise-peer-urls=//p' | head -n 1)
  rm -rf -- "$work" && mkdir -p -m 700 "$work" && cp -- "$1" "$work/snapshot.db" &&
    lim 300 ctr -n k8s.io run --rm --mount "type=bind,src=$work,dst=/work,options=rbind:rw" "$image" "pool-restore-$$" \
      etcdutl snapshot restore /work/snapshot.db --data-dir /work/data --name "$name" --initial-cluster "$name=$peer" \
      --initial-advertise-peer-urls "$peer" || return
  [ -d "$work/data/member" ] || { echo 'nothing came out of the snapshot' >&2; return 1; }
  kube_at "$(cat "$1.packages")" "$2" && mkdir -p "$work/manifests" || return
  set +f; mv -f "$kube"/manifests/*.yaml "$work/manifests/" 2>/dev/null; set -f
  stopped 120 || return
  [ ! -d /var/lib/etcd/member ] || mv -- /var/lib/etcd/member "${1%/*}/before-$(date +%Y%m%d%H%M%S)" || return
  mv -- "$work/data/member" /var/lib/etcd/member && tar -C / -xzf "$1.host.tgz" && systemctl daemon-reload &&
    lim 120 systemctl restart kubelet && await_api 240 && rm -rf -- "$work"
}
# stopped SECONDS: until neither etcd nor the API server runs.
stopped() {
  end_at=$(($(date +%s) + $1))
  for part in etcd kube-apiserver; do
    while running "$part"; do
      [ "$(date +%s)" -lt "$end_at" ] || { echo "$part still runs after $1 s" >&2; return 1; }
      sleep 1
    done
  done
}
running() {
  for c in $(ctr -n k8s.io containers ls -q "labels.\"io.kubernetes.container.name\"==$1"); do
    ! ctr -n k8s.io tasks ls | grep "^$c " | grep -q RUNNING || return 0
  done
  return 1
}
package_now() { kubelet --version | sed 's/^Kubernetes v/version=/'; }
# act_renew: new certificates, and everything that holds the old ones is started anew.
act_renew() {
  masked lim 120 kubeadm certs renew all || return
  for part in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    for c in $(ctr -n k8s.io containers ls -q "labels.\"io.kubernetes.container.name\"==$part"); do
      ctr -n k8s.io tasks kill -s TERM "$c" 2>/dev/null || :
    done
  done
  await_api 120
}
