//! What a server costs in calls.

use std::time::Duration;

use pool_inventory::{
    Address, Kind, Lineage, Token,
    object::{Observed, Owner, Spec, Status},
};
use pool_providers::{Act, Operation, Progress, Provider, ProviderError, Request, conformance::Account};

use super::{account, conformance::host};

const SERVERS: usize = 20;

fn owner(n: usize) -> Owner {
    let lineage = Lineage::from_bits([0xC0; 16]);
    let address = Address::host(&format!("web-{n}"));
    Owner { token: Token::derive(&lineage, &address, 1, 0), lineage, address, generation: 1 }
}

fn request(n: usize, act: Act) -> Request {
    Request { owner: owner(n), name: format!("conformance-default-web-{n}").into(), act }
}

/// As the engine does it: 16 requests at a time, and one poll at a time for all that is under way, two seconds apart.
async fn carry_out(provider: &dyn Provider, requests: Vec<Request>) -> Vec<Result<Option<Observed>, ProviderError>> {
    let mut ended = Vec::new();
    let mut operations: Vec<Operation> = Vec::new();
    for some in requests.chunks(16) {
        let asked = some.iter().map(|request| async { provider.submit(vec![request.clone()]).await.remove(0) });
        for answer in futures_util::future::join_all(asked).await {
            sort(answer, &mut ended, &mut operations);
        }
    }
    while !operations.is_empty() {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let asked = std::mem::take(&mut operations);
        for (answer, operation) in provider.poll(&asked).await.into_iter().zip(asked) {
            match answer {
                Err(ProviderError::Transient(_)) => operations.push(operation),
                answer => sort(answer, &mut ended, &mut operations),
            }
        }
    }
    ended
}

fn sort(
    answer: Result<Progress, ProviderError>,
    ended: &mut Vec<Result<Option<Observed>, ProviderError>>,
    operations: &mut Vec<Operation>,
) {
    match answer {
        Ok(Progress::Done(object)) => ended.push(Ok(Some(*object))),
        Ok(Progress::Gone) => ended.push(Ok(None)),
        Ok(Progress::Pending(operation)) => operations.push(operation),
        Err(error) => ended.push(Err(error)),
    }
}

fn total(provider: &account::Live) -> u64 {
    provider.inner().calls().iter().map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "the number is what the test is for")]
async fn servers_cost_few_calls() {
    let _alone = account::ALONE.lock().await;
    let account = account::Live::open().await.unwrap();
    let provider = account.provider();
    let made = carry_out(provider, (0..SERVERS).map(|n| request(n, Act::Create(Spec::Host(host())))).collect()).await;
    let made: Vec<Observed> = made.into_iter().map(|host| host.unwrap().unwrap()).collect();
    assert!(made.iter().all(|host| host.status == Status::Ready && host.endpoint.is_some()), "{made:?}");
    let created = total(&account);
    eprintln!("{SERVERS} created: {created} calls, {:?}", account.inner().calls());

    let listed = provider.list(Kind::Host, None).await.unwrap().objects;
    assert_eq!(listed.len(), SERVERS);
    let refreshed = total(&account) - created;
    eprintln!("{SERVERS} listed: {refreshed} calls");

    let doomed = made.iter().map(|host| {
        let owner = host.owner.clone().unwrap();
        let act = Act::Delete { id: host.id.clone(), kind: Kind::Host };
        Request { owner, name: host.name.clone(), act }
    });
    let gone = carry_out(provider, doomed.collect()).await;
    assert!(gone.iter().all(|answer| matches!(answer, Ok(None))), "{gone:?}");
    let deleted = total(&account) - created - refreshed;
    eprintln!("{SERVERS} deleted: {deleted} calls, {:?}", account.inner().calls());

    assert_eq!(account::clear(), Vec::<String>::new());
    assert!(created as f64 <= 2.5 * SERVERS as f64 + 8.0, "{created} calls for {SERVERS} servers");
    assert!(refreshed <= 2, "{refreshed} calls for a list");
}
