#!/bin/bash
# Stops what up.sh started, by pid file (pid and start time must match), services before infrastructure.
set -u
HERE=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
. "$HERE/env.sh"
stop() { # names: TERM to all, then wait, then KILL the sessions left
  local n p t=$((SECONDS+${T:-15})) left
  for n in "$@"; do alive $n && kill -TERM "$(cat $RUN/$n.pid)" 2>/dev/null; done
  while :; do
    left=; for n in "$@"; do alive $n && left="$left $n"; done
    [ -z "$left" ] && break
    [ $SECONDS -ge $t ] && { for n in $left; do p=$(cat $RUN/$n.pid); kill -KILL -- -$p 2>/dev/null || kill -KILL $p; done; echo "killed:$left"; break; }
    sleep 0.2
  done
  for n in "$@"; do rm -f $RUN/$n.pid $RUN/$n.start; done
}
all=$(ls $RUN/*.pid 2>/dev/null | xargs -rn1 basename | sed 's/\.pid$//')
svc=$(for n in $all; do case $n in mysql|rabbit|memcached|epmd) ;; *) echo $n;; esac; done)
[ -n "$svc" ] && T=10 stop $svc
T=25 stop $(for n in rabbit memcached mysql; do [ -e $RUN/$n.pid ] && echo $n; done)
[ -e $RUN/epmd.pid ] && stop epmd
rm -f $RUN/order
# machines that stood behind servers: their processes, their loop devices, their roots in memory
MACHINES=/run/machines${OSLAB//\//-}
for m in "$MACHINES"/*/; do
  [ -d "$m" ] && echo "{\"uuid\": \"$(basename "$m")\", \"name\": \"\", \"ips\": [], \"user_data\": \"\"}" | "$HERE/hooks/instance" destroy
done
mountpoint -q "$MACHINES" && umount "$MACHINES"
echo stopped
