# Settings of the bed; sourced by up.sh and down.sh.
HERE=${HERE:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}
OSLAB=${OSLAB:-/var/lib/oslab}          # state: databases, config, logs, images, volumes
IP=${OSLAB_IP:-127.0.77.1}              # all listeners bind here only
OFF=${OSLAB_PORT_OFFSET:-20000}         # keystone = 5000+OFF, nova = 8774+OFF, ...
PASS=${OSLAB_PASSWORD:-oslab}           # every password of the bed
COMPUTES=${OSLAB_COMPUTES:-"cmp1 cmp2 cmp3"}   # FakeDriver hosts (1000 vCPU each)
SMALL=${OSLAB_SMALL:-cmp4}              # SmallFakeDriver host (2 vCPU, 8 GiB): NoValidHost tests; "" = none
NICE=${OSLAB_NICE:-nice -n 5}
API_PROCS=${OSLAB_API_PROCS:-2}
P_KEYSTONE=$((5000+OFF)); P_PLACEMENT=$((8778+OFF)); P_GLANCE=$((9292+OFF)); P_NOVA=$((8774+OFF))
P_NEUTRON=$((9696+OFF)); P_CINDER=$((8776+OFF))
P_MYSQL=$((3306+OFF)); P_RABBIT=$((5672+OFF)); P_RDIST=$((5673+OFF)); P_EPMD=$((4369+OFF)); P_MEMC=$((11211+OFF))
ETC=$OSLAB/etc; LOG=$OSLAB/log; RUN=$OSLAB/run; SOCK=$RUN/mysql.sock
export OSLAB DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 LC_ALL=C.UTF-8
# the Debian interpreter, not a pyenv one: uwsgi derives sys.prefix from PATH
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export PYTHONPATH=$HERE/lib HOME=$OSLAB/home
unset PYTHONHOME PYENV_ROOT PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
for v in ${!OS_*}; do unset "$v"; done
unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE   # plain http here
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
alive() { local p; p=$(cat "$RUN/$1.pid" 2>/dev/null) && [ -n "$p" ] && kill -0 "$p" 2>/dev/null &&
          { [ "$(cat "$RUN/$1.start" 2>/dev/null)" = "$(cut -d' ' -f22 /proc/$p/stat 2>/dev/null)" ]; }; }
# start NAME CMD... : run in its own session, pid and start time recorded
start() {
  local n=$1; shift
  alive "$n" && return 0
  setsid $NICE "$@" >>"$LOG/$n.out" 2>&1 </dev/null 9>&- &
  local p=$!
  echo $p >"$RUN/$n.pid"; sleep 0.05; cut -d' ' -f22 /proc/$p/stat >"$RUN/$n.start" 2>/dev/null
  echo "$n" >>"$RUN/order"
}
wait_http() { # NAME URL [seconds]
  local n=$1 u=$2 t=$((SECONDS+${3:-120})) c
  while :; do
    c=$(curl -s -o /dev/null -m 5 -w '%{http_code}' "$u"); case $c in 2??|300|401) return 0;; esac
    alive "$n" || { echo "$n died:"; tail -30 "$LOG/$n.out" "$LOG/$n.log" 2>/dev/null; return 1; }
    [ $SECONDS -lt $t ] || { echo "$n: no answer from $u (last $c)"; tail -30 "$LOG/$n.out"; return 1; }
    sleep 0.3
  done
}
