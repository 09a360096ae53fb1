#!/bin/bash
# Brings up a real OpenStack (Debian 12's Zed) on one machine, loopback only. Idempotent.
#   up.sh            install what is missing, start what is not running, seed, print openrc paths
#   up.sh --reset    stop all, restore the freshly seeded state (databases, images, volumes), start
set -u -o pipefail
HERE=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
. "$HERE/env.sh"; . "$HERE/packages.sh"; . "$HERE/config.sh"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 1; }
mkdir -p "$OSLAB" "$LOG" "$RUN" "$HOME"; exec 9>"$OSLAB/lock"; flock -w 600 9 || exit 1
if [ "${1:-}" = --reset ]; then
  [ -e "$OSLAB/pristine.tar" ] || { echo "no pristine state saved yet"; exit 1; }
  "$HERE/down.sh" || exit 1
  rm -rf "$OSLAB"/{mysql,rabbit,glance,cinder,backup,nova,neutron,fault,locks}; tar -C "$OSLAB" -xf "$OSLAB/pristine.tar" || exit 1
fi
say "packages"; install_packages || exit 1
say "config";   write_config || exit 1
install -m 755 "$HERE/hooks/instance" "$OSLAB/hooks/instance"

#------------------------------------------------------------------ infrastructure
SQL() { mariadb --no-defaults -S "$SOCK" -uroot "$@"; }
if [ ! -d "$OSLAB/mysql/mysql" ]; then
  say "mariadb: install"
  mariadb-install-db --no-defaults --datadir="$OSLAB/mysql" --user=root --skip-test-db --auth-root-authentication-method=normal >"$LOG/mysql-install.log" 2>&1 || { tail "$LOG/mysql-install.log"; exit 1; }
fi
start mysql mariadbd --no-defaults --user=root --datadir="$OSLAB/mysql" --socket="$SOCK" --pid-file="$OSLAB/mysqld.pid" \
  --bind-address=$IP --port=$P_MYSQL --max-connections=800 --skip-name-resolve --skip-log-bin --performance-schema=off \
  --innodb-buffer-pool-size=384M --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-flush-method=nosync \
  --character-set-server=utf8mb3 --collation-server=utf8mb3_general_ci --transaction-isolation=READ-COMMITTED
start memcached memcached -u root -l $IP -p $P_MEMC -m 64 -U 0
if [ ! -e "$OSLAB/rabbit/.erlang.cookie" ]; then mkdir -p "$OSLAB/rabbit"; (umask 077; head -c 15 /dev/urandom | base64 | tr -dc A-Z | head -c 20 >"$OSLAB/rabbit/.erlang.cookie"; printf OSLABCOOKIE >>"$OSLAB/rabbit/.erlang.cookie"); chmod 400 "$OSLAB/rabbit/.erlang.cookie"; fi
cat >$ETC/rabbit/rabbitmq.conf <<A
listeners.tcp.1 = $IP:$P_RABBIT
loopback_users = none
log.console = true
log.console.level = warning
log.file = false
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 100MB
A
echo '[].' >$ETC/rabbit/enabled_plugins
RENV=(env HOME=$OSLAB/rabbit RABBITMQ_NODENAME=oslab@localhost RABBITMQ_CONFIG_FILE=$ETC/rabbit/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=/dev/null
  RABBITMQ_ENABLED_PLUGINS_FILE=$ETC/rabbit/enabled_plugins RABBITMQ_MNESIA_BASE=$OSLAB/rabbit/mnesia RABBITMQ_LOG_BASE=$LOG
  RABBITMQ_DIST_PORT=$P_RDIST ERL_EPMD_ADDRESS=$IP ERL_EPMD_PORT=$P_EPMD
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}")
mkdir -p $OSLAB/rabbit/mnesia
# epmd in the foreground, ours, so that no epmd daemon is left behind on port 4369
EPMD=$(command -v epmd || ls /usr/lib/erlang/erts-*/bin/epmd | head -1)
start epmd env ERL_EPMD_ADDRESS=$IP ERL_EPMD_PORT=$P_EPMD $EPMD
start rabbit "${RENV[@]}" /usr/lib/rabbitmq/bin/rabbitmq-server
say "mariadb, rabbitmq: wait"
for i in $(seq 200); do SQL -e 'select 1' >/dev/null 2>&1 && break; alive mysql || { tail -20 $LOG/mysql.out; exit 1; }; sleep 0.2; done

#------------------------------------------------------------------ databases
have=" $(SQL -N -e 'show databases' | tr '\n' ' ') "
for d in keystone placement glance nova_api nova nova_cell0 neutron cinder; do
  case $have in *" $d "*) ;; *) SQL -e "create database $d character set utf8mb3" || exit 1;; esac
done
done_() { [ -e "$OSLAB/done/$1" ]; }; mark() { mkdir -p "$OSLAB/done"; touch "$OSLAB/done/$1"; }
PYM() { local m=$1; shift; $NICE /usr/bin/python3 -c "import sys;sys.argv[0]='$m';from ${m%:*} import ${m#*:} as f;sys.exit(f())" "$@"; }
sync1() { # keystone, placement, glance, cinder
  done_ keystone || { keystone-manage --config-file $ETC/keystone/keystone.conf fernet_setup --keystone-user root --keystone-group root &&
    keystone-manage --config-file $ETC/keystone/keystone.conf credential_setup --keystone-user root --keystone-group root &&
    $NICE keystone-manage --config-file $ETC/keystone/keystone.conf db_sync &&
    keystone-manage --config-file $ETC/keystone/keystone.conf bootstrap --bootstrap-password $PASS --bootstrap-region-id RegionOne \
      --bootstrap-public-url http://$IP:$P_KEYSTONE/v3 --bootstrap-internal-url http://$IP:$P_KEYSTONE/v3 --bootstrap-admin-url http://$IP:$P_KEYSTONE/v3 && mark keystone || return 1; }
  done_ placement || { PYM placement.cmd.manage:main --config-file $ETC/placement/placement.conf db sync && mark placement || return 1; }
  done_ glance || { PYM glance.cmd.manage:main --config-file $ETC/glance/glance-api.conf db_sync && mark glance || return 1; }
  done_ cinder || { PYM cinder.cmd.manage:main --config-file $ETC/cinder/cinder.conf db sync && mark cinder || return 1; }
}
sync2() { # neutron, nova
  done_ neutron || { PYM neutron.db.migration.cli:main --config-file $ETC/neutron/neutron.conf --config-file $ETC/neutron/ml2.ini upgrade heads && mark neutron || return 1; }
  done_ nova || { PYM nova.cmd.manage:main --config-file $ETC/nova/nova.conf api_db sync &&
    PYM nova.cmd.manage:main --config-file $ETC/nova/nova.conf cell_v2 map_cell0 --database_connection "mysql+pymysql://root@localhost/nova_cell0?unix_socket=$SOCK&charset=utf8" &&
    PYM nova.cmd.manage:main --config-file $ETC/nova/nova.conf db sync &&
    { PYM nova.cmd.manage:main --config-file $ETC/nova/nova.conf cell_v2 create_cell --name cell1 || [ $? = 2 ]; } && mark nova || return 1; }
}
if ! { done_ keystone && done_ placement && done_ glance && done_ cinder && done_ neutron && done_ nova; }; then say "db sync"; fi
sync1 >"$LOG/sync1.log" 2>&1 & s1=$!; sync2 >"$LOG/sync2.log" 2>&1 & s2=$!
wait $s1 || { tail -30 $LOG/sync1.log; exit 1; }; 

#------------------------------------------------------------------ services
UW() { # name port procs threads module env... -- pyargv
  local n=$1 port=$2 pr=$3 th=$4 mod=$5; shift 5
  start $n env "$@" uwsgi --plugin python3 --http-socket $IP:$port --master --die-on-term --lazy-apps --enable-threads --need-app \
    --processes $pr --threads $th --thunder-lock --buffer-size 65535 --listen 100 --no-orphans --add-header "Connection: close" \
    --disable-logging --single-interpreter --python-path $HERE/lib --module "$mod"
}
for w in keystone placement cinder; do case $w in
 keystone) m='from keystone.server.wsgi import initialize_public_application as f';;
 placement) m='from placement.wsgi import init_application as f';;
 cinder) m='import sys, os; sys.argv = ["cinder-api", "--config-file", os.environ["CINDER_CONF"], "--log-file", os.environ["CINDER_LOG"]]
from cinder.wsgi.wsgi import initialize_application as f';; esac
 mkdir -p $RUN/wsgi; printf '%s\napplication = f()\n' "$m" >$RUN/wsgi/oslab_wsgi_$w.py; done
export PYTHONPATH=$RUN/wsgi:$PYTHONPATH
say "keystone"
UW keystone $P_KEYSTONE $API_PROCS 4 oslab_wsgi_keystone OS_KEYSTONE_CONFIG_FILES=$ETC/keystone/keystone.conf
wait $s2 || { tail -30 $LOG/sync2.log; exit 1; }
for i in $(seq 300); do (exec 3<>/dev/tcp/$IP/$P_RABBIT) 2>/dev/null && break; alive rabbit || { tail -20 $LOG/rabbit.out; exit 1; }; sleep 0.2; done
wait_http keystone http://$IP:$P_KEYSTONE/v3 || exit 1
say "accounts and catalog"
/usr/bin/python3 "$HERE/seed.py" accounts || exit 1
say "apis"
UW placement $P_PLACEMENT 1 8 oslab_wsgi_placement OS_PLACEMENT_CONFIG_DIR=$ETC/placement
start neutron /usr/bin/python3 -c 'import sys;sys.argv[0]="neutron-server";from neutron.cmd.eventlet.server import main;main()' --config-file $ETC/neutron/neutron.conf --config-file $ETC/neutron/ml2.ini
start glance /usr/bin/python3 -c 'import sys;sys.argv[0]="glance-api";from glance.cmd.api import main;main()' --config-file $ETC/glance/glance-api.conf
wait_http placement http://$IP:$P_PLACEMENT/ || exit 1
N=(--config-file $ETC/nova/nova.conf)
NOVA() { local n=$1 m=$2; shift 2; start $n /usr/bin/python3 -c "import sys;sys.argv[0]='nova-$m';from nova.cmd.$m import main;main()" "${N[@]}" --log-file $LOG/$n.log "$@"; }
NOVA nova-conductor conductor; NOVA nova-scheduler scheduler
NOVA nova-api api_os_compute   # eventlet server: under uwsgi with threads > 1 RPC calls from nova-api hang for ever
UW cinder-api $P_CINDER $API_PROCS 8 oslab_wsgi_cinder CINDER_CONF=$ETC/cinder/cinder.conf CINDER_LOG=$LOG/cinder-api.log
C() { local m=$1; start cinder-$m /usr/bin/python3 -c "import sys;sys.argv[0]='cinder-$m';from cinder.cmd.$m import main;main()" --config-file $ETC/cinder/cinder.conf --log-file $LOG/cinder-$m.log; }
C scheduler; C volume; C backup
for h in $COMPUTES $SMALL; do
  start nova-compute-$h /usr/bin/python3 $HERE/lib/oslab_nova_compute.py "${N[@]}" --config-file $ETC/nova/compute-$h.conf --log-file $LOG/nova-compute-$h.log
done
wait_http glance http://$IP:$P_GLANCE/ || exit 1
wait_http neutron http://$IP:$P_NEUTRON/ || exit 1
wait_http nova-api http://$IP:$P_NOVA/ || exit 1
wait_http cinder-api http://$IP:$P_CINDER/ || exit 1
say "wait for agents, map hosts, seed"
/usr/bin/python3 "$HERE/seed.py" hosts $COMPUTES $SMALL || exit 1
done_ hosts || { PYM nova.cmd.manage:main --config-file $ETC/nova/nova.conf cell_v2 discover_hosts --by-service >>$LOG/sync2.log 2>&1 || exit 1; }
/usr/bin/python3 "$HERE/seed.py" resources || exit 1
mark hosts
say "ready"
if [ ! -e "$OSLAB/pristine.tar" ] && [ "${OSLAB_PRISTINE:-1}" = 1 ]; then
  say "saving the pristine state (one stop and start)"
  exec 9>&-; "$HERE/down.sh" >/dev/null || exit 1
  tar -C "$OSLAB" -cSf "$OSLAB/pristine.tmp" mysql glance cinder nova neutron && mv "$OSLAB/pristine.tmp" "$OSLAB/pristine.tar"
  exec "$HERE/up.sh"
fi
echo "export OS_CLIENT_CONFIG_FILE=$OSLAB/clouds.yaml OS_CLOUD=demo   # clouds: admin, demo, demo-appcred"
echo ". $OSLAB/openrc-demo   # or openrc-admin"
