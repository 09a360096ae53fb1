# What runs containers, and what a Kubernetes node stands on.
kube=/etc/kubernetes
# stale UNIT FILE...: why a service must be started anew; nothing: it runs, and with what its files say now. A note of our
# own start tells what it read; without one, the file must be older than the start.
stale() {
  u=$1; shift
  set -- "$(sum_of "$@")" "$@"
  show=$(systemctl show -p ActiveState -p UnitFileState -p MainPID "$u")
  case $show in *UnitFileState=enabled*) ;; *) echo 'is not enabled'; return;; esac
  case $show in *ActiveState=active*) ;; *) echo 'is not running'; return;; esac
  pid=${show#*MainPID=}; pid=${pid%%"$nl"*}
  read -r a b 2>/dev/null <"/run/pool/$u" || a=''
  if [ "$a" = "$pid" ]; then
    [ "$b" = "$1" ] || echo 'runs with what its files said before'
    return
  fi
  shift
  since=$(date -d "$(systemctl show -p ActiveEnterTimestamp --value "$u")" +%s)
  for x in "$@"; do
    [ ! -e "$x" ] || [ "$(stat -c %Y -- "$x")" -lt "$since" ] || { echo "was started before $x was written"; return; }
  done
}
nl='
'
sum_of() { cat -- "$@" 2>/dev/null | sha256sum | cut -c1-64; }
# probe_engine UNIT FILE..., act_engine UNIT FILE...
probe_engine() {
  why=$(stale "$@")
  [ -z "$why" ] && { ok; return; }
  differs "$why"; denied 'only root can change services'
}
act_engine() {
  [ -n "$(stale "$@")" ] || { held=1; return 0; }
  unit=$1; shift
  systemctl daemon-reload && systemctl -q enable "$unit" && lim 120 systemctl restart "$unit" || return
  mkdir -p /run/pool && echo "$(systemctl show -p MainPID --value "$unit") $(sum_of "$@")" >"/run/pool/$unit" || return
  # The next control plane waits until this one does its part again.
  read -r a b 2>/dev/null </var/lib/pool/member || b=''
  case $unit$b in
    # The kubelet may start etcd and the API server anew, some seconds later.
    'containerd.servicecontrol-plane done') calm 15 180;;
    'docker.serviceswarm done') led 120;;
  esac
}
# calm TIMES SECONDS: until the API has been ready that often in a row, a second apart; on a control plane its own, which asks
# its own etcd.
calm() {
  times=$1 row=0 conf=$kube/kubelet.conf server='' end_at=$(($(date +%s) + $2))
  [ ! -e "$kube/admin.conf" ] || conf=$kube/admin.conf
  # An upgrade that was cut off may have taken it away.
  own=$kube/manifests/kube-apiserver.yaml
  if [ -e "$own" ]; then
    server=$(sed -n 's/^ *- --advertise-address=//p' "$own")
    case $server in *:*) server="[$server]";; esac
    server="--server=https://$server:$(sed -n 's/^ *- --secure-port=//p' "$own")"
  fi
  while :; do
    if [ "$(lim 10 kubectl --kubeconfig "$conf" ${server:+"$server"} get --raw /readyz 2>"$tmp/api")" = ok ]; then row=$((row + 1)); else row=0; fi
    [ "$row" -lt "$times" ] || return 0
    [ "$(date +%s)" -lt "$end_at" ] || { echo "the API is not ready after $2 s: $(tail -n 1 "$tmp/api")" >&2; return 1; }
    sleep 1
  done
}
# led SECONDS: until a manager of a swarm knows its leader again; others need none.
led() {
  end_at=$(($(date +%s) + $1))
  while :; do
    case $(lim 60 docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}' 2>"$tmp/api") in
      'inactive '*|'active false') return 0;;
      'active true') ! lim 30 docker node ls -q >/dev/null 2>"$tmp/api" || return 0;;
    esac
    [ "$(date +%s)" -lt "$end_at" ] || { echo "its swarm has no leader after $1 s: $(tail -n 1 "$tmp/api")" >&2; return 1; }
    sleep 1
  done
}
# probe_program PATH WHAT BROUGHT: something that others must have put there; BROUGHT is 1 where what is done before may do so.
probe_program() {
  [ -x "$1" ] && { ok; return; }
  missing
  [ "$3" = 1 ] || denied "$1 is not on the host; bring $2 with \`unpack\` or \`files\`" disk
}
act_program() { [ -x "$1" ] && held=1 || { echo "$1 is not there, and nothing that was done brought it" >&2; return 1; }; }
# probe_shim CONTAINERD BROUGHT: gVisor's part for containerd speaks to containerd 1.7 and later.
too_old() { case $("$1" --version 2>/dev/null) in *' 1.'[0-6].*|*' v1.'[0-6].*) return 0;; *) return 1;; esac; }
probe_shim() {
  too_old "$1" || { ok; return; }
  differs 'containerd is too old for gVisor'
  [ "$2" = 1 ] || denied 'gVisor needs containerd 1.7 or later; give `programs`' disk
}
act_shim() {
  if too_old "$1"; then echo 'gVisor needs containerd 1.7 or later' >&2; return 1; fi
  held=1
}
# probe_images FILE SHA256 KIND, act_images FILE SHA256 KIND: images that were loaded from a file; a note says which.
images_there() {
  have=" $(images_of "$3") "
  {
    read -r a && [ "$a" = "$2" ] || return
    while read -r a; do case $have in *" $a "*|*" docker.io/$a "*|*" docker.io/library/$a "*) ;; *) return 1;; esac; done
  } 2>/dev/null <"$1.loaded"
}
images_of() {
  case $1 in docker) docker image ls --format '{{.Repository}}:{{.Tag}}';; *) ctr -n k8s.io images ls -q;; esac 2>/dev/null | tr '\n' ' '
}
# images_in FILE: their names, as `docker save` and as containerd write them.
images_in() {
  for x in manifest.json index.json; do tar -xOf "$1" "$x" 2>/dev/null; done |
    grep -oE '"RepoTags": *\[[^]]*\]|"io.containerd.image.name": *"[^"]*"' | sed 's/^"[^"]*"://' | grep -oE '"[^"]+"' | tr -d '"' | sort -u
}
probe_images() {
  images_there "$@" && { ok; return; }
  missing; denied 'only root can load images'
}
act_images() {
  images_there "$@" && { held=1; return 0; }
  names=$(images_in "$1")
  [ -n "$names" ] || { echo "$1 names no images; make it with docker save or ctr images export" >&2; return 1; }
  case $3 in
    docker) lim 1200 docker load -q -i "$1" >/dev/null || return;;
    *)
      lim 1200 ctr -n k8s.io images import "$1" >/dev/null || return
      # No registry has them: the kubelet must not clear them away.
      for x in $(images_of containerd); do
        for y in $names; do
          case $x in "$y"|docker.io/"$y"|docker.io/library/"$y") ctr -n k8s.io images label "$x" io.cri-containerd.pinned=pinned >/dev/null || return;; esac
        done
      done;;
  esac
  printf '%s\n' "$2" "$names" >"$1.loaded"
}
# probe_reach HOST PORT FILE: whether a port can be reached, asked only while FILE is not there.
probe_reach() {
  [ ! -e "$3" ] || { ok; return; }
  command -v bash >/dev/null || { ok; return; }
  lim 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null && { ok; return; }
  missing; denied "nothing answers at $1:$2 from this host" disk
}
# probe_vacant CLUSTER: whether a host is free for a cluster, or a part of it already.
probe_vacant() {
  read -r a b 2>/dev/null </var/lib/pool/member || a=''
  [ "${a##*/}" != "$1" ] || { ok; return; }
  traces=
  for x in /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf /etc/kubernetes/manifests/etcd.yaml /var/lib/etcd/member; do
    [ ! -e "$x" ] || traces="${traces:+$traces, }$x"
  done
  if [ -n "$traces" ]; then
    differs 'it is taken'
    denied "it holds a member of another cluster ($traces); if that is not needed any more, run on the host: kubeadm reset" disk
  elif cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" && $2 ~ /:280A$/ { found = 1 } END { exit !found }'; then
    differs 'its port 10250 is taken'
    denied 'something listens at its port 10250, which a member needs' disk
  else
    ok
  fi
}
# probe_swap, act_swap: no swap now, none after a boot.
probe_swap() {
  why=
  [ "$(wc -l </proc/swaps)" -le 1 ] || why='swap is on'
  ! grep -qE '^[^#].*[[:space:]]swap[[:space:]]' /etc/fstab 2>/dev/null || why="${why:+$why; }/etc/fstab turns swap on"
  [ -z "$why" ] && { ok; return; }
  differs "$why"; denied 'only root can turn swap off'
}
act_swap() {
  swapoff -a || return
  [ ! -e /etc/fstab ] || sed -i -E 's/^([^#].*[[:space:]]swap[[:space:]].*)/# pool: &/' /etc/fstab
}
# probe_module NAME, act_module NAME
probe_module() {
  [ -d "/sys/module/$1" ] && { ok; return; }
  # What is built in need not show there.
  grep -q "/$1\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null && { ok; return; }
  missing; denied 'only root can load modules'
}
act_module() { modprobe -- "$1"; }
# kube_version PACKAGE: the installed version; fails where there is none.
kube_version() {
  case $(dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null) in
    'installed '*) dpkg-query -W -f '${Version}' "$1";;
    *) return 1;;
  esac
}
# probe_kubernetes, act_kubernetes VERSION LIST: kubeadm, kubelet and kubectl, of any version, so that a member is changed by
# its own steps alone.
probe_kubernetes() {
  why=
  for p in kubeadm kubelet kubectl; do
    kube_version "$p" >/dev/null || why="${why:+$why, }$p"
  done
  [ -z "$why" ] || { missing; denied 'only root can install packages'; return; }
  held_back kubeadm kubelet kubectl || { differs 'its packages are not held'; denied 'only root can hold packages'; return; }
  systemctl -q is-enabled kubelet.service && ok || { differs 'kubelet is not enabled'; denied 'only root can change services'; }
}
held_back() {
  marks=" $(apt-mark showhold 2>/dev/null | tr '\n' ' ')"
  for p in "$@"; do case $marks in *" $p "*) ;; *) return 1;; esac; done
}
act_kubernetes() {
  need=
  for p in kubeadm kubelet kubectl; do
    kube_version "$p" >/dev/null || need="$need $p=$1"
  done
  [ -z "$need" ] || kube_install "$2" $need || return
  apt-mark hold kubeadm kubelet kubectl >/dev/null && systemctl -q enable kubelet.service
}
# kube_install LIST NAME=VERSION...: from one repository where LIST names one, for which alone the index is read.
kube_install() {
  list=$1; shift
  if [ -n "$list" ]; then
    apt_lists -o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
  else
    apt_lists
  fi || return
  apt_more='--allow-change-held-packages --allow-downgrades'
  apt_install "$@"; st=$?
  apt_more=
  return "$st"
}
