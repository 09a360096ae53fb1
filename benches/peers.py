"""The ten steps of boot.py for Ansible and pyinfra: what they read, and how they are started."""
import json
import os

HOST = "{{ inventory_hostname }}"


def ansible(fleet, work, result, files, programs):
    """(what, command, environment) of Ansible with pipelining and as many forks as hosts; a connection lives for the run."""
    folder = work / "ansible"
    (folder / "templates").mkdir(parents=True)
    for name, content in files(HOST).items():
        (folder / "templates" / f"{name}.j2").write_text(content)
    hosts = {name: {"ansible_host": address, "etc": f"{result}/{name}/etc", "pid": f"{fleet.folder}/{name}/pid"}
             for name, address in fleet.hosts}
    every = {"ansible_port": fleet.port, "ansible_user": "root", "ansible_ssh_private_key_file": f"{fleet.folder}/id",
             "ansible_python_interpreter": "/usr/bin/python3"}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": every}}))
    steps = [{"file": {"path": "{{ etc }}", "state": "directory", "mode": "0755"}}]
    steps += [{"template": {"src": f"{name}.j2", "dest": f"{{{{ etc }}}}/{name}", "mode": "0644"}} for name in files(HOST)]
    steps += [
        {"file": {"path": "{{ etc }}/users.conf", "mode": "0644", "owner": "root", "group": "root"}},
        {"lineinfile": {"path": "{{ etc }}/limits", "line": "* soft nofile 65536", "create": True, "mode": "0644"}},
        {"command": "uname -r", "changed_when": False},
        {"command": "id -u", "changed_when": False},
        {"shell": "kill -0 $(cat {{ pid }})", "changed_when": False},
    ]
    (folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": True, "tasks": steps}]))
    arguments = f"-F none -o UserKnownHostsFile={fleet.folder}/known_hosts -o IdentitiesOnly=yes"
    (folder / "ansible.cfg").write_text(f"""[defaults]
host_key_checking = True
forks = {len(fleet.hosts)}
[ssh_connection]
pipelining = True
ssh_common_args = {arguments}
ssh_args = -o ControlMaster=auto -o ControlPersist=15s
control_path_dir = {folder}/cp
""")
    command = [programs / "ansible-playbook", "-i", folder / "hosts.json", folder / "play.json"]
    environment = dict(os.environ, ANSIBLE_CONFIG=str(folder / "ansible.cfg"), ANSIBLE_LOCAL_TEMP=str(folder / "tmp"))
    return "ansible, pipelining", command, environment


def pyinfra(fleet, work, result, files, programs):
    """(what, command, environment) of pyinfra with all hosts at once."""
    folder = work / "pyinfra"
    folder.mkdir(parents=True)
    for name, content in files("{{ h }}").items():
        (folder / f"{name}.j2").write_text(content)
    data = {"ssh_port": fleet.port, "ssh_user": "root", "ssh_key": f"{fleet.folder}/id",
            "ssh_known_hosts_file": f"{fleet.folder}/known_hosts", "ssh_strict_host_key_checking": "yes"}
    hosts = [(address, {**data, "h": name, "etc": f"{result}/{name}/etc", "pid": f"{fleet.folder}/{name}/pid"})
             for name, address in fleet.hosts]
    (folder / "inventory.py").write_text(f"hosts = {hosts!r}\n")
    templates = "".join(
        f"files.template(src='{folder}/{name}.j2', dest=etc + '/{name}', mode='644', h=host.data.h)\n" for name in files(""))
    (folder / "deploy.py").write_text(f"""from pyinfra import host
from pyinfra.facts import hardware, server as facts
from pyinfra.operations import files, server
for fact in (facts.LinuxDistribution, facts.Kernel, facts.Hostname, hardware.Cpus, hardware.Memory):
    host.get_fact(fact)
etc = host.data.etc
files.directory(path=etc, mode='755')
{templates}files.file(path=etc + '/users.conf', mode='644', user='root', group='root')
files.line(path=etc + '/limits', line='* soft nofile 65536')
server.shell(commands=['uname -r'])
server.shell(commands=['id -u'])
server.shell(commands=['kill -0 $(cat ' + host.data.pid + ')'])
""")
    command = [programs / "pyinfra", "-y", "--parallel", str(len(hosts)), folder / "inventory.py", folder / "deploy.py"]
    return "pyinfra", command, None
