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
