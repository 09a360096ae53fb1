#!/bin/bash
# build.sh [STEP...]: binaries through the Go proxy, OCI images, a private registry and an apt repository, all under $BED.
# What is there is not made again: remove $BED/bin/NAME, $BED/img/NAME or $BED/srv/apt/NAME to redo it. Go modules are written to $BED/mod.
. "$(dirname "$0")/lib.sh"

# module NAME MODULE VERSION PACKAGE... : a directory from which main packages of a published module can be built
module() {
  local name=$1 mod=$2 version=$3 dir=$BED/mod/$1; shift 3
  [ -f $dir/go.sum ] && grep -q "$mod $version" $dir/go.mod && return
  local upstream; upstream=$(cd /; go list -m -f '{{.GoMod}}' $mod@$version)
  mkdir -p $dir; cd $dir; rm -f go.mod go.sum
  { printf 'module pool.test/%s\n\ngo 1.25.0\n\nrequire %s %s\n' $name $mod $version
    [ -z "${EXTRA:-}" ] || echo "require $EXTRA"
    if [ $mod = k8s.io/kubernetes ]; then   # its go.mod replaces the staging modules by local paths: name the published ones
      printf '\ngodebug default=go1.24\n\nreplace (\n'
      grep -oE '^\s+k8s.io/[a-z0-9-]+ => \./staging' $upstream | awk -v v=v0.${version#v1.} '{print "\t"$1" => "$1" "v}'
      printf ')\n'
    fi; } >go.mod
  { printf '//go:build tools\n\npackage tools\n\nimport (\n'; printf '\t_ "%s"\n' "$@"; printf ')\n'; } >tools.go
  go mod tidy >$BED/log/tidy-$name.log 2>&1 || { rm -f go.sum; tail -3 $BED/log/tidy-$name.log; return 1; }
}
main() { case $1 in */v3) basename ${1%/v3};; *) basename $1;; esac; }   # go names a command after its directory, less a version
# compile NAME OUT LDFLAGS PACKAGE...
compile() {
  local name=$1 what=$2 out=$BED/bin/$2 ld=$3 p; shift 3
  for p in "$@"; do [ -x $out/$(main $p) ] || local todo=1; done
  [ -n "${todo:-}" ] || return 0
  mkdir -p $out; cd $BED/mod/$name
  echo "compiling $what"; /usr/bin/time -f "$what: %e s, %U+%S s CPU, %M KiB" go build -p 2 -trimpath -ldflags "-s -w $ld" -o $out/ "$@" 2>&1 | tee -a $BED/log/build.log | tail -3
  for p in "$@"; do [ -x $out/$(main $p) ] || return 1; done
}

step_k8s() {
  local v=k8s.io/component-base/version cmds=(kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy)
  for k in $K8S ${K8S_NEXT:-}; do
    module k8s-$k k8s.io/kubernetes v$k "${cmds[@]/#/k8s.io/kubernetes/cmd/}"
    compile k8s-$k k8s-$k "-X $v.gitVersion=v$k -X $v.gitMajor=1 -X $v.gitMinor=$(cut -d. -f2 <<<$k) -X $v.gitTreeState=clean -X $v.gitCommit=$(printf %040d 0) -X $v.buildDate=2026-01-01T00:00:00Z" "${cmds[@]/#/k8s.io/kubernetes/cmd/}"
  done
}
step_parts() {
  module etcd go.etcd.io/etcd/server/v3 v$ETCD go.etcd.io/etcd/server/v3
  compile etcd etcd '' go.etcd.io/etcd/server/v3
  module etcdctl go.etcd.io/etcd/etcdctl/v3 v$ETCD go.etcd.io/etcd/etcdctl/v3
  compile etcdctl etcdctl '' go.etcd.io/etcd/etcdctl/v3
  module etcdutl go.etcd.io/etcd/etcdutl/v3 v$ETCD go.etcd.io/etcd/etcdutl/v3
  compile etcdutl etcdutl '' go.etcd.io/etcd/etcdutl/v3
  module coredns github.com/coredns/coredns v$COREDNS github.com/coredns/coredns
  compile coredns coredns '' github.com/coredns/coredns
  # the release that flannel asks for is withdrawn from the proxy, a later one is there
  EXTRA='github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common v1.3.103' \
  module flannel github.com/flannel-io/flannel v$FLANNEL github.com/flannel-io/flannel
  # its udp backend is C
  CGO_ENABLED=1 compile flannel flannel "-extldflags=-static -X github.com/flannel-io/flannel/pkg/version.Version=v$FLANNEL" github.com/flannel-io/flannel
  local p=github.com/containernetworking/plugins/plugins c="main/bridge main/loopback main/host-device main/macvlan ipam/host-local ipam/static meta/portmap meta/tuning meta/bandwidth meta/firewall"
  module cni github.com/containernetworking/plugins v$CNI $(printf "$p/%s " $c)
  compile cni cni '' $(printf "$p/%s " $c)
  module cni-flannel github.com/containernetworking/plugins v$CNI_FLANNEL $p/meta/flannel   # the last release that had it
  compile cni-flannel cni-flannel '' $p/meta/flannel
  for n in hello pause; do [ -x $BED/bin/$n/$n ] || (cd $HERE/go/$n; mkdir -p $BED/bin/$n; go build -trimpath -ldflags '-s -w' -o $BED/bin/$n/$n main.go); done
}
step_runtimes() { # newer or other runtimes than Debian 12 has
  local p=github.com/containerd/containerd/v2/cmd
  module containerd github.com/containerd/containerd/v2 v$CONTAINERD $p/containerd $p/containerd-shim-runc-v2 $p/ctr
  compile containerd containerd "-X github.com/containerd/containerd/v2/version.Version=$CONTAINERD" $p/containerd $p/containerd-shim-runc-v2 $p/ctr
  module gvisor gvisor.dev/gvisor $GVISOR gvisor.dev/gvisor/runsc gvisor.dev/gvisor/shim
  # two lines lower an oom_score_adj, which needs CAP_SYS_RESOURCE: compiled as "no lower than 0", from a copy of the module
  local src=$BED/mod/gvisor-src
  [ -d $src ] || { cp -r "$(cd $BED/mod/gvisor; go list -m -f '{{.Dir}}' gvisor.dev/gvisor)" $src; chmod -R u+w $src
    sed -i 's/oomScoreMax = -999/oomScoreMax = 0/' $src/pkg/shim/v1/manager.go
    sed -i 's/strconv.Itoa(scoreAdj)/strconv.Itoa(max(scoreAdj, 0))/' $src/runsc/container/container.go
    (cd $BED/mod/gvisor; go mod edit -replace gvisor.dev/gvisor=$src); }
  compile gvisor gvisor "-X gvisor.dev/gvisor/runsc/version.version=$GVISOR" gvisor.dev/gvisor/runsc gvisor.dev/gvisor/shim
  [ -x $BED/bin/gvisor/containerd-shim-runsc-v1 ] || cp $BED/bin/gvisor/shim $BED/bin/gvisor/containerd-shim-runsc-v1
  mkdir -p $BED/srv/files; cd $BED/bin   # laid out as upstream's archives: unpack them in /usr/local
  [ -f $BED/srv/files/containerd-$CONTAINERD.tar.gz ] || tar -cf - --transform 's,^containerd/,bin/,' containerd/* | gzip -1 >$BED/srv/files/containerd-$CONTAINERD.tar.gz
  [ -f $BED/srv/files/gvisor.tar.gz ] || tar -cf - --transform 's,^gvisor/,bin/,' gvisor/runsc gvisor/containerd-shim-runsc-v1 | gzip -1 >$BED/srv/files/gvisor.tar.gz
}

tools() { # DIR BINARY... : copies Debian binaries with the libraries that they need
  local d=$1; shift
  for b in "$@"; do
    for f in $(readlink -f $b) $(ldd $b | grep -oE '/[^ ]+'); do mkdir -p $d$(dirname $f); cp -n $(readlink -f $f) $d$f; done
    [ -e $d$b ] || { mkdir -p $d$(dirname $b); ln -s $(readlink -f $b) $d$b; }
  done
}
# image NAME ENTRYPOINT DIR : one layer, nothing but DIR
image() {
  [ -e $BED/img/$(tr /: __ <<<$1) ] && return
  echo "image $1"; tar -C $3 --owner 0 --group 0 -c . | $DOCKER import --change "ENTRYPOINT $2" - 127.0.0.1:15999/$1 >/dev/null
  $DOCKER push -q 127.0.0.1:15999/$1 >/dev/null && touch $BED/img/$(tr /: __ <<<$1)
  $DOCKER rmi 127.0.0.1:15999/$1 >/dev/null
}
step_images() {
  docker_up
  printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:15999"}\n' $BED/registry >$BED/registry-push.yml
  docker-registry serve $BED/registry-push.yml >$BED/log/registry-push.log 2>&1 & local pid=$!; trap "kill $pid" EXIT; sleep 1
  local t=$BED/tree; rm -rf $t; mkdir -p $t
  for k in $K8S ${K8S_NEXT:-}; do for c in kube-apiserver kube-controller-manager kube-scheduler; do
    install -D $BED/bin/k8s-$k/$c $t/$c-$k/usr/local/bin/$c; image registry.k8s.io/$c:v$k "[\"$c\"]" $t/$c-$k
  done; done
  local net=$t/net; tools $net /bin/sh /bin/cp /usr/sbin/iptables-nft /usr/sbin/nft /usr/sbin/conntrack /usr/sbin/ipset /sbin/ip
  mkdir -p $net/usr/lib/x86_64-linux-gnu $net/tmp $net/run; cp -r /usr/lib/x86_64-linux-gnu/xtables $net/usr/lib/x86_64-linux-gnu/
  for f in $(ldd /usr/lib/x86_64-linux-gnu/xtables/*.so | grep -oE "=> /lib[^ ]+" | cut -c4- | sort -u); do cp -n $(readlink -f $f) $net$f; done
  for n in iptables ip6tables; do for s in '' -save -restore; do ln -sf xtables-nft-multi $net/usr/sbin/$n$s; done; done
  for k in $K8S ${K8S_NEXT:-}; do cp -r $net $t/kube-proxy-$k; install -D $BED/bin/k8s-$k/kube-proxy $t/kube-proxy-$k/usr/local/bin/kube-proxy; image registry.k8s.io/kube-proxy:v$k '["kube-proxy"]' $t/kube-proxy-$k; done
  install -D $BED/bin/etcd/server $t/etcd/usr/local/bin/etcd; install $BED/bin/etcdctl/etcdctl $BED/bin/etcdutl/etcdutl $t/etcd/usr/local/bin/; install -D $BED/bin/coredns/coredns $t/coredns/coredns; install -D $BED/bin/pause/pause $t/pause/pause
  for k in $K8S ${K8S_NEXT:-}; do   # the tags that this kubeadm asks for; one build of each serves all of them
    for i in $($BED/bin/k8s-$k/kubeadm config images list --kubernetes-version v$k | grep -E '/(etcd|coredns|pause):'); do
      case $i in */etcd:*) image $i '["etcd"]' $t/etcd;; */pause:*) image $i '["/pause"]' $t/pause;;
      *) image $i '["/coredns"]' $t/coredns; image registry.k8s.io/${i##*/} '["/coredns"]' $t/coredns;; esac; done; done
  cp -r $net $t/flannel; install -D $BED/bin/flannel/flannel $t/flannel/opt/bin/flanneld; image ghcr.io/flannel-io/flannel:v$FLANNEL '["/opt/bin/flanneld"]' $t/flannel
  tools $t/fcni /bin/cp; install -D $BED/bin/cni-flannel/flannel $t/fcni/flannel; image ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel1 '["/flannel"]' $t/fcni
  install -D $BED/bin/hello/hello $t/hello/hello; for n in 1 2; do image docker.io/pool/hello:$n '["/hello"]' $t/hello; done
  kill $pid; trap - EXIT; rm -rf $t
}
# deb NAME VERSION DEPENDS DIR
deb() {
  local f=$BED/srv/apt/$1_$2_amd64.deb; [ -f $f ] && return
  mkdir -p $4/DEBIAN $BED/srv/apt
  printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: pool test bed <bed@pool.test>\nDepends: %s\nDescription: test bed build of %s\n' $1 $2 "$3" $1 >$4/DEBIAN/control
  dpkg-deb -Zgzip -z1 --root-owner-group -b $4 $f >/dev/null; rm -rf $4
}
step_debs() { # packages with the names, paths and units of the official ones, in a signed repository
  local t=$BED/tree; rm -rf $t; mkdir -p $t
  for k in $K8S ${K8S_NEXT:-}; do for c in kubelet kubeadm kubectl; do
    install -D $BED/bin/k8s-$k/$c $t/$c/usr/bin/$c
    [ $c = kubelet ] && install -D -m644 $HERE/node/kubelet.service $t/$c/usr/lib/systemd/system/kubelet.service
    [ $c = kubelet ] && mkdir -p $t/$c/etc/kubernetes/manifests $t/$c/etc/default $t/$c/var/lib/kubelet
    [ $c = kubeadm ] && install -D -m644 $HERE/node/10-kubeadm.conf $t/$c/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf
    case $c in kubelet) d="iptables (>= 1.4.21), kubernetes-cni (>= 1.2.0), mount, util-linux";; kubeadm) d="kubelet (>= 1.19)";; *) d="libc6";; esac
    deb $c $k-1.1 "$d" $t/$c
  done; done
  mkdir -p $t/cni/opt/cni/bin; cp $BED/bin/cni/* $t/cni/opt/cni/bin/; deb kubernetes-cni $CNI-1.1 libc6 $t/cni
  cd $BED/srv/apt; dpkg-scanpackages -m . >Packages 2>/dev/null
  printf 'Origin: pool-bed\nSuite: /\nDate: %s\nSHA256:\n %s %s Packages\n' "$(LC_ALL=C date -u -R)" $(sha256sum <Packages | cut -c1-64) $(stat -c %s Packages) >Release
  export GNUPGHOME=$BED/gnupg; mkdir -p -m700 $GNUPGHOME
  gpg --list-keys bed@pool.test >/dev/null 2>&1 || gpg --batch --passphrase '' --quick-gen-key bed@pool.test default default never 2>/dev/null
  gpg --export bed@pool.test >key.gpg; gpg --armor --export bed@pool.test >key.asc; gpg --batch --yes --clearsign -o InRelease Release 2>/dev/null; gpgconf --kill gpg-agent
  mkdir -p $BED/srv/files; cp -u $BED/mod/flannel/kube-flannel.yml $BED/srv/files/ 2>/dev/null || install -m644 $(cd $BED/mod/flannel; go list -m -f '{{.Dir}}' github.com/flannel-io/flannel)/Documentation/kube-flannel.yml $BED/srv/files/
  rm -rf $t
}
step_host() { # the image of a bare host, the CA and certificate of the mirror
  docker_up
  [ -d $BED/rootfs/etc ] || bash $HERE/mkrootfs.sh $BED/rootfs
  install -D -m755 $HERE/node/bed-init $BED/rootfs/bed-init; install -D -m755 $HERE/node/runc $BED/rootfs/usr/local/sbin/runc
  install -D $(which docker-registry) $BED/rootfs/opt/bed/docker-registry; install -D $BED/bin/hello/hello $BED/rootfs/opt/bed/hello
  tar -C $BED/rootfs -c . | $DOCKER import --change 'ENTRYPOINT ["/bed-init"]' - poolbed/host:bookworm >/dev/null
  [ -f $BED/id ] || ssh-keygen -q -t ed25519 -N '' -C pool-bed -f $BED/id
  local p=$BED/pki; mkdir -p $p; [ -f $p/server.crt ] && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=pool test bed CA' -keyout $p/ca.key -out $p/ca.crt 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$MIRROR" -keyout $p/server.key -out $p/server.csr 2>/dev/null
  openssl x509 -req -days 3650 -in $p/server.csr -CA $p/ca.crt -CAkey $p/ca.key -CAcreateserial -out $p/server.crt \
    -extfile <(printf 'subjectAltName=DNS:%s,IP:%s.2\nextendedKeyUsage=serverAuth' $MIRROR $SUBNET) 2>/dev/null
  for a in open auth; do
    printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: /registry}, maintenance: {readonly: {enabled: false}}}\nhttp:\n  addr: ":%s"\n  tls: {certificate: /pki/server.crt, key: /pki/server.key}\n' $([ $a = open ] && echo 5000 || echo 5001) >$p/$a.yml
  done
  printf 'auth: {htpasswd: {realm: bed, path: /pki/htpasswd}}\n' >>$p/auth.yml
  printf 'pool:%s\n' "$(perl -e 'print crypt("pool-bed","\$2b\$05\$abcdefghijklmnopqrstuu")')" >$p/htpasswd
}
for s in ${*:-k8s parts images debs host runtimes}; do step_$s; done
