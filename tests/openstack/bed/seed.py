#!/usr/bin/python3
"""Seeds the bed (idempotent): seed.py accounts | hosts HOST... | resources"""
import hashlib
import io
import json
import os
import subprocess
import sys
import time

import openstack

E = {k: v for k, v in (l.split('=', 1) for l in subprocess.check_output(
    ['bash', '-c', '. %s/env.sh; set -o posix; set' % os.path.dirname(os.path.abspath(__file__))],
    text=True).splitlines() if '=' in l)}
IP, PASS, OSLAB = E['IP'], E['PASS'], E['OSLAB']
URL = {k: 'http://%s:%s' % (IP, E['P_' + k.upper()]) for k in
       ('keystone', 'placement', 'glance', 'nova', 'neutron', 'cinder')}


def conn(user, project):
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth=dict(
            auth_url=URL['keystone'] + '/v3', username=user, password=PASS,
            project_name=project, user_domain_id='default',
            project_domain_id='default'), region_name='RegionOne',
        app_name='oslab-seed')


A = conn('admin', 'admin')


def accounts():
    idn = A.identity
    roles = {r.name: r for r in idn.roles()}
    for r in ('service', 'member', 'reader', 'admin'):
        if r not in roles:
            roles[r] = idn.create_role(name=r)
    projects = {p.name: p for p in idn.projects()}
    for p in ('service', 'demo', 'other'):
        if p not in projects:
            projects[p] = idn.create_project(name=p, domain_id='default')
    users = {u.name: u for u in idn.users()}
    grants = {(a.user['id'], a.scope['project']['id'], a.role['id'])
              for a in idn.role_assignments() if a.user and a.scope and 'project' in a.scope}

    def user(name, project, *rs):
        if name not in users:
            users[name] = idn.create_user(name=name, password=PASS, domain_id='default')
        for r in rs:
            if (users[name].id, projects[project].id, roles[r].id) not in grants:
                idn.assign_project_role_to_user(projects[project], users[name], roles[r])
    for u in ('nova', 'neutron', 'placement', 'glance', 'cinder'):
        user(u, 'service', 'admin', 'service')
    user('demo', 'demo', 'member', 'reader')
    user('other', 'other', 'member', 'reader')
    user('admin', 'demo', 'admin')
    svc = {s.type: s for s in idn.services()}
    have = {(e.service_id, e.interface): e for e in idn.endpoints()}
    for typ, name, url in (
            ('placement', 'placement', URL['placement']),
            ('image', 'glance', URL['glance']),
            ('compute', 'nova', URL['nova'] + '/v2.1'),
            ('network', 'neutron', URL['neutron']),
            ('volumev3', 'cinderv3', URL['cinder'] + '/v3/$(project_id)s'),
            ('block-storage', 'cinder', URL['cinder'] + '/v3/$(project_id)s'),
            ):
        if typ not in svc:
            svc[typ] = idn.create_service(type=typ, name=name)
        for i in ('public', 'internal', 'admin'):
            if (svc[typ].id, i) not in have:
                idn.create_endpoint(service_id=svc[typ].id, interface=i, url=url, region_id='RegionOne')


def hosts(names):
    want = {('nova-compute', h) for h in names} | {('nova-conductor', 'ctl'), ('nova-scheduler', 'ctl')}
    vol = {('cinder-volume', 'ctl@' + b) for b in ('gold', 'silver', 'bronze')} | {
        ('cinder-scheduler', 'ctl'), ('cinder-backup', 'ctl')}
    t = time.time() + 180
    while True:
        up = {(s['binary'], s['host']) for s in A.compute.get('/os-services').json()['services'] if s['state'] == 'up'}
        vup = {(s['binary'], s['host']) for s in A.block_storage.get('/os-services').json()['services'] if s['state'] == 'up'}
        left = (want - up) | (vol - vup)
        if not left:
            return
        if time.time() > t:
            sys.exit('not up: %s' % sorted(left))
        time.sleep(1)


def resources():
    D = conn('demo', 'demo')
    demo = A.identity.find_project('demo')
    # flavors
    fl = {f.name for f in A.compute.flavors()}
    for i, (n, c, m, d) in enumerate((('small', 1, 2048, 20), ('medium', 2, 4096, 40),
                                      ('large', 4, 8192, 80), ('xlarge', 8, 16384, 160))):
        if 'm1.' + n not in fl:
            A.compute.post('/flavors', json={'flavor': {'id': str(i + 1), 'name': 'm1.' + n, 'vcpus': c, 'ram': m, 'disk': d}})
    # aggregates = availability zones
    ag = {a.name: a for a in A.compute.aggregates()}
    comp = E['COMPUTES'].strip("'\"").split()
    plan = {'az1': comp[:2], 'az2': comp[2:], 'az-small': [h for h in [E.get('SMALL', '')] if h]}
    for az, hs in plan.items():
        if not hs:
            continue
        if az not in ag:
            ag[az] = A.compute.create_aggregate(name=az, availability_zone=az)
        for h in hs:
            if h not in (ag[az].hosts or []):
                A.compute.add_host_to_aggregate(ag[az].id, h)
    # images: 1 MiB each; nothing boots from them
    have = {i.name for i in A.image.images()}
    for name, version in (('tiny', '12'), ('tiny-2', '13')):
        if name in have:
            continue
        blob = b''.join(hashlib.sha256(b'%s %d' % (name.encode(), i)).digest() for i in range(32768))
        A.image.create_image(name=name, disk_format='raw', container_format='bare', visibility='public',
                             min_disk=1, min_ram=64, data=io.BytesIO(blob), allow_duplicates=True,
                             validate_checksum=False, os_distro='debian', os_version=version)
    # quotas of the demo tenant
    A.compute.put('/os-quota-sets/' + demo.id, json={'quota_set': {
        'instances': 500, 'cores': 2000, 'ram': 8000000, 'key_pairs': 100, 'force': True}})
    A.block_storage.put('/os-quota-sets/' + demo.id, json={'quota_set': {
        'volumes': 500, 'gigabytes': 50000, 'snapshots': 500, 'backups': 200}})
    A.network.put('/v2.0/quotas/' + demo.id, json={'quota': {
        'port': 5000, 'network': 100, 'subnet': 100, 'floatingip': 200, 'security_group': 100}})
    # volume types
    vt = {t['name']: t for t in A.block_storage.get('/types?is_public=None').json()['volume_types']}
    for b, iops in (('gold', 10000), ('silver', 3000), ('bronze', 500)):
        if b not in vt:
            t = A.block_storage.post('/types', json={'volume_type': {
                'name': b, 'description': b + ' tier', 'os-volume-type-access:is_public': True,
                'extra_specs': {'volume_backend_name': b}}}).json()['volume_type']
            q = A.block_storage.post('/qos-specs', json={'qos_specs': {
                'name': b, 'consumer': 'back-end', 'maxIOPS': str(iops)}}).json()['qos_specs']
            A.block_storage.get('/qos-specs/%s/associate?vol_type_id=%s' % (q['id'], t['id']))
    if 'gold-multi' not in vt:   # a multiattach type cannot be retyped while in use, so a type of its own
        A.block_storage.post('/types', json={'volume_type': {
            'name': 'gold-multi', 'os-volume-type-access:is_public': True,
            'extra_specs': {'volume_backend_name': 'gold', 'multiattach': '<is> True'}}})
    # networks
    nets = {n.name: n for n in A.network.networks()}
    if 'public' not in nets:
        nets['public'] = A.network.create_network(name='public', is_router_external=True, provider_network_type='flat',
                                                  provider_physical_network='public')
        A.network.create_subnet(name='public', network_id=nets['public'].id, ip_version=4, cidr='172.24.4.0/22',
                                enable_dhcp=False, gateway_ip='172.24.4.1')
    if 'demo-net' not in nets:
        n = D.network.create_network(name='demo-net')
        s = D.network.create_subnet(name='demo-subnet', network_id=n.id, ip_version=4, cidr='10.10.0.0/20',
                                    dns_nameservers=['10.10.0.2'])
        r = D.network.create_router(name='demo-router', external_gateway_info={'network_id': nets['public'].id})
        D.network.add_interface_to_router(r, subnet_id=s.id)
    if 'loop-net' not in nets:   # addresses a local process can really listen on
        n = D.network.create_network(name='loop-net')
        D.network.create_subnet(name='loop-subnet', network_id=n.id, ip_version=4, cidr='127.50.0.0/16',
                                enable_dhcp=False, gateway_ip=None)
    sg = {g.name: g for g in D.network.security_groups(project_id=demo.id)}
    if 'demo-sg' not in sg:
        g = D.network.create_security_group(name='demo-sg', description='ssh and icmp')
        D.network.create_security_group_rule(security_group_id=g.id, direction='ingress', protocol='tcp',
                                             port_range_min=22, port_range_max=22, remote_ip_prefix='0.0.0.0/0')
        D.network.create_security_group_rule(security_group_id=g.id, direction='ingress', protocol='icmp')
    # keypair
    key = OSLAB + '/demo_key'
    if not os.path.exists(key):
        subprocess.check_call(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'demo', '-f', key])
    if not any(k.name == 'demo-key' for k in D.compute.keypairs()):
        D.compute.create_keypair(name='demo-key', public_key=open(key + '.pub').read().strip())
    # application credential
    secret = 'oslab-appcred-secret'
    uid = D.current_user_id
    creds = {c.name: c for c in D.identity.application_credentials(user=uid)}
    ac = creds.get('demo-appcred') or D.identity.create_application_credential(
        user=uid, name='demo-appcred', secret=secret)
    with open(OSLAB + '/clouds.yaml', 'w') as f:
        f.write('clouds:\n')
        for cloud, user, project in (('admin', 'admin', 'admin'), ('demo', 'demo', 'demo'), ('other', 'other', 'other')):
            f.write('''  %s:
    region_name: RegionOne
    identity_api_version: 3
    auth:
      auth_url: %s/v3
      username: %s
      password: %s
      project_name: %s
      user_domain_name: Default
      project_domain_name: Default
''' % (cloud, URL['keystone'], user, PASS, project))
        f.write('''  demo-appcred:
    region_name: RegionOne
    auth_type: v3applicationcredential
    auth:
      auth_url: %s/v3
      application_credential_id: %s
      application_credential_secret: %s
''' % (URL['keystone'], ac.id, secret))
    for user, project in (('admin', 'admin'), ('demo', 'demo')):
        with open('%s/openrc-%s' % (OSLAB, user), 'w') as f:
            for k, v in (('AUTH_URL', URL['keystone'] + '/v3'), ('USERNAME', user), ('PASSWORD', PASS),
                         ('PROJECT_NAME', project), ('USER_DOMAIN_NAME', 'Default'), ('PROJECT_DOMAIN_NAME', 'Default'),
                         ('REGION_NAME', 'RegionOne'), ('IDENTITY_API_VERSION', '3')):
                f.write('export OS_%s=%s\n' % (k, v))


if sys.argv[1] == 'accounts':
    accounts()
elif sys.argv[1] == 'hosts':
    hosts(sys.argv[2:])
else:
    resources()
