#!/bin/bash
# vm.sh build|new|boot|cut|down : a bare Debian 12 in a virtual machine with Debian's own kernel, all under $BED/vm.
# build: kernel, initrd, host key and a disk to copy, what is missing of them; new: a disk as it was never used, and boot;
# boot: starts it and waits until it answers; cut: its power is gone, the disk stays; down: cut, and the disk goes.
. "$(dirname "$0")/lib.sh"
VM=$BED/vm PORT=12209
mkdir -p $VM

kernel() { # linux-image-cloud-amd64, not installed
  [ -e $VM/vmlinuz ] && return
  local t=$VM/new; rm -rf $t $VM/kernel; mkdir -p $t
  (cd $t; apt-get -qq -o APT::Sandbox::User=root download "$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')")
  dpkg -x $t/*.deb $VM/kernel; rm -r $t
  depmod -b $VM/kernel "$(ls $VM/kernel/lib/modules)"; ln -sf $VM/kernel/boot/vmlinuz-* $VM/vmlinuz
}
initrd() { # knows the disk and the card, and goes on there
  [ -f $VM/initrd.gz ] && return
  local t=$VM/new; rm -rf $t; mkdir -p $t/{bin,proc,sys,dev,root,modules}; cp /bin/busybox $t/bin/
  local m n=100
  for m in $(modprobe -d $VM/kernel -S "$(ls $VM/kernel/lib/modules)" --show-depends -a virtio_pci virtio_blk virtio_net ext4 | awk '$1 == "insmod" && !seen[$2]++ {print $2}'); do
    n=$((n+1)); cp $m $t/modules/$n.ko
  done
  cat >$t/init <<'I'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in /modules/*; do insmod $m; done
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 1; done
mount -t ext4 /dev/vda /root && exec switch_root /root /lib/systemd/systemd
echo no disk; poweroff -f
I
  chmod 755 $t/init; (cd $t; find . | cpio -o -H newc --quiet | gzip -1) >$VM/initrd.new; mv $VM/initrd.new $VM/initrd.gz; rm -r $t
}
disk() { # the image of a bare host, without what makes containers look like hosts
  [ -f $VM/bare.raw ] && return
  local r=$VM/rootfs
  rm -rf $r; bash $HERE/mkrootfs.sh $r >$BED/log/vm-rootfs.log 2>&1 || { tail -5 $BED/log/vm-rootfs.log >&2; return 1; }
  cp -a $VM/kernel/lib/modules $r/usr/lib/
  echo vm1 >$r/etc/hostname; printf '127.0.0.1 localhost\n127.0.1.1 vm1\n' >$r/etc/hosts; : >$r/etc/fstab; echo nameserver 10.0.2.3 >$r/etc/resolv.conf
  cp $BED/id.pub $r/root/.ssh/authorized_keys; chmod 600 $r/root/.ssh/authorized_keys
  # A known host key; the others would take it most of a minute at its first start.
  chroot $r systemctl -q disable sshkeys.service; ssh-keygen -q -t ed25519 -N '' -C vm1 -f $r/etc/ssh/ssh_host_ed25519_key; cp $r/etc/ssh/ssh_host_ed25519_key.pub $VM/host_key.pub
  # The image has no udev, which would name the card and tell networkd of it.
  cat >$r/etc/systemd/system/bed-net.service <<'U'
[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service
Before=network-pre.target sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'ip link set lo up; ip link set eth0 up; ip addr replace 10.0.2.15/24 dev eth0; ip route replace default via 10.0.2.2'
[Install]
WantedBy=sysinit.target
U
  chroot $r systemctl -q enable bed-net.service
  mke2fs -q -t ext4 -d $r $VM/bare.new 6G >/dev/null; mv $VM/bare.new $VM/bare.raw; rm -rf $r
}
step_build() { kernel; initrd; disk; }

step_boot() {
  [ -f $VM/pid ] && kill -0 "$(cat $VM/pid)" 2>/dev/null && { echo "it runs" >&2; return 1; }
  # Emulated, so that it is the same everywhere; a reset by the guest ends it, as does power off.
  setsid -f qemu-system-x86_64 -pidfile $VM/pid -accel tcg,thread=multi -cpu max -smp 2 -m 1600 -display none -monitor none -no-reboot \
    -serial file:$VM/serial -kernel $VM/vmlinuz -initrd $VM/initrd.gz -append 'console=ttyS0 quiet net.ifnames=0 apparmor=1 security=apparmor' \
    -drive file=$VM/disk.raw,format=raw,if=virtio -netdev user,id=n,hostfwd=tcp:127.0.0.1:$PORT-:22 -device virtio-net-pci,netdev=n,romfile= \
    </dev/null >$BED/log/qemu.log 2>&1
  for _ in $(seq 120); do
    # Forwarded ports are open from the start: only a greeting says that somebody is there.
    [ "$(timeout 2 head -c 3 2>/dev/null </dev/tcp/127.0.0.1/$PORT)" = SSH ] && return
    sleep 1
    kill -0 "$(cat $VM/pid)" 2>/dev/null || { cat $BED/log/qemu.log >&2; return 1; }
  done
  tail -5 $VM/serial >&2; step_cut; return 1
}
step_cut() {
  [ -f $VM/pid ] || return 0
  local p; p=$(cat $VM/pid)
  # A pid of an earlier day may be somebody else's by now.
  grep -q "$VM/disk.raw" /proc/$p/cmdline 2>/dev/null && kill -9 $p && for _ in $(seq 100); do kill -0 $p 2>/dev/null || break; sleep .1; done
  rm -f $VM/pid
}
step_down() { step_cut; rm -f $VM/disk.raw; }
step_new() { step_down; step_build; cp --sparse=always $VM/bare.raw $VM/disk.raw; step_boot; }
for s; do step_$s; done
