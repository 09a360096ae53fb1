# Writes all configuration under $ETC (rewritten at every start; no state inside).
write_config() {
mkdir -p $ETC/{keystone,nova,placement,glance,neutron,cinder,mysql,rabbit} $LOG $RUN $HOME \
  $OSLAB/{fernet,credential,glance/images,nova/instances,cinder/{gold,silver,bronze,conversion},backup,neutron,fault,hooks,locks,console}
local S=$OSLAB/debs/x/usr/share
cp $S/nova-common/api-paste.ini $ETC/nova/; cp $S/neutron-common/api-paste.ini $ETC/neutron/
cp $S/cinder-common/api-paste.ini $ETC/cinder/; cp $OSLAB/debs/x/etc/cinder/resource_filters.json $ETC/cinder/
cp $S/glance-common/glance-api-paste.ini $ETC/glance/; cp $S/glance-common/schema-image.json $ETC/glance/
db() { echo "[$2]
connection = mysql+pymysql://root@localhost/$1?unix_socket=$SOCK&charset=utf8
max_pool_size = 10
max_overflow = 30
"; }
auth() { cat <<A
auth_type = password
auth_url = http://$IP:$P_KEYSTONE/v3
project_domain_id = default
user_domain_id = default
project_name = service
username = $1
password = $PASS
region_name = RegionOne
A
}
common() { # service user
cat <<A
[keystone_authtoken]
www_authenticate_uri = http://$IP:$P_KEYSTONE/v3
memcached_servers = $IP:$P_MEMC
token_cache_time = 300
service_token_roles = service
service_token_roles_required = true
$(auth $1)

[oslo_concurrency]
lock_path = $OSLAB/locks

[oslo_messaging_rabbit]
heartbeat_in_pthread = false
rabbit_retry_interval = 1
kombu_reconnect_delay = 0.5

[oslo_messaging_notifications]
driver = noop

[oslo_middleware]
enable_proxy_headers_parsing = true
A
}
local LV="default_log_levels = amqp=WARN,amqplib=WARN,sqlalchemy=WARN,oslo_messaging=INFO,oslo_messaging.rpc.client=ERROR,urllib3.connectionpool=WARN,keystonemiddleware=WARN,stevedore=WARN,keystoneauth=WARN,oslo.cache=INFO,oslo_policy=ERROR,dogpile.core.dogpile=INFO"
local TURL="rabbit://guest:guest@$IP:$P_RABBIT/"
#---------------------------------------------------------------- keystone
cat >$ETC/keystone/keystone.conf <<A
[DEFAULT]
log_file = $LOG/keystone.log
public_endpoint = http://$IP:$P_KEYSTONE/
$(db keystone database)
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = $OSLAB/fernet
[credential]
key_repository = $OSLAB/credential
[identity]
# default 12 rounds of bcrypt cost ~0.25 s of CPU per password login
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memcached
memcache_servers = $IP:$P_MEMC
[oslo_messaging_notifications]
driver = noop
A
#---------------------------------------------------------------- placement
cat >$ETC/placement/placement.conf <<A
[DEFAULT]
log_file = $LOG/placement.log
$(db placement placement_database)
[api]
auth_strategy = keystone
$(common placement)
A
#---------------------------------------------------------------- glance
cat >$ETC/glance/glance-api.conf <<A
[DEFAULT]
bind_host = $IP
bind_port = $P_GLANCE
workers = 1
log_file = $LOG/glance.log
enabled_backends = file:file
enabled_import_methods = [glance-direct,web-download]
$(db glance database)
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = $OSLAB/glance/images
[os_glance_staging_store]
filesystem_store_datadir = $OSLAB/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = $OSLAB/glance/tasks
[paste_deploy]
flavor = keystone
config_file = $ETC/glance/glance-api-paste.ini
$(common glance)
A
mkdir -p $OSLAB/glance/{staging,tasks}
#---------------------------------------------------------------- nova
cat >$ETC/nova/nova.conf <<A
[DEFAULT]
my_ip = $IP
host = ctl
state_path = $OSLAB/nova
instances_path = $OSLAB/nova/instances
transport_url = $TURL
compute_driver = fake.FakeDriver
enabled_apis = osapi_compute
osapi_compute_listen = $IP
osapi_compute_listen_port = $P_NOVA
osapi_compute_workers = $API_PROCS
$LV
allow_resize_to_same_host = true
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
report_interval = 20
service_down_time = 90
update_resources_interval = 120
rpc_response_timeout = 120
reserved_host_memory_mb = 0
max_concurrent_builds = 20
default_availability_zone = az1
default_schedule_zone = 
instance_usage_audit = false
block_device_allocate_retries = 120
block_device_allocate_retries_interval = 1
[api]
auth_strategy = keystone
[wsgi]
api_paste_config = $ETC/nova/api-paste.ini
$(db nova_api api_database)
$(db nova database)
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 60
query_placement_for_availability_zone = false
[filter_scheduler]
# spread over all hosts; Zed's default list
enabled_filters = ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,AggregateInstanceExtraSpecsFilter,AvailabilityZoneFilter
track_instance_changes = false
# a burst of requests sees the same host state: without this they all go to one host
shuffle_best_same_weighed_hosts = true
host_subset_size = 3
[quota]
instances = 1000
cores = 4000
ram = 20000000
server_groups = 200
server_group_members = 1000
[vnc]
enabled = true
novncproxy_base_url = http://$IP:$((6080+OFF))/vnc_auto.html
[glance]
api_servers = http://$IP:$P_GLANCE
[cinder]
catalog_info = volumev3::publicURL
os_region_name = RegionOne
$(auth nova)
[neutron]
service_metadata_proxy = false
$(auth neutron)
[placement]
$(auth placement)
[service_user]
send_service_user_token = true
$(auth nova)
[privsep]
helper_command = /usr/bin/privsep-helper
$(common nova)
A
local h
for h in $COMPUTES $SMALL; do
  printf '[DEFAULT]\nhost = %s\n' $h >$ETC/nova/compute-$h.conf
  [ "$h" = "$SMALL" ] && echo 'compute_driver = fake.SmallFakeDriver' >>$ETC/nova/compute-$h.conf
done
#---------------------------------------------------------------- neutron
cat >$ETC/neutron/neutron.conf <<A
[DEFAULT]
bind_host = $IP
bind_port = $P_NEUTRON
api_workers = $API_PROCS
rpc_workers = 1
rpc_state_report_workers = 0
state_path = $OSLAB/neutron
log_file = $LOG/neutron.log
api_paste_config = $ETC/neutron/api-paste.ini
core_plugin = ml2
service_plugins = oslab_router
transport_url = $TURL
dhcp_agent_notification = false
notify_nova_on_port_status_changes = true
notify_nova_on_port_data_changes = true
send_events_interval = 1
allow_automatic_l3agent_failover = false
max_allowed_address_pair = 50
$(db neutron database)
[nova]
$(auth nova)
[placement]
$(auth placement)
[quotas]
quota_network = 1000
quota_subnet = 1000
quota_port = 10000
quota_router = 100
quota_floatingip = 1000
quota_security_group = 1000
quota_security_group_rule = 10000
[privsep]
helper_command = /usr/bin/privsep-helper
$(common neutron)
A
cat >$ETC/neutron/ml2.ini <<A
[ml2]
type_drivers = flat,vlan,vxlan,local
tenant_network_types = vxlan
mechanism_drivers = oslab
extension_drivers = port_security
[ml2_type_flat]
flat_networks = public
[ml2_type_vlan]
network_vlan_ranges = physnet1:100:999
[ml2_type_vxlan]
vni_ranges = 1:10000
[securitygroup]
enable_security_group = true
A
#---------------------------------------------------------------- cinder
cat >$ETC/cinder/cinder.conf <<A
[DEFAULT]
my_ip = $IP
host = ctl
state_path = $OSLAB/cinder
transport_url = $TURL
auth_strategy = keystone
api_paste_config = $ETC/cinder/api-paste.ini
resource_query_filters_file = $ETC/cinder/resource_filters.json
osapi_volume_workers = 1
$LV
glance_api_servers = http://$IP:$P_GLANCE
image_conversion_dir = $OSLAB/cinder/conversion
enabled_backends = gold,silver,bronze
default_volume_type = bronze
storage_availability_zone = az1
allow_availability_zone_fallback = true
backup_driver = cinder.backup.drivers.posix.PosixBackupDriver
backup_posix_path = $OSLAB/backup
backup_workers = 1
backup_file_size = 52428800
volume_clear = none
report_interval = 10
service_down_time = 60
backend_stats_polling_interval = 30
quota_volumes = 1000
quota_gigabytes = 100000
quota_snapshots = 1000
quota_backups = 1000
quota_backup_gigabytes = 100000
per_volume_size_limit = 2000
migration_create_volume_timeout_secs = 120
$(db cinder database)
[nova]
interface = public
$(auth nova)
[service_user]
send_service_user_token = true
$(auth cinder)
[coordination]
backend_url = file://$OSLAB/cinder
[privsep]
helper_command = /usr/bin/privsep-helper
[privsep_osbrick]
helper_command = /usr/bin/privsep-helper
[cinder_sys_admin]
helper_command = /usr/bin/privsep-helper
$(common cinder)
$(for b in gold silver bronze; do cat <<B

[$b]
volume_driver = oslab_cinder.PlainFileDriver
volume_backend_name = $b
oslab_dir = $OSLAB/cinder/$b
B
done)
A
}
