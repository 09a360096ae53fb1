//! Texts that stand below the flags in `--help`.

/// Below `pool --help`.
pub const POOL: &str = "\
Every flag has a variable: --lock-timeout is POOL_LOCK_TIMEOUT. Terraform's flags, as in -out=FILE
and -auto-approve, are understood. Results go to standard output, all else to standard error.

Examples:
  pool init demo && cd demo    start with an inventory that works as it stands
  pool plan                    see what would happen, and why
  pool apply                   plan, show, ask, do
  pool ssh web-0               look around on a host
  pool destroy                 leave nothing behind
  pool help exit-codes         what each exit code means";

pub const INIT: &str = "\
Writes pool.yaml, what it refers to, and a .gitignore for the state. Nothing is overwritten.

Examples:
  pool init                                       little machines on this computer
  pool init fleet --example existing-hosts        hosts that exist, over SSH
  pool init cloud --example simulated-cloud       200 hosts in a simulated cloud";

pub const VALIDATE: &str = "\
Reads all files of the inventory, resolves them for the environment, and names every problem with
file, line and column. Nothing is asked from providers.

Examples:
  pool validate
  pool validate --env prod --json";

pub const FMT: &str = "\
Examples:
  pool fmt                     rewrite what is not in its canonical form
  pool fmt --check             for CI: exit with 1 and name the files";

pub const PLAN: &str = "\
Symbols: + add, ~ change in place, -/+ replace or rebuild, - destroy, > bootstrap, ! not done.
The plan is saved under an id; `pool apply ID` does exactly that, once, and only as long as nothing
that the plan read has moved.

Examples:
  pool plan
  pool plan -o tonight.plan                       to be applied from a file
  pool plan --target host/web-3 -v                one host, with all fields and file diffs
  pool plan --observe providers --detailed-exitcode
  pool plan --why-not private/az2                 and why no more hosts are there
  pool plan --override max_destroyed --reason \"scale-in, ticket 1234\"";

pub const APPLY: &str = "\
Without a plan: plans, shows the plan, asks for `yes`. With one: does exactly that and never asks.
Ctrl-C once: nothing new is started, running steps finish. Twice: they are cancelled. Both are
safe: go on with `pool apply`.

Examples:
  pool apply
  pool apply 7f3a2c
  pool apply tonight.plan --json
  pool apply --yes --on-failure stop";

pub const DESTROY: &str = "\
The same as `pool apply --destroy`: shows what would go and asks for `yes`. Protected objects stay.

Examples:
  pool destroy
  pool destroy --target pool/web
  pool destroy --yes";

pub const STATUS: &str = "\
Examples:
  pool status                  from the records, at once
  pool status --observe hosts  ask providers and hosts";

pub const SHOW: &str = "\
Examples:
  pool show host/web-3
  pool show pool/web
  pool show 7f3a2c             a saved plan
  pool show tonight.plan -v    a plan file; needs no credentials";

pub const EXPLAIN: &str = "\
Examples:
  pool explain host/web-3      its place, the places that were refused, what a plan would do to it
  pool explain volume/web-3.data
  pool explain pool/web         once for all hosts that are alike";

pub const STATE: &str = "\
Examples:
  pool state list 'host/web-*'
  pool state show host/web-3
  pool state mv host/web-3 host/front-0
  pool state rm host/web-3     forget it; the host itself goes on running
  pool state pull > state.json";

pub const HISTORY: &str = "\
Examples:
  pool history
  pool history 8c1f            one run, step by step: when, how long, how often tried, and why
  pool history 8c1f -v         with every entry of its journal";

pub const UNLOCK: &str = "\
The holder notices and stops before its next act. Use it when that run is surely dead.

Example:
  pool unlock 5d0c2e";

pub const GRAPH: &str = "\
Examples:
  pool graph | dot -Tsvg > plan.svg
  pool graph 7f3a2c --format mermaid";

pub const COST: &str = "\
Prices are those at which hosts and volumes were made; a month has 730 hours.

Examples:
  pool cost
  pool cost --json";

pub const VOLUME: &str = "\
Volumes are declared in the inventory; copies of them are taken, restored and deleted here.
Ordinary plans keep copies. A new volume gets the content of a copy, or of another volume, with
`from:` in the inventory.

Examples:
  pool volume list pool=web
  pool volume snapshot volume/web-0.data before-upgrade
  pool volume restore snapshot/web-0.data.before-upgrade
  pool volume delete snapshot/web-0.data.before-upgrade";

pub const VOLUME_SNAPSHOT: &str = "\
What is written at that moment may be in it or not: stop what writes, or snapshot again. As long
as a volume has snapshots, nothing but a whole destroy deletes it.

Examples:
  pool volume snapshot volume/web-0.data before-upgrade
  pool volume snapshot 'volume/web-*.data' before-upgrade --yes
  pool volume snapshot pool=web before-upgrade";

pub const VOLUME_BACKUP: &str = "\
Examples:
  pool volume backup volume/web-0.data monday
  pool volume backup tenant=retail monday --yes";

pub const VOLUME_RESTORE: &str = "\
The volume is detached, restored and attached again, in its host while that runs: stop what uses
it first. What it holds now is lost.

Examples:
  pool volume restore snapshot/web-0.data.before-upgrade
  pool volume restore backup/web-0.data.monday --yes";

pub const VOLUME_DELETE: &str = "\
Examples:
  pool volume delete snapshot/web-0.data.before-upgrade
  pool volume delete backup/web-0.data.monday backup/web-1.data.monday --yes";

pub const CLUSTER: &str = "\
Clusters are declared under `clusters:` and made, changed and upgraded by `pool apply`. `upgrade`
and `rollback` write the version there, comments kept, and apply; the others do what no
declaration says.

Examples:
  pool cluster upgrade k8s 1.35.4
  pool cluster kubeconfig k8s --out ~/.kube/k8s
  pool cluster snapshot k8s
  pool cluster restore k8s --host m1 --file /var/lib/pool/etcd/k8s-1a2b3c.db";

pub const HOST: &str = "\
What is declared is on: the next apply starts again what is stopped here. A member of a cluster
that is drained or cordoned stays so until it is uncordoned.

Examples:
  pool host stop web-0
  pool host start web-0
  pool host restart 'host/web-*' --yes
  pool host drain web-3";

pub const SSH: &str = "\
The host's key is the recorded one, or there is no session. `~.` at the start of a line ends a
session that hangs. Ends with what the session ended with; 255 when the connection was lost.

Examples:
  pool ssh web-0
  pool ssh --env prod host/db-1";

pub const EXEC: &str = "\
Each line of output carries its host. Exits with 0 when all succeeded, with 4 when the only
failures are unreachable hosts, else with 1.

Examples:
  pool exec pool=web -- uptime
  pool exec 'host/web-*' -- systemctl is-active nginx
  pool exec all --parallelism 20 -- 'df -h / | tail -1'";

pub const CHECK: &str = "\
Nothing is changed. Images, machine sizes, zones, tiers, networks, and what is left of quotas and
addresses, beside what a plan would take now. Each line is pass, fail or unknown, with the age of
what it was told and what to do. Exits with 5 when something fails, with 3 when credentials are
refused.

Example:
  pool check";

pub const ADOPT: &str = "\
Taking over changes nothing at the provider: machines, volumes and networks stay as they are, and
`pool destroy` lets them go. After --write, `pool plan` shows what is taken over, and `pool apply`
records it.

Examples:
  pool adopt private
  pool adopt private --only 'db-*' --write adopted.pool.yaml
  pool plan";

pub const BUNDLE: &str = "\
Examples:
  pool bundle create                              where there is a network
  pool bundle unpack acme-bundle.tar              where there is none";

pub const BUNDLE_CREATE: &str = "\
Artifacts that are not in the cache are fetched and verified. Equal files make an equal archive.
It holds what `pool validate` reads and every artifact, of all environments or of the one of
--env; no secrets and no state. It is laid out as the inventory's folder: where there is no pool
yet, tar unpacks it too.

Examples:
  pool bundle create
  pool bundle create --env prod -o /media/stick/prod.tar";

pub const BUNDLE_UNPACK: &str = "\
Everything is verified before anything takes its place. A later bundle goes over an earlier one:
files that it has no longer are removed, the state stays, and files that somebody changed there
are not overwritten.

Examples:
  pool bundle unpack acme-bundle.tar
  pool bundle unpack acme-bundle.tar /srv/acme --overwrite";

pub const SCHEMA: &str = "\
Example:
  pool schema > pool.schema.json
  and, as first line of pool.yaml: # yaml-language-server: $schema=pool.schema.json";

pub const COMPLETIONS: &str = "\
Examples:
  pool completions bash > /etc/bash_completion.d/pool
  pool completions zsh  > ~/.zfunc/_pool
  pool completions fish > ~/.config/fish/completions/pool.fish";

pub const MAN: &str = "\
Example:
  pool man | man -l -";

pub const HELP: &str = "\
Examples:
  pool help plan
  pool help state mv
  pool help exit-codes";
