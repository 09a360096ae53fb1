k() { printf '%s=%s\n' "$1" "$2"; }
{ set -- $(uname -s -r -m); k system "$1"; k kernel "$2"; k arch "$3"; } </dev/null
{ k hostname "$(uname -n)"; k clock "$(date +%s)"; } </dev/null
{ k uid "$(id -u)"; k gid "$(id -g)"; k user "$(id -un)"; k group "$(id -gn)"; k home "$HOME"; } </dev/null
if [ -r /etc/os-release ]; then
  while IFS='=' read -r a b; do
    case $a in ID|VERSION_ID|ID_LIKE) b=${b#\"}; k "os.$a" "${b%\"}";; esac
  done </etc/os-release
fi
{ k cpus "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)"; } </dev/null
if [ -r /proc/meminfo ]; then { read -r a b c && k memory_kib "$b"; } </proc/meminfo; fi
{ set -- $(df -Pk / | tail -n 1); k disk_free_kib "$4"; } </dev/null
{
  if [ -d /run/systemd/system ]; then k init systemd
  elif [ -r /proc/1/comm ]; then read -r a </proc/1/comm; k init "$a"; fi
  if command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then k apt yes; fi
  if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then k sudo yes; fi
  for a in $(hostname -I 2>/dev/null); do k address "$a"; done
} </dev/null
{ [ -e /sys/fs/cgroup/cgroup.controllers ] || k cgroup v1; [ ! -c /dev/kvm ] || k kvm yes; }
if [ -r /sys/module/apparmor/parameters/enabled ]; then
  read -r a </sys/module/apparmor/parameters/enabled; [ "$a" != Y ] || k apparmor yes
fi
{ echo end=facts; }
