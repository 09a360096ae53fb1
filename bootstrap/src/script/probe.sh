# Each probe sets n and says exactly one of these; denied may follow, when the rights to change the item are missing.
ok() { printf 'P %s ok\n' "$n"; }
missing() { off=1; printf 'P %s missing\n' "$n"; }
differs() { off=1; printf 'P %s differs %s\n' "$n" "$1"; }
denied() { [ "$uid" = 0 ] && [ "$2" != disk ] || printf 'D %s %s\n' "$n" "$1"; }
# may_write PATH: whether an entry can be made or replaced there.
may_write() {
  d=${1%/*}
  while [ -n "$d" ] && [ ! -e "$d" ]; do d=${d%/*}; done
  d=${d:-/}
  [ -d "$d" ] || { denied "$d is not a directory" disk; return; }
  [ -w "$d" ] && [ -x "$d" ] || denied "no right to write in $d" disk
}
# may_own OWNER: whether a file of ours can be given to that owner.
may_own() {
  [ "$uid" = 0 ] && return
  case $1 in "$uid"|"$own_user") ;; *) denied "only root can give it to $1";; esac
}
nl='
'
stats= sums= enableds= actives=
# glance N PATH...: files and directories are looked at together, so that two processes do for all. Item N finds what was seen
# in $stat_N and $sum_N, if N is in $stats and $sums: where one of them goes away meanwhile, each is looked at for itself.
glance() {
  at= c=$#
  while [ "$c" -gt 0 ]; do
    c=$((c - 2))
    if [ ! -h "$2" ] && { [ -f "$2" ] || [ -d "$2" ]; }; then at="$at $1"; set -- "$@" "$2"; fi
    shift 2
  done
  [ $# -gt 0 ] && out=$(stat -L -c '%a %U %u %G %g' -- "$@" 2>/dev/null) || return 0
  keep stat "$at" "$out"
  files=
  for x in $at; do
    if [ -f "$1" ]; then files="$files $x"; set -- "$@" "$1"; fi
    shift
  done
  [ $# -gt 0 ] && out=$(sha256sum -- "$@" 2>/dev/null) || return 0
  keep sum "$files" "$out"
}
# glance_units N UNIT...: services are looked at together in the same way.
glance_units() {
  at= c=$#
  while [ "$c" -gt 0 ]; do c=$((c - 2)) at="$at $1"; set -- "$@" "$2.service"; shift 2; done
  keep enabled "$at" "$(systemctl is-enabled "$@" 2>/dev/null)"
  keep active "$at" "$(systemctl is-active "$@" 2>/dev/null)"
}
# keep KIND NUMBERS LINES: a line for each number; other lines are not kept.
keep() {
  kind=$1 numbers=$2 c=0
  IFS=$nl; set -- $3; unset IFS
  for x in $numbers; do c=$((c + 1)); done
  [ $# = "$c" ] || return 0
  for x in $numbers; do eval "${kind}_$x=\$1"; shift; done
  eval "${kind}s=\$${kind}s\$numbers\ "
}
# seen KIND: what a glance saw of the item, in $out.
seen() { eval "case \$${1}s in *' $n '*) out=\$${1}_$n;; *) false;; esac"; }
# metadata PATH MODE OWNER GROUP: what differs, in words.
metadata() {
  seen stat || out=$(stat -L -c '%a %U %u %G %g' -- "$1")
  set -- "$@" $out
  why=
  [ "$2" = "$5" ] || why="mode $5, not $2"
  case $3 in "$6"|"$7") ;; *) why="${why:+$why; }owner $6, not $3";; esac
  case $4 in "$8"|"$9") ;; *) why="${why:+$why; }group $8, not $4";; esac
}
# content PATH: the content, each line after a bar, a full stop after the last one.
content() { { head -c 65537 -- "$1"; echo .; } | sed 's/^/|/'; }
# no_file PATH OWNER: whether something else than a file is there, or nothing; says which.
no_file() {
  if [ -h "$1" ]; then differs 'is a symbolic link'
  elif [ ! -e "$1" ]; then missing
  elif [ -d "$1" ]; then differs 'is a directory'; denied 'a directory is never replaced by a file' disk; return
  elif [ ! -f "$1" ]; then differs 'is not a regular file'
  else return 1; fi
  may_write "$1"; may_own "$2"
}
# probe_file PATH SHA256 MODE OWNER GROUP SHOW
probe_file() {
  ! no_file "$1" "$4" || return 0
  metadata "$1" "$3" "$4" "$5"
  seen sum || out=$(sha256sum <"$1") || out=unreadable
  out=${out%% *}
  # A name with a backslash or a line break puts one before the sum.
  if [ "${out#\\}" = "$2" ]; then
    [ -z "$why" ] && { ok; return; }
  else
    why="content${why:+; $why}"
  fi
  differs "$why"; may_write "$1"; may_own "$4"
  case $6$why in 1content*) content "$1";; esac
}
# probe_directory PATH MODE OWNER GROUP
probe_directory() {
  if [ -h "$1" ]; then differs 'is a symbolic link'; denied 'declare the directory that the link points to' disk; return; fi
  if [ ! -e "$1" ]; then
    missing; may_write "$1"; may_own "$3"; return
  fi
  if [ ! -d "$1" ]; then differs 'is not a directory'; denied 'a file is never replaced by a directory' disk; return; fi
  metadata "$1" "$2" "$3" "$4"
  [ -z "$why" ] && { ok; return; }
  differs "$why"; [ -O "$1" ] || denied "only root or its owner can change $1"; may_own "$3"
}
# probe_package NAME
installed=
probe_package() {
  [ -n "$installed" ] ||
    installed=$nl$(dpkg-query -W -f '${Package} ${db:Status-Status}\n${Package}:${Architecture} ${db:Status-Status}\n')$nl
  case $installed in *"$nl$1 installed$nl"*) ok;; *) missing; denied 'only root can install packages';; esac
}
# probe_user NAME SHELL GROUP...
probe_user() {
  user=$1 shell=$2; shift 2
  entry=$(getent passwd "$user") || { missing; denied 'only root can add users'; return; }
  why=
  [ "${entry##*:}" = "$shell" ] || why="shell ${entry##*:}, not $shell"
  have=" $(id -Gn "$user") "
  for g in "$@"; do
    case $have in *" $g "*) ;; *) why="${why:+$why; }not in group $g";; esac
  done
  [ -z "$why" ] && { ok; return; }
  differs "$why"; denied 'only root can change users'
}
# probe_keys USER SHA256: the user's authorised keys, managed whole; with - for SHA256: none that we wrote.
probe_keys() {
  h=$(home "$1"); k=$h/.ssh/authorized_keys
  [ -n "$h" ] || { [ "$2" = - ] && ok || { missing; [ "$1" = "$own_user" ] || denied 'only root can write keys of others'; }; return; }
  if [ "$2" = - ]; then
    if [ -f "$k" ] && read -r first <"$k" && [ "$first" = '# managed by pool' ]; then differs 'holds keys that are no longer declared'
    else ok; return; fi
  elif [ ! -e "$k" ]; then missing
  else
    sum=$(sha256sum <"$k") || sum=unreadable
    [ "${sum%% *}" = "$2" ] && { ok; return; }
    differs content
  fi
  [ "$1" = "$own_user" ] || denied "only root can write keys of others"
}
# probe_sudo USER WANTED(1|0)
probe_sudo() {
  s=/etc/sudoers.d/90-pool-$1
  if [ "$uid" != 0 ]; then
    # Others cannot look; where nothing is wanted, nothing is assumed to be there.
    [ "$2" = 0 ] && { ok; return; }
    differs 'cannot be seen without root'; denied 'only root can hand out sudo'; return
  fi
  if [ "$2" = 0 ]; then [ -e "$s" ] && differs 'may still become root' || ok; return; fi
  [ -f "$s" ] || { missing; return; }
  [ "$(cat "$s")" = "$1 ALL=(ALL:ALL) NOPASSWD: ALL" ] && [ "$(stat -c '%a %u' "$s")" = '440 0' ] && ok || differs content
}
# probe_sysctl PATH VALUE
probe_sysctl() {
  [ -e "/proc/sys/$1" ] || { differs 'this kernel has no such setting'; denied 'this kernel has no such setting' disk; return; }
  set -- "$1" "$(echo $2)" "$(echo $(cat "/proc/sys/$1"))"
  [ "$2" = "$3" ] && { ok; return; }
  differs "$3, not $2"; denied 'only root can change kernel settings'
}
# probe_service UNIT ENABLED(1|0) RUNNING(1|0)
probe_service() {
  if seen enabled; then e=$out; else e=$(systemctl is-enabled "$1.service" 2>/dev/null); fi
  if seen active; then a=$out; else a=$(systemctl is-active "$1.service" 2>/dev/null); fi
  why=
  case $2$e in
    1enabled|1enabled-runtime|1static|1indirect|1generated|1alias|1linked*) ;;
    1*) why="not enabled (${e:-no such unit})";;
    0enabled*|0linked*) why="enabled";;
  esac
  case $3$a in
    1active|1activating|1reloading) ;;
    1*) why="${why:+$why; }not running (${a:-unknown})";;
    0active|0activating|0reloading) why="${why:+$why; }running";;
  esac
  [ -z "$why" ] && { ok; return; }
  differs "$why"; denied 'only root can change services'
}
# probe_script INTERPRETER... -c CHECK: exit status 0 means that nothing is to do. With $lazy it is not asked where
# something before it is to be done, because it will be asked again after that.
probe_script() {
  [ "$lazy$off" = 11 ] && { missing; return; }
  lim 60 "$@" >/dev/null 2>&1 && { ok; return; }
  case $? in 124|137) differs 'its check did not end within 60 s';; *) missing;; esac
}
