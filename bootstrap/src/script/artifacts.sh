# Artifacts. What was sent or downloaded waits in $store/in under its digest until it is put in place; notes in $store tell
# what was found out of a file, so that it is hashed again only once its size or one of its times has changed.
if [ "${uid:-$(id -u)}" = 0 ]; then store=/var/lib/pool/artifacts; else store=$HOME/.local/state/pool/artifacts; fi
stamp() { stat -c '%s %.9Y %.9Z' -- "$1"; }
# is_digest PATH SHA256
is_digest() { sum=$(sha256sum <"$1") && [ "${sum%% *}" = "$2" ]; }
# known_digest PATH SHA256 NOTE: the same, from the note where that still holds.
known_digest() {
  # Where `stat` does not tell, no note counts.
  if { read -r a b <"$store/$3"; } 2>/dev/null && [ -n "$b" ] && [ "$a $b" = "$2 $(stamp "$1")" ]; then return 0; fi
  is_digest "$1" "$2"
}
# arrived SHA256: whether it is here and waits to be put in place.
arrived() { [ -f "$store/in/$1" ] && is_digest "$store/in/$1" "$1"; }
# needs SHA256 HOW: an artifact must come here: send it, unless it waits here already; load: the host downloads it.
needs() {
  ! arrived "$1" || return 0
  case $2 in
    send) printf 'U %s\n' "$n";;
    load) command -v curl >/dev/null || command -v wget >/dev/null ||
      denied 'neither curl nor wget is here to download it; add curl to packages' disk;;
  esac
}
# probe_artifact PATH SHA256 MODE OWNER GROUP NOTE HOW
probe_artifact() {
  if no_file "$1" "$4"; then needs "$2" "$7"; return; fi
  metadata "$1" "$3" "$4" "$5"
  if known_digest "$1" "$2" "$6"; then [ -n "$why" ] || { ok; return; }
  else needs "$2" "$7"; why="content${why:+; $why}"; fi
  differs "$why"; may_write "$1"; may_own "$4"
}
# probe_unpack DIR SHA256 STRIP NOTE HOW: the note says what was unpacked, and then all paths below DIR.
probe_unpack() {
  if [ -e "$1" ] && [ ! -d "$1" ]; then differs "$1 is not a directory"; denied 'a file is never replaced by a directory' disk; return; fi
  {
    if ! read -r a b c; then missing
    elif [ "$a $b $c" != "$2 $3 $1" ]; then differs 'another archive was unpacked'
    else
      while IFS= read -r p; do
        case $p in *'\'*) continue;; esac
        [ -e "$1/$p" ] || [ -h "$1/$p" ] || { differs "$1/$p is missing"; a=; break; }
      done
      [ -z "$a" ] || { ok; return; }
    fi
  } 2>/dev/null <"$store/$4" || missing
  needs "$2" "$5"; may_write "$1/x"
}
# take FILE SHA256 KEEP(1|0): what waits becomes a file here; with KEEP it waits on, for another place.
take() {
  [ -f "$store/in/$2" ] || { echo 'it did not arrive here' >&2; return 1; }
  if [ "$3" = 0 ] && [ "$(stat -c %d -- "$store/in/$2")" = "$(stat -c %d .)" ]; then mv -T -- "$store/in/$2" "$1"; return; fi
  cp -T -- "$store/in/$2" "$1" && is_digest "$1" "$2" || { echo 'it could not be copied' >&2; return 1; }
  [ "$3" = 1 ] || rm -f -- "$store/in/$2"
}
# put_note NOTE: the note is what comes in.
put_note() { { [ -d "$store" ] || mkdir -p -m 700 -- "$store"; } && cat >"$store/.$1" && mv -f -- "$store/.$1" "$store/$1"; }
# act_artifact PATH SHA256 MODE OWNER GROUP NOTE KEEP
act_artifact() {
  name=${1##*/} m=$3 o=$4 g=$5 lost=
  open_files "${1%/*}"
  [ "$bad" = 0 ] || { echo "$1 could not be written" >&2; return 1; }
  if [ -f "$1" ] && [ ! -h "$1" ] && is_digest "$1" "$2"; then cp -T -- "$1" "$name" && is_digest "$name" "$2"
  else take "$name" "$2" "$7"; fi && { sync -- "$name" || :; } && place_file "$name" && cd / && rmdir -- "$t" && t= &&
    printf '%s %s\n' "$2" "$(stamp "$1")" | put_note "$6"
}
# act_unpack DIR SHA256 STRIP NOTE KEEP: the note is written last, once all is on the disk.
act_unpack() {
  rm -f -- "$store/$4"
  [ -f "$store/in/$2" ] || { echo 'it did not arrive here' >&2; return 1; }
  { [ -d "$1" ] || mkdir -p -- "$1"; } && lim 1200 tar -x -v -f "$store/in/$2" -C "$1" --strip-components="$3" \
    --show-transformed-names --no-same-owner --no-overwrite-dir --keep-directory-symlink >"$tmp/list" && sync -f -- "$1" || return
  { printf '%s %s %s\n' "$2" "$3" "$1" && cat "$tmp/list"; } | put_note "$4" || return
  [ "$5" = 1 ] || rm -f -- "$store/in/$2"
}
# act_load SHA256 URL: the host downloads an artifact.
act_load() {
  ! arrived "$1" || return 0
  { [ -d "$store/in" ] || mkdir -p -m 700 -- "$store/in"; } && t=$(mktemp "$store/in/.XXXXXX") || return
  if command -v curl >/dev/null; then
    curl -sS -f -L --proto =http,https --max-redirs 5 --connect-timeout 20 --retry 2 -y 30 -Y 1000 -o "$t" "$2"
  elif command -v wget >/dev/null; then wget -nv --max-redirect=5 --tries=3 --timeout=30 -O "$t" "$2"
  else echo 'neither curl nor wget is here; add curl to packages' >&2; false; fi || { rm -f -- "$t"; return 1; }
  if ! is_digest "$t" "$1"; then
    echo "$2 has the SHA-256 digest ${sum%% *}, not $1" >&2
    rm -f -- "$t"; return 1
  fi
  mv -f -- "$t" "$store/in/$1" && t=
}
