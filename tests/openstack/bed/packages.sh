# Debian packages: libraries and code only (python3-*), no service packages, so no
# maintainer script configures or starts anything. Config samples come from *-common by dpkg -x.
PKGS="mariadb-server rabbitmq-server memcached uwsgi-core uwsgi-plugin-python3 python3-keystone python3-nova
python3-placement python3-glance python3-glance-store python3-neutron python3-cinder python3-openstackclient
python3-sqlalchemy-ext python3-pymysql python3-memcache python3-openstacksdk python3-yaml qemu-utils curl openssh-server sudo e2fsprogs util-linux dmidecode"
install_packages() {
  local need="" p
  for p in $PKGS; do dpkg-query -W -f '${Status}' $p 2>/dev/null | grep -q 'ok installed' || need="$need $p"; done
  if [ -n "$need" ]; then
    local pol=/usr/sbin/policy-rc.d made=0
    [ -e $pol ] || { printf '#!/bin/sh\nexit 101\n' >$pol; chmod 755 $pol; made=1; }
    $NICE apt-get -o DPkg::Lock::Timeout=900 -o Dpkg::Options::=--force-unsafe-io \
        install -y --no-install-recommends $need >"$LOG/apt.log" 2>&1 || { tail -20 "$LOG/apt.log"; return 1; }
    [ $made = 1 ] && rm -f $pol
  fi
  if [ ! -e "$OSLAB/debs/ok" ]; then
    mkdir -p "$OSLAB/debs"; ( cd "$OSLAB/debs" &&
      apt-get -o APT::Sandbox::User=root download nova-common neutron-common cinder-common glance-common >>"$LOG/apt.log" 2>&1 &&
      for d in *.deb; do dpkg -x "$d" x; done && touch ok ) || return 1
  fi
}
