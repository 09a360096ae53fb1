# Members of Docker Swarms. A note on each host says whose member it is; inside the swarm a label says which host a node is,
# because nodes are called as hosts call themselves.
swarm_note=/var/lib/pool/member
# swarm_own: what the host is by itself; nothing where its engine does not answer. Without a leader that takes more than 20 s.
swarm_own() {
  command -v docker >/dev/null || { echo inactive; return; }
  lim 60 docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.NodeID}} {{.Swarm.Error}}'
}
# swarm_state ID ROLE: absent, whole, half or foreign in $state, and $why; what the engine says in $own.
swarm_state() {
  state=absent why= own=$(swarm_own)
  set -- "$1" "$2" $own
  read -r a b c 2>/dev/null <"$swarm_note" || a='' b='' c=''
  case $3 in
    '') state=foreign why='its Docker Engine does not answer'; return;;
    inactive) [ "$a" != "$1" ] || [ "$b" != swarm ] || state=half; return;;
  esac
  if [ "$a" != "$1" ]; then
    state=foreign why='it is a member of another swarm; if that is not needed any more, run on the host: docker swarm leave --force'
  elif [ "$c" != done ] || [ "$3" != active ]; then state=half
  elif [ "$2" = control-plane ] && [ "$4" != true ]; then state=foreign why='it is a worker of this swarm, not a manager'
  elif [ "$2" = worker ] && [ "$4" = true ]; then state=foreign why='it is a manager of this swarm, not a worker'
  else state=whole; fi
}
swarm_mark() { mkdir -p "${swarm_note%/*}" && echo "$1 swarm $2" >"$swarm_note.new" && sync -- "$swarm_note.new" && mv -f "$swarm_note.new" "$swarm_note"; }
probe_swarm() {
  swarm_state "$1" "$2"
  case $state in
    whole) ok; return;;
    half) differs 'it was begun and not finished';;
    foreign) differs "$why"; denied "$why" disk; return;;
    absent) missing;;
  esac
  denied 'only root can make it a member'
}
probe_never() { missing; denied 'only root can do that'; }
ask_swarm() { swarm_state "$1" "$2"; echo "$state"; }
# act_swarm_init ID ADDRESS. A swarm of one that was begun here and not finished is ours, and whole.
act_swarm_init() {
  swarm_state "$1" control-plane
  case $state in
    whole) held=1; return 0;;
    foreign) echo "$why" >&2; return 1;;
  esac
  swarm_mark "$1" begun || return
  case $own in
    'active true '*) ;;
    *) lim 60 docker swarm leave --force >/dev/null 2>&1; lim 60 docker swarm init --advertise-addr "$2" >/dev/null || return;;
  esac
  swarm_mark "$1" done
}
# act_swarm_join ID ROLE ADDRESS: token and manager are in $f.
act_swarm_join() {
  swarm_state "$1" "$2"
  case $state in
    whole) held=1; return 0;;
    foreign) echo "$why" >&2; return 1;;
    half) lim 60 docker swarm leave --force >/dev/null 2>&1;;
  esac
  { read -r token; read -r manager; } <"$f"
  swarm_mark "$1" begun && lim 90 docker swarm join --advertise-addr "$3" --token "$token" "$manager" >/dev/null && swarm_mark "$1" done
}
swarm_id() { lim 20 docker info --format 'id={{.Swarm.NodeID}}'; }
# swarm_ticket ROLE ADDRESS: each new token makes the one before worthless, and the last one is made worthless by a timer.
swarm_ticket() {
  mkdir -p /run/pool && exec 8>/run/pool/ticket.lock && lim 60 flock 8 || return
  role=$1; [ "$role" = worker ] || role=manager
  systemctl stop "pool-token-$role.timer" 2>/dev/null
  systemd-run -q --collect --on-active=15min --unit="pool-token-$role" \
    sh -c "docker swarm join-token --rotate -q $role >/dev/null" >/dev/null || return
  echo "token=$(lim 60 docker swarm join-token --rotate -q "$role")"
  echo "endpoint=$2:2377"
}
# node_of HOST: the node that is that host.
node_of() { lim 20 docker node ls --filter "node.label=pool.host=$1" -q; }
# act_swarm_name NODE HOST LABEL...: says which host a node is, and its labels; those that are no longer declared go.
act_swarm_name() {
  node=$1 host=$2; shift 2
  had=$(lim 20 docker node inspect "$node" --format '{{range $k, $v := .Spec.Labels}}{{$k}} {{end}}') || return
  wanted=' '
  for x in "$@"; do wanted="$wanted${x%%=*} "; done
  words=
  for x in $had; do case $x$wanted in pool.host*|*" $x "*) ;; *) words="$words --label-rm $x";; esac; done
  for x in "$@"; do words="$words --label-add $x"; done
  lim 60 docker node update --label-add "pool.host=$host" $words "$node" >/dev/null
}
# act_swarm_labels HOST LABEL...
act_swarm_labels() {
  node=$(node_of "$1"); [ -n "$node" ] || { echo "no node of the swarm is $1" >&2; return 1; }
  host=$1; shift
  act_swarm_name "$node" "$host" "$@"
}
# act_swarm_drain HOST SECONDS: until nothing of it runs there.
act_swarm_drain() {
  node=$(node_of "$1"); [ -n "$node" ] || { held=1; return 0; }
  lim 60 docker node update --availability drain "$node" >/dev/null || return
  end_at=$(($(date +%s) + $2))
  while :; do
    tasks=$(lim 20 docker node ps "$node" --filter desired-state=running --format '{{.Name}} {{.CurrentState}}') || return
    [ -n "$tasks" ] || return 0
    [ "$(date +%s)" -lt "$end_at" ] || { echo "after $2 s there still run: $(echo "$tasks" | tr '\n' ';')" >&2; return 1; }
    sleep 0.5
  done
}
act_swarm_available() {
  node=$(node_of "$1"); [ -n "$node" ] || { echo "no node of the swarm is $1" >&2; return 1; }
  lim 60 docker node update --availability "$2" "$node" >/dev/null
}
# act_swarm_turn HOST ROLE, on a manager that stays one.
act_swarm_turn() {
  node=$(node_of "$1"); [ -n "$node" ] || { echo "no node of the swarm is $1" >&2; return 1; }
  if [ "$2" = control-plane ]; then lim 60 docker node promote "$node"; else lim 60 docker node demote "$node"; fi >/dev/null
}
# act_swarm_turned ID ROLE: on the host, until it is what it was turned into.
act_swarm_turned() {
  end_at=$(($(date +%s) + 60))
  until swarm_state "$1" "$2"; [ "$state" = whole ]; do
    [ "$(date +%s)" -lt "$end_at" ] || { echo "${why:-it is not there}" >&2; return 1; }
    sleep 0.3
  done
}
# act_swarm_leave ID: only what is ours.
act_swarm_leave() {
  swarm_state "$1" worker
  read -r a b c 2>/dev/null <"$swarm_note" || a=
  case $own in
    inactive*) ;;
    *) [ "$a" = "$1" ] || { echo "$why" >&2; return 1; }; lim 90 docker swarm leave --force >/dev/null || return;;
  esac
  rm -f -- "$swarm_note"
}
# act_swarm_forget HOST: a node that left, or is dead; a manager among those is no longer counted.
act_swarm_forget() {
  for node in $(node_of "$1"); do
    lim 60 docker node demote "$node" >/dev/null 2>&1
    tries=0
    until lim 60 docker node rm --force "$node" >/dev/null 2>"$tmp/err"; do
      tries=$((tries + 1))
      [ "$tries" -lt 20 ] || { cat "$tmp/err" >&2; return 1; }
      sleep 0.5
    done
  done
}
swarm_survey() {
  lim 20 docker node inspect $(lim 20 docker node ls -q) --format \
    '{{with index .Spec.Labels "pool.host"}}node {{.}}{{else}}node -{{end}} - {{if eq .Spec.Availability "active"}}open{{else}}cordoned{{end}} {{if eq .Spec.Role "manager"}}control-plane{{else}}worker{{end}} {{if eq .Status.State "ready"}}True{{else}}False{{end}} {{.Status.Message}}'
}
