# Volumes that a cloud attaches. udev names their devices after the first 20 characters of the volume's id, or all of it.
# volume_device FOLDER ID: the whole device in $dev and a name of it in $link, or why not in $why; $several: more than one.
volume_device() {
  dev= link= several=
  why="no device of volume $2 is there"
  for part in "$2" "$(printf %.20s "$2")"; do
    for name in $(ls -- "$1" 2>/dev/null); do
      case $name in *-part[0-9]*) continue;; *"$part"*) ;; *) continue;; esac
      found=$(readlink -e -- "$1/$name") && [ -b "$found" ] || continue
      [ -z "$dev" ] || [ "$dev" = "$found" ] || { why="$dev and $found both go by the id of volume $2" several=1; return 1; }
      dev=$found link=$1/$name
    done
    [ -z "$dev" ] || return 0
  done
  return 1
}
# mounted_at PATH DEVICE: whether that device is what is mounted there; $there: what is.
mounted_at() {
  set -- "$1" "$2" $(findmnt -n -r -o MAJ:MIN,SOURCE -M "$1" 2>/dev/null | tail -n 1)
  there=${4:-$3}
  [ -n "$there" ] || return 1
  set -- "$1" "$2" "$3" "$4" $(stat -L -c '0x%t 0x%T' -- "$2")
  [ "$3" = "$(($5)):$(($6))" ] || [ "$(readlink -e -- "${4%%\[*}")" = "$2" ]
}
# volume_content DEVICE: $fs, $uuid, $usage and $table, as far as low-level probing finds any.
volume_content() {
  fs= uuid= usage= table= found=$(blkid -p -o export -- "$1" 2>/dev/null)
  while IFS='=' read -r a b; do
    case $a in TYPE) fs=$b;; UUID) uuid=$b;; USAGE) usage=$b;; PTTYPE) table=$b;; esac
  done <<EOF
$found
EOF
}
# volume_blank DEVICE ID: whether it may be formatted: no signature, nothing but zeros at its start and its end. Only what
# we began to format ourselves, and which has no signature yet, may hold more.
volume_blank() {
  [ -z "$(wipefs -- "$1" 2>&1)" ] || return 1
  [ ! -e "/var/lib/pool/formatting-$2" ] || return 0
  bytes=$(blockdev --getsize64 "$1") && [ "$bytes" -ge 1048576 ] &&
    cmp -s -n 1048576 -- "$1" /dev/zero && cmp -s -i "$((bytes - 1048576)):0" -n 1048576 -- "$1" /dev/zero
}
# volume_fits DEVICE ID: whether it can be mounted, or formatted; $why not.
volume_fits() {
  volume_content "$1"
  if [ -n "$table" ]; then why="$1 has a partition table ($table); volumes are mounted as a whole, and nothing is formatted that is not blank"
  elif [ -n "$fs" ] && [ "$usage" != filesystem ]; then why="$1 holds $fs, which cannot be mounted; nothing is formatted that is not blank"
  elif [ -z "$fs" ] && ! volume_blank "$1" "$2"; then why="$1 holds data without a known filesystem; nothing is formatted that is not blank"
  else return 0; fi
  return 1
}
# fstab_entry PATH ID: the line that belongs into /etc/fstab, after volume_content. A clone has the UUID of what it was
# cloned from: where both are on one host, the name of the device tells them apart.
fstab_entry() {
  source=UUID=$uuid options=defaults check=0
  case $(lim 20 blkid -c /dev/null -o device -t "UUID=$uuid" | wc -l) in
    0|1) ;;
    *) source=$link; [ "$fs" != xfs ] || options=defaults,nouuid;;
  esac
  case $fs in ext*) check=2;; esac
  place=$(fstab_word "$1")
  entry="$source $place $fs $options,nofail,x-systemd.device-timeout=30,x-pool.volume=$2 0 $check"
}
fstab_word() { printf %s "$1" | sed 's/\\/\\134/g; s/ /\\040/g; s/\t/\\011/g'; }
# fstab_rival PATH: a line of others for the same place.
fstab_rival() {
  place=$(fstab_word "$1")
  while read -r a b c d e; do
    case $a in ''|'#'*) continue;; esac
    [ "$b" = "$place" ] || continue
    case ,$d, in *,x-pool.volume=*) ;; *) rival="$a $b $c"; return 0;; esac
  done </etc/fstab 2>/dev/null
  return 1
}
# filesystem_fills DEVICE PATH: whether a mounted filesystem is as large as its device, up to what it cannot use.
filesystem_fills() {
  case $fs in
    ext[234]) set -- "$1" $(tune2fs -l "$1" 2>/dev/null | sed -n 's/^Block count: *//p; s/^Block size: *//p');;
    xfs) set -- "$1" $(xfs_info "$2" 2>/dev/null | sed -n 's/^data .*bsize=\([0-9]*\) *blocks=\([0-9]*\).*/\1 \2/p');;
    *) return 0;;
  esac
  [ $# = 3 ] || return 0
  [ "$(($(blockdev --getsize64 "$1") - $2 * $3))" -lt 16777216 ]
}
# probe_mount PATH ID SIZE FOLDER
probe_mount() {
  if [ -h "$1" ]; then differs 'is a symbolic link'; denied 'mount it at the directory that the link points to' disk; return; fi
  if [ -e "$1" ] && [ ! -d "$1" ]; then differs 'is not a directory'; denied 'a volume is mounted at a directory' disk; return; fi
  if ! volume_device "$4" "$2"; then
    # It may still be on its way.
    differs "$why"; [ -z "$several" ] || denied "$why" disk; denied 'only root can mount'; return
  fi
  if ! mounted_at "$1" "$dev"; then
    if [ -n "$there" ]; then differs "$there is mounted there, not $dev"; denied "$there is mounted there, not $dev" disk; return; fi
    differs 'is not mounted'; denied 'only root can mount'
    if [ "$uid" = 0 ]; then
      volume_fits "$dev" "$2" || denied "$why" disk
      ! fstab_rival "$1" || denied "/etc/fstab has another entry for it: $rival" disk
    fi
    return
  fi
  # The rest is seen by root alone, and changed by root alone.
  [ "$uid" = 0 ] || { ok; return; }
  why=
  volume_content "$dev"
  fstab_entry "$1" "$2"
  grep -qxF -- "$entry" /etc/fstab || why='has no entry in /etc/fstab'
  [ "$(blockdev --getsize64 "$dev")" -ge "$3" ] || why="${why:+$why; }its device is smaller than $3 bytes"
  filesystem_fills "$dev" "$1" || why="${why:+$why; }its filesystem is smaller than its device"
  [ -z "$why" ] && { ok; return; }
  differs "$why"
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
