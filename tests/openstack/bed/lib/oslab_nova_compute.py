"""nova-compute with the in-memory fake driver, made useful for tests of a client.

Patches nova.virt.fake.FakeDriver (the driver stays fake.FakeDriver):
 * instances survive a restart of nova-compute (power state from the database);
 * createImage uploads a few real bytes, so the image becomes 'active';
 * faults and delays: server metadata  oslab_fault = abort | reschedule |
   slow:<seconds> | slow_delete:<seconds>, or the file
   $OSLAB/fault/<host>.json {"spawn_delay": s, "spawn_fail": 0..1, "abort": 0..1,
   "only": part of the server's name};
 * a hook: $OSLAB/hooks/instance (executable) gets what happens to a server
   (spawn, destroy, power_on, power_off, reboot, attach, detach, extend,
   swap_begin, swap_end) and a JSON document on stdin, so that a real machine
   can stand behind it;
 * the console log is the file $OSLAB/console/<uuid>, which the hook writes.
"""
import base64
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import time

# nova.cmd monkey patches on import; do that before anything else.
from nova.cmd import compute as cmd_compute  # noqa

from nova.compute import manager
from nova.compute import power_state
from nova import exception
from nova.image import glance
from nova.virt import fake

OSLAB = os.environ.get('OSLAB', '/var/lib/oslab')


_quiet = set()   # servers that move between hosts: not a birth, not a death


def _fault(drv, instance):
    try:
        with open('%s/fault/%s.json' % (OSLAB, drv._host)) as f:
            fault = json.load(f)
    except (OSError, ValueError):
        return {}
    return fault if fault.get('only', '') in instance.display_name else {}


def _volume(connection_info, device=None):
    data = connection_info['data']
    return {'id': data.get('volume_id') or connection_info.get('serial'),
            'path': data['device_path'], 'device': device}


def _volumes(block_device_info):
    mapping = (block_device_info or {}).get('block_device_mapping') or []
    return [_volume(m['connection_info'], m.get('mount_device'))
            for m in mapping if m.get('connection_info')]


def _hook(drv, what, instance, network_info=None, **more):
    path = OSLAB + '/hooks/instance'
    if not os.access(path, os.X_OK) or instance.uuid in _quiet:
        return
    ips = [ip['address'] for vif in (network_info or [])
           for ip in vif.fixed_ips()]
    ud = instance.user_data
    doc = {'uuid': instance.uuid, 'name': instance.display_name,
           'hostname': instance.hostname, 'host': drv._host, 'ips': ips,
           'key_data': instance.key_data, 'metadata': dict(instance.metadata),
           'flavor': instance.flavor.name,
           'user_data': base64.b64decode(ud).decode('utf8', 'replace')
           if ud else None, **more}
    try:
        p = subprocess.run([path, what], input=json.dumps(doc).encode(),
                           stdout=subprocess.DEVNULL, timeout=60)
    except subprocess.TimeoutExpired:
        fake.LOG.error('hook %s timed out', what)
        return
    if p.returncode and what == 'spawn':
        raise exception.BuildAbortException(
            instance_uuid=instance.uuid, reason='hook rc %s' % p.returncode)
    if p.returncode and what.startswith('swap'):
        raise exception.NovaException('hook rc %s' % p.returncode)


_spawn = fake.FakeDriver.spawn
_destroy = fake.FakeDriver.destroy
_power_on = fake.FakeDriver.power_on
_power_off = fake.FakeDriver.power_off
_reboot = fake.FakeDriver.reboot
_finish_migration = fake.FakeDriver.finish_migration
_confirm_migration = fake.FakeDriver.confirm_migration
_finish_revert_migration = fake.FakeDriver.finish_revert_migration
_attach_volume = fake.FakeDriver.attach_volume
_detach_volume = fake.FakeDriver.detach_volume
_swap_volume = fake.FakeDriver.swap_volume


def spawn(self, context, instance, image_meta, injected_files,
          admin_password, allocations, network_info=None,
          block_device_info=None, power_on=True, accel_info=None):
    f = _fault(self, instance)
    want = instance.metadata.get('oslab_fault', '')
    delay = float(f.get('spawn_delay', 0))
    if want.startswith('slow:'):
        delay += float(want[5:])
    if delay:
        time.sleep(delay)
    if want == 'abort' or random.random() < f.get('abort', 0):
        raise exception.BuildAbortException(instance_uuid=instance.uuid,
                                            reason='oslab_fault abort')
    if want == 'reschedule' or random.random() < f.get('spawn_fail', 0):
        raise exception.ComputeResourcesUnavailable(
            reason='oslab_fault reschedule')
    _spawn(self, context, instance, image_meta, injected_files,
           admin_password, allocations, network_info, block_device_info,
           power_on, accel_info)
    _hook(self, 'spawn', instance, network_info, volumes=_volumes(block_device_info))


def destroy(self, context, instance, network_info, *a, **kw):
    want = instance.metadata.get('oslab_fault', '')
    if want.startswith('slow_delete:'):
        time.sleep(float(want[12:]))
    if instance.task_state != 'resize_reverting':
        _hook(self, 'destroy', instance, network_info)
    return _destroy(self, context, instance, network_info, *a, **kw)


def _revive(self, instance):
    if instance.uuid not in self.instances:
        st = instance.power_state
        if st not in (power_state.RUNNING, power_state.SHUTDOWN):
            st = power_state.RUNNING
        self.resources.claim(vcpus=instance.flavor.vcpus,
                             mem=instance.flavor.memory_mb,
                             disk=instance.flavor.root_gb)
        self.instances[instance.uuid] = fake.FakeInstance(
            instance.name, st, instance.uuid)


def power_on(self, context, instance, network_info, *a, **kw):
    _revive(self, instance)
    _power_on(self, context, instance, network_info, *a, **kw)
    _hook(self, 'power_on', instance, network_info)


def power_off(self, instance, *a, **kw):
    _revive(self, instance)
    _power_off(self, instance, *a, **kw)
    _hook(self, 'power_off', instance)


def reboot(self, context, instance, network_info, *a, **kw):
    with _moving(instance):
        _reboot(self, context, instance, network_info, *a, **kw)
    _hook(self, 'reboot', instance, network_info)


@contextlib.contextmanager
def _moving(instance):
    _quiet.add(instance.uuid)
    try:
        yield
    finally:
        _quiet.discard(instance.uuid)


def finish_migration(self, context, migration, instance, disk_info,
                     network_info, *a, **kw):
    with _moving(instance):
        _finish_migration(self, context, migration, instance, disk_info,
                          network_info, *a, **kw)
    _hook(self, 'reboot', instance, network_info)   # a resized guest restarts


def confirm_migration(self, context, migration, instance, network_info):
    with _moving(instance):
        _confirm_migration(self, context, migration, instance, network_info)


def finish_revert_migration(self, context, instance, network_info, *a, **kw):
    _finish_revert_migration(self, context, instance, network_info, *a, **kw)
    _hook(self, 'reboot', instance, network_info)


def attach_volume(self, context, connection_info, instance, mountpoint, *a, **kw):
    _attach_volume(self, context, connection_info, instance, mountpoint, *a, **kw)
    _hook(self, 'attach', instance, volume=_volume(connection_info, mountpoint))


def detach_volume(self, context, connection_info, instance, mountpoint, *a, **kw):
    _hook(self, 'detach', instance, volume=_volume(connection_info, mountpoint))
    _detach_volume(self, context, connection_info, instance, mountpoint, *a, **kw)


def extend_volume(self, context, connection_info, instance, requested_size):
    _hook(self, 'extend', instance, volume=_volume(connection_info))


def swap_volume(self, context, old, new, instance, mountpoint, resize_to):
    # A hypervisor copies the bytes under the running guest; the fake one does not.
    _hook(self, 'swap_begin', instance, volume=_volume(old, mountpoint))
    subprocess.run(['cp', '--sparse=always', _volume(old)['path'], _volume(new)['path']],
                   check=True, timeout=600)
    _hook(self, 'swap_end', instance, volume=_volume(old, mountpoint), to=_volume(new))
    _swap_volume(self, context, old, new, instance, mountpoint, resize_to)


def plug_vifs(self, instance, network_info):
    # called from init_host for every instance of this host: the restart hook
    if instance.host == self._host and instance.vm_state in (
            'active', 'stopped', 'paused', 'suspended', 'resized', 'rescued'):
        _revive(self, instance)
    for vif in network_info or []:
        self._interfaces[vif['id']] = vif


def snapshot(self, context, instance, image_id, update_task_state):
    if instance.uuid not in self.instances:
        raise exception.InstanceNotRunning(instance_id=instance.uuid)
    update_task_state(task_state=fake.task_states.IMAGE_PENDING_UPLOAD)
    update_task_state(
        task_state=fake.task_states.IMAGE_UPLOADING,
        expected_state=fake.task_states.IMAGE_PENDING_UPLOAD)
    data = ('oslab snapshot of %s\n' % instance.uuid).encode().ljust(4096, b'.')
    glance.API().update(context, image_id,
                        {'disk_format': 'raw', 'container_format': 'bare',
                         'status': 'active'},
                        data=io.BytesIO(data), purge_props=False)


def get_console_output(self, context, instance):
    text = ('[    0.000000] oslab fake console of %s on %s\n'
            % (instance.uuid, self._host)).encode()
    try:
        with open('%s/console/%s' % (OSLAB, instance.uuid), 'rb') as f:
            text += f.read()
    except OSError:
        pass
    return text + ('%s login: \n' % instance.hostname).encode()


for f in (spawn, destroy, power_on, power_off, reboot, plug_vifs, snapshot,
          finish_migration, confirm_migration, finish_revert_migration,
          attach_volume, detach_volume, extend_volume, swap_volume,
          get_console_output):
    setattr(fake.FakeDriver, f.__name__, f)

# detach of a tagged volume: only libvirt fills instance.device_metadata; without
# it nova raises after cinder detached and the attachment stays listed for ever.
_ddm = manager.ComputeManager._delete_disk_metadata
manager.ComputeManager._delete_disk_metadata = (
    lambda self, instance, bdm: instance.device_metadata and _ddm(self, instance, bdm))

if __name__ == '__main__':
    sys.argv[0] = 'nova-compute'
    sys.exit(cmd_compute.main())
