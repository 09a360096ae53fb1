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
# one_file NAME: its content follows. What could not be written stays in $f. (`true`, because an error of `:` ends the shell.)
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
  { lists_fresh || apt_lists
    # What was killed in the middle of an installation is finished first.
    apt_install "$@" || {
      lim 300 dpkg --force-confdef --force-confold --configure -a
      apt_lists && apt_install "$@"
    }
  } >&2 </dev/null
}
# apt_lists OPTION...: fetches package lists. Who fetches some already is waited for: apt itself waits for dpkg's lock alone.
apt_lists() {
  end_at=$(($(date +%s) + 300))
  until lim 300 env LC_ALL=C apt-get -q "$@" update >"$tmp/lists" 2>&1; do
    { grep -q 'Could not get lock' "$tmp/lists" && [ "$(date +%s)" -lt "$end_at" ]; } || { cat "$tmp/lists" >&2; return 1; }
    sleep 1
  done
  cat "$tmp/lists" >&2
}
apt_install() {
  lim 840 apt-get -q -y ${apt_more:-} --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
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
