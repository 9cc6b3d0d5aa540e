//! What every database must do: each case is written once and runs on SQLite and on Postgres.

mod artifacts;
mod imports;
mod logged_models;
mod registered;
mod retention;
mod search;
mod tracking;
mod versions;
mod webhooks;

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use holdfast_registry::service::store::SqlStore;
use holdfast_storage::Secret;
use holdfast_testkit::Postgres;

/// A case with its name; the store is empty and its own.
type Case = (&'static str, fn(Arc<SqlStore>) -> BoxFuture<'static, ()>);

/// The cases of an area, and a test for each database that runs them all: making a Postgres takes a second.
macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        const CASES: &[crate::store::Case] = &[$((stringify!($case), |store| Box::pin($case(store)))),*];

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn sqlite_keeps_the_contract() {
            crate::store::on_sqlite(CASES).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn postgres_keeps_the_contract() {
            crate::store::on_postgres(CASES).await;
        }
    };
}
pub(crate) use contract;

async fn on_sqlite(cases: &[Case]) {
    let dir = tempfile::tempdir().unwrap();
    let mut stores = Vec::new();
    for (name, _) in cases {
        let path = dir.path().join(format!("{name}.db"));
        stores.push(SqlStore::open_sqlite(&path).await.unwrap());
    }
    run(cases, stores).await;
}

async fn on_postgres(cases: &[Case]) {
    let postgres = Postgres::start().await;
    let mut stores = Vec::new();
    for _ in cases {
        let url = Secret::new(postgres.database().await);
        stores.push(SqlStore::open_postgres(&url).await.unwrap());
    }
    run(cases, stores).await;
}

/// Runs all at once and names those that failed; what they said is on standard error.
async fn run(cases: &[Case], stores: Vec<SqlStore>) {
    let running = cases
        .iter()
        .zip(stores)
        .map(|(&(name, case), store)| async move { (name, tokio::spawn(case(Arc::new(store))).await) });
    let ended = join_all(running).await;
    let failed: Vec<_> = ended
        .into_iter()
        .filter(|(_, end)| end.is_err())
        .map(|(name, _)| name)
        .collect();
    assert!(failed.is_empty(), "these cases failed: {failed:?}");
}
