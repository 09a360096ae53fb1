//! What a user of local machines would miss.

use pool_inventory::{Kind, object::Status};
use pool_providers::Provider;

use crate::bench::{Bench, Case, For, owner};

/// All cases.
pub const ALL: &[Case] = &[("a_machine_boots_answers_and_leaves_no_trace", For::All, boots)];

fn boots(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    assert_eq!(host.status, Status::Ready);
    assert_eq!(
        bench.output(&host, "hostname; id -u; echo $HOME $USER $SHELL; pwd"),
        "web-0\n0\n/root root /bin/bash\n/root"
    );
    let again = bench.create(&provider, "web-0");
    assert_eq!(again, host, "one token, one machine");
    let found = bench.runtime.block_on(provider.find(&owner("web-0").token)).expect("asked");
    assert_eq!(found.as_ref(), Some(&host));
    let listed = bench.runtime.block_on(provider.list(Kind::Host, None)).expect("listed");
    assert_eq!(listed.objects, [host.clone()]);
    bench.delete(&provider, &host);
    assert_eq!(bench.runtime.block_on(provider.find(&owner("web-0").token)), Ok(None));
}
