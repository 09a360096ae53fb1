umask 022
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
f='' t='' bad=0 waits=
# begin N: a marker on both outputs, so that what comes between two of them belongs to one item.
begin() { f='' bad=0 held=''; printf 'B %s\n' "$1"; words_of "$1"; }
words_of() { printf '\n%s %s\n' "$mark" "$1" >&2; }
# end N STATUS [OUTCOME]
end() {
  if [ "$2" = 0 ]; then printf 'E %s %s\n' "$1" "${3:-changed}"; return; fi
  printf 'F %s %s\n' "$1" "$2"
  exit 1
}
# w TEXT, z: more content, or a NUL, for the file $f.
w() { [ "$bad" = 0 ] && { printf %s "$1" >>"$f" || bad=1; }; }
z() { [ "$bad" = 0 ] && { printf '\000' >>"$f" || bad=1; }; }
# open_files FOLDER: a folder of our own beside the place of files whose contents follow. It is entered, so that whoever owns
# the place cannot slip another file under our hands while root gives it content and rights.
open_files() {
  d=${1:-/}
  { [ -d "$d" ] || mkdir -p -- "$d"; } >&2 && t=$(mktemp -d "$d/.pool-XXXXXX") && cd -P "$t" && [ -O . ] || bad=1
}
# one_file NAME: its content follows. (An error of `:` would end the shell.) After what could not be written, $f is the name of that.
one_file() { [ "$bad" = 0 ] && { f=$1; true >"$f" || bad=1; }; }
# close_files N MODE OWNER GROUP NAME...: they take their places, whole and with their rights; N is the number of the first,
# which was begun. All in one go; where that fails one by one, so that those before the one to blame are done.
close_files() {
  n=$1 m=$2 o=$3 g=$4 all=0 lost=; shift 4
  [ "$bad" = 0 ] || lost=${f:-$1}
  [ -z "$lost" ] && no_folders "$@" && { rights "$@" && mv -f -t .. -- "$@" && rmdir -- "$t"; } 2>/dev/null && all=1
  last=$((n + $# - 1)) first=$n
  for name in "$@"; do
    [ "$n" = "$first" ] || begin "$n"
    [ "$all" = 1 ] || place_file "$name" || end "$n" 1
    [ "$n" != "$last" ] || { cd / && { [ "$all" = 1 ] || rmdir -- "$t"; } && t=; } >&2 || end "$n" 1
    end "$n" 0
    n=$((n + 1))
  done
}
no_folders() { for name in "$@"; do if [ -d "../$name" ] && [ ! -h "../$name" ]; then return 1; fi; done; }
place_file() {
  [ "$1" != "$lost" ] || { echo "${d%/}/$1 could not be written" >&2; return 1; }
  [ -e "$1" ] || return 0
  if [ -d "../$1" ] && [ ! -h "../$1" ]; then echo "${d%/}/$1 is a directory" >&2; return 1; fi
  { rights "$1" && mv -f -T -- "$1" "../$1"; } >&2
}
rights() { { mine "$o" "$g" "$@" || chown -- "$o:$g" "$@"; } && chmod -- "$m" "$@"; }
# mine OWNER GROUP PATH...: whether that owner and group are ours, and those of the paths.
mine() {
  case $1 in "$uid"|"$own_user") ;; *) return 1;; esac
  case $2 in "$gid"|"$own_group") ;; *) return 1;; esac
  shift 2
  for path in "$@"; do [ ! -h "$path" ] && [ -O "$path" ] && [ -G "$path" ] || return; done
}
# ask_script N CHECK...: whether a script need not run, asked before it is begun, however many come before it. Where it must
# run, nothing further is asked until it was.
ask_script() {
  [ -z "$waits" ] || return 0
  n=$1; shift
  words_of "$n"
  if lim 60 "$@" >&2 </dev/null; then begin "$n"; end "$n" 0 same; else waits=1; printf 'N %s\n' "$n"; fi
}
# end_acts FILE...: all is done, unless what was said last waits. What was written outlives a loss of power.
end_acts() {
  [ -z "$waits" ] || { echo Y; return; }
  [ $# = 0 ] || sync -- "$@" 2>/dev/null || :
  echo Z
  rm -rf -- "$tmp"
  tmp=
}
# open_script, run_script SECONDS INTERPRETER...: a script, run from a file so that its length does not matter.
open_script() { f=$tmp/script; true >"$f" || bad=1; }
run_script() {
  [ "$bad" = 0 ] || { echo "no room for the script in $tmp" >&2; return 1; }
  s=$1; shift; lim "$s" "$@" "$f" >&2 </dev/null
}
act_directory() {
  { [ -d "$1" ] || mkdir -p -- "$1"; } && { mine "$3" "$4" "$1" || chown -h -- "$3:$4" "$1"; } && chmod -- "$2" "$1"
}
# act_packages NAME...: all that are missing at once.
lists_fresh() { [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 2>/dev/null | head -n 1)" ]; }
act_packages() {
  { lists_fresh || lim 300 apt-get -q -o DPkg::Lock::Timeout=300 update
    # What was killed in the middle of an installation is finished first.
    apt_install "$@" || {
      lim 300 dpkg --force-confdef --force-confold --configure -a
      lim 300 apt-get -q -o DPkg::Lock::Timeout=300 update && apt_install "$@"
    }
  } >&2 </dev/null
}
apt_install() {
  lim 840 apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold install -- "$@"
}
has_package() { case "$(dpkg-query -W -f '${db:Status-Status}' -- "$1")" in installed*) ;; *) return 1;; esac; }
# act_user NAME SHELL GROUP...: the password * fits nothing, and is not the lock for which some servers refuse keys too.
act_user() {
  user=$1 shell=$2; shift 2
  groups=
  for g in "$@"; do
    getent group "$g" >/dev/null || groupadd -- "$g" >&2 || return
    groups=${groups:+$groups,}$g
  done
  if getent passwd "$user" >/dev/null; then
    usermod -s "$shell" ${groups:+-a -G "$groups"} -- "$user" >&2
  elif getent group "$user" >/dev/null; then
    useradd -m -p '*' -s "$shell" -g "$user" ${groups:+-G "$groups"} -- "$user" >&2
  else
    useradd -m -U -p '*' -s "$shell" ${groups:+-G "$groups"} -- "$user" >&2
  fi
}
# open_keys: the content of an authorized_keys file follows. close_keys USER KEEP(1|0): it is put in place with the
# rights of that user, never those of root, because the folder is in the user's hands.
open_keys() { f=$tmp/keys; true >"$f" || bad=1; }
close_keys() {
  [ "$bad" = 0 ] || { echo "no room for the keys in $tmp" >&2; return 1; }
  h=$(home "$1")
  [ -d "$h" ] || { echo "the user $1 has no home directory" >&2; return 1; }
  put='umask 077; cd "$1" && { [ -d .ssh ] || mkdir .ssh; } && cat >.ssh/.pool-keys && mv -f .ssh/.pool-keys .ssh/authorized_keys'
  [ "$2" = 1 ] || put='rm -f "$1/.ssh/authorized_keys"'
  if [ "$1" = "$own_user" ]; then sh -c "$put" sh "$h" <"$f" >&2
  else su -s /bin/sh -c "set -- '$(printf %s "$h" | sed "s/'/'\\\\''/g")'; $put" -- "$1" <"$f" >&2; fi
}
# act_sudo USER WANTED(1|0)
act_sudo() {
  s=/etc/sudoers.d/90-pool-$1
  [ "$2" = 1 ] || { rm -f -- "$s"; return; }
  [ -d /etc/sudoers.d ] || { echo 'sudo is not installed; add it to packages' >&2; return 1; }
  printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\n' "$1" >"$tmp/sudo" && chmod 440 "$tmp/sudo" || return
  if command -v visudo >/dev/null; then visudo -cf "$tmp/sudo" >&2 || return; fi
  # The dot keeps sudo from reading it before it is whole.
  cp "$tmp/sudo" "/etc/sudoers.d/.90-pool-$1" && chown 0:0 "/etc/sudoers.d/.90-pool-$1" &&
    chmod 440 "/etc/sudoers.d/.90-pool-$1" && mv -f "/etc/sudoers.d/.90-pool-$1" "$s"
}
# act_sysctl PATH VALUE
act_sysctl() { printf '%s\n' "$2" >"/proc/sys/$1"; }
# act_service UNIT ENABLED(1|0) RUNNING(1|0)
act_service() {
  { if [ "$2" = 1 ]; then systemctl enable "$1.service"; else systemctl disable "$1.service"; fi &&
    if [ "$3" = 1 ]; then lim 120 systemctl start "$1.service"; else lim 120 systemctl stop "$1.service"; fi
  } >&2 </dev/null
}
# act_mount PATH ID SIZE FOLDER LABEL: everything is looked at anew, so that doing it twice is doing it once.
act_mount() {
  await_volume "$4" "$2" "$3" || { echo "$why, not within 30 s" >&2; return 1; }
  if ! mounted_at "$1" "$dev"; then
    [ -z "$there" ] || { echo "$there is mounted at $1, not $dev" >&2; return 1; }
    ! fstab_rival "$1" || { echo "/etc/fstab has another entry for $1: $rival" >&2; return 1; }
    volume_fits "$dev" "$2" || { echo "$why" >&2; return 1; }
    [ -n "$fs" ] || format_volume "$dev" "$2" "$5" || return
    { [ -d "$1" ] || mkdir -p -- "$1"; } || return
    fstab_entry "$1" "$2"
    put_fstab "$2" "$place" "$entry" && mount -t "$fs" -o "$options" -- "$dev" "$1" || return
    mounted_at "$1" "$dev" || { echo "$dev was mounted at $1, and is not there any more" >&2; return 1; }
  fi
  volume_content "$dev"
  fstab_entry "$1" "$2"
  put_fstab "$2" "$place" "$entry" || return
  filesystem_fills "$dev" "$1" && return
  case $fs in
    ext*) resize2fs "$dev";;
    xfs) xfs_growfs "$1";;
  esac
}
# await_volume FOLDER ID SIZE: until the device is there, and as large as the cloud says, for 30 s.
await_volume() {
  tries=0
  until volume_device "$1" "$2" && volume_reaches "$3"; do
    [ -z "$several" ] && [ "$tries" -lt 60 ] || return 1
    tries=$((tries + 1))
    sleep 0.5
  done
}
volume_reaches() {
  [ "$(blockdev --getsize64 "$dev")" -ge "$1" ] && return
  why="$dev is smaller than $1 bytes"
  # SCSI disks are asked for their size again; others tell of themselves.
  again=/sys/class/block/${dev##*/}/device/rescan
  [ ! -w "$again" ] || echo 1 >"$again"
  return 1
}
# format_volume DEVICE ID LABEL: a note says that we are at it, so that what was cut off can be done again.
format_volume() {
  note=/var/lib/pool/formatting-$2
  mkdir -p /var/lib/pool && : >"$note" && sync -- "$note" || return
  mkfs.ext4 -q -L "$3" -- "$1" </dev/null && sync && rm -f -- "$note" || return
  volume_content "$1"
  [ "$fs" = ext4 ] || { echo "$1 has no filesystem after it was formatted" >&2; return 1; }
}
# put_fstab ID PLACE ENTRY: our line of that volume, or for that place, is replaced where it stands, or added; an empty
# entry: it goes. Lines of others stay.
put_fstab() {
  (
    flock -w 30 9 || { echo '/run/pool-fstab.lock is held by another' >&2; exit 1; }
    table=$(readlink -m /etc/fstab) && new=$(mktemp "${table%/*}/.fstab-pool-XXXXXX") || exit
    trap 'rm -f -- "$new"' EXIT
    [ ! -e "$table" ] || { chmod --reference="$table" "$new" && chown --reference="$table" "$new" || exit; }
    put=$3
    [ -e "$table" ] || [ -n "$put" ] || exit 0
    [ ! -e "$table" ] || while IFS= read -r line || [ -n "$line" ]; do
      if our_line "$line" "$1" "$2"; then
        [ -z "$put" ] || printf '%s\n' "$put"
        put=
      else
        printf '%s\n' "$line"
      fi
    done <"$table" >"$new" || exit
    [ -z "$put" ] || printf '%s\n' "$put" >>"$new" || exit
    ! cmp -s "$new" "$table" || exit 0
    [ -e "$table" ] || chmod 644 "$new"
    sync -- "$new" && mv -f -T -- "$new" "$table" || exit
    # Else systemd would go by the table as it was.
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
  ) 9>/run/pool-fstab.lock
}
our_line() {
  id=$2 at=$3
  set -- $1
  case ${1:-#} in '#'*) return 1;; esac
  case ,$4, in
    *,x-pool.volume="$id",*) return 0;;
    *,x-pool.volume=*) [ "$2" = "$at" ];;
    *) return 1;;
  esac
}
# act_unmount PATH ID FOLDER GOING(1|0): the volume is about to be taken away; of a host that goes too, it is taken from
# under whoever still uses it, with all that was written until now.
act_unmount() {
  if volume_device "$3" "$2"; then
    if mounted_at "$1" "$dev" && ! out=$(umount -- "$1" 2>&1); then
      [ "$4" = 1 ] || { echo "$1 is in use by $(holders "$1"): $out" >&2; return 1; }
      sync -f -- "$1"
    fi
    other=$(findmnt -n -r -o TARGET -S "$dev" | tr '\n' ' ')
    [ -z "$other" ] || [ "$4" = 1 ] || { echo "$dev is mounted at ${other% } too" >&2; return 1; }
    blockdev --flushbufs "$dev"
  elif [ -n "$several" ]; then
    echo "$why" >&2; return 1
  elif ! mounted_at "$1" / && [ -n "$there" ] && [ ! -e "$there" ] && grep -q ",x-pool.volume=$2[, ]" /etc/fstab; then
    # The device was taken away from under it: there is nothing left to write to.
    umount -l -- "$1"
  fi
  put_fstab "$2" "$(fstab_word "$1")" ''
}
# holders PATH: who keeps a filesystem busy, in words.
holders() {
  like=$(printf %s "$1" | sed 's/[][*?\\]/\\&/g')
  {
    find /proc -maxdepth 3 \( -path '/proc/[0-9]*/fd/*' -o -path '/proc/[0-9]*/cwd' -o -path '/proc/[0-9]*/root' \) \
      \( -lname "$like" -o -lname "$like/*" \) 2>/dev/null | while read -r l; do
      # Elsewhere, as in containers, the same path is another place.
      [ "$(stat -L -c %d -- "$l" 2>/dev/null)" != "$(stat -c %d -- "$1")" ] || echo "$l"
    done
    find /proc -maxdepth 2 -path '/proc/[0-9]*/maps' -exec grep -lsF " $1/" {} + 2>/dev/null
  } | cut -d/ -f3 | sort -nu | head -n 10 | {
    who=
    while read -r p; do
      read -r name <"/proc/$p/comm" && who="$who${who:+, }process $p ($name)"
    done
    under=$(findmnt -n -r -R -o TARGET -- "$1" | tail -n +2 | tr '\n' ' ')
    who="$who${under:+${who:+, }the mount at ${under% }}"
    echo "${who:-something that is no process}"
  }
}
