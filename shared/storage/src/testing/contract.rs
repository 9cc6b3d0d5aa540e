//! The contract of [`BlobStore`], one function a clause. [`crate::blob_store_contract`] makes a test of each for one backend.
//!
//! Every function expects a store of its own that is empty.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;

use crate::{BlobMeta, BlobStore, Created, Error, Key, list_all, sha256, sha256_file};

const RACES: usize = 100;
const RACES_AT_A_TIME: usize = 50;
const WRITERS: usize = 16;
const LARGE_BYTES: usize = 20 * 1024 * 1024 + 7;
const LARGEST_PIECE_BYTES: usize = 1024 * 1024;

/// Names that a path, a URL or a signature could mangle, and pairs where one is a folder of the other.
const AWKWARD_KEYS: [&str; 20] = [
    "a",
    "a/b",
    "a/b/c",
    "a-b",
    "a.blob",
    "a.blob/b",
    "a.blob%/b",
    ".hidden",
    "%.hidden",
    ".incoming/x",
    "with space/and+plus",
    "percent%2Fslash",
    "question?mark=1&and#hash",
    "quote'\"<>|*:;",
    "ünïcödé/日本語",
    "~tilde/$dollar/@at/,comma",
    "date=2026-11-23/hour=07/r0-00000000000000000001.parquet",
    "...",
    "a/...",
    "Case/case",
];

fn key(text: &str) -> Key {
    Key::parse(text).expect("a valid key")
}

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn keys(metas: &[BlobMeta]) -> Vec<&str> {
    metas.iter().map(|meta| meta.key.as_str()).collect()
}

async fn create_all(store: &dyn BlobStore, names: &[&str]) {
    for name in names {
        assert_eq!(
            store.create(&key(name), body(name)).await.expect("create"),
            Created::Yes,
            "{name}"
        );
    }
}

/// Any bytes come back as they went in, by `create` and by `put`.
pub async fn bytes_come_back_as_they_went_in(store: Arc<dyn BlobStore>) {
    let every_byte: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for (number, bytes) in [Vec::new(), vec![0], b"text\r\n".to_vec(), every_byte]
        .into_iter()
        .enumerate()
    {
        let bytes = Bytes::from(bytes);
        let (created, put) = (key(&format!("created/{number}")), key(&format!("put/{number}")));
        assert_eq!(
            store.create(&created, bytes.clone()).await.expect("create"),
            Created::Yes
        );
        store.put(&put, bytes.clone()).await.expect("put");
        assert_eq!(store.get(&created).await.expect("get"), bytes);
        assert_eq!(store.get(&put).await.expect("get"), bytes);
    }
}

/// What is not there is [`Error::NotFound`] with its key, and no file appears for it.
pub async fn a_missing_object_is_not_found(store: Arc<dyn BlobStore>) {
    store.put(&key("there/too"), body("x")).await.expect("put");
    let directory = tempfile::tempdir().expect("temporary directory");
    let target = directory.path().join("target");
    for name in ["nothing", "there", "there/too/deep", "there/to"] {
        let missing = key(name);
        assert!(
            matches!(store.get(&missing).await, Err(Error::NotFound { key }) if key == missing),
            "{name}"
        );
        assert!(
            matches!(store.get_to_file(&missing, &target).await, Err(Error::NotFound { key }) if key == missing),
            "{name}"
        );
        assert_eq!(store.head(&missing).await.expect("head"), None, "{name}");
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("listing").count(),
        0,
        "a failed download leaves nothing behind"
    );
}

/// The second create changes nothing and says so, whatever its body.
pub async fn create_never_replaces(store: Arc<dyn BlobStore>) {
    let name = key("champion/churn/1.json");
    assert_eq!(store.create(&name, body("first")).await.expect("create"), Created::Yes);
    for second in ["second", "first", ""] {
        assert_eq!(
            store.create(&name, body(second)).await.expect("create"),
            Created::AlreadyExists
        );
    }
    assert_eq!(store.get(&name).await.expect("get"), body("first"));
    store.put(&name, body("replaced")).await.expect("put");
    assert_eq!(
        store.create(&name, body("again")).await.expect("create"),
        Created::AlreadyExists
    );
    store.delete(&name).await.expect("delete");
    assert_eq!(store.create(&name, body("anew")).await.expect("create"), Created::Yes);
    assert_eq!(store.get(&name).await.expect("get"), body("anew"));
}

/// Of 16 writers of one key exactly one wins, its bytes are the object, and the others are told; a hundred times over, fifty races at a time.
pub async fn a_race_to_create_has_one_winner(store: Arc<dyn BlobStore>) {
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..RACES_AT_A_TIME {
        let store = Arc::clone(&store);
        lanes.spawn(async move {
            for round in (lane..RACES).step_by(RACES_AT_A_TIME) {
                race(&store, round).await;
            }
        });
    }
    lanes.join_all().await;
}

async fn race(store: &Arc<dyn BlobStore>, round: usize) {
    let name = key(&format!("race/{round:03}"));
    let barrier = Arc::new(tokio::sync::Barrier::new(WRITERS));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, name, barrier) = (Arc::clone(store), name.clone(), Arc::clone(&barrier));
        writers.spawn(async move {
            let body = Bytes::from(format!("writer {writer}"));
            barrier.wait().await;
            (body.clone(), store.create(&name, body).await.expect("create"))
        });
    }
    let outcomes = writers.join_all().await;
    let winners: Vec<Bytes> = outcomes
        .into_iter()
        .filter(|(_, created)| *created == Created::Yes)
        .map(|(body, _)| body)
        .collect();
    assert_eq!(winners.len(), 1, "round {round} was won by {winners:?}");
    assert_eq!(winners.first(), Some(&store.get(&name).await.expect("get")));
}

/// `put` replaces; a reader beside it sees the old body or the new one and nothing between.
pub async fn put_replaces_in_one_step(store: Arc<dyn BlobStore>) {
    let name = key("report/latest");
    let bodies: Vec<Bytes> = (0..20_u8)
        .map(|round| Bytes::from(vec![round; 50_000 + usize::from(round)]))
        .collect();
    store
        .put(&name, bodies.first().cloned().unwrap_or_default())
        .await
        .expect("put");
    let (done, watched) = tokio::sync::watch::channel(false);
    let reader = tokio::spawn({
        let (store, name) = (Arc::clone(&store), name.clone());
        async move {
            while !*watched.borrow() {
                let seen = store.get(&name).await.expect("get");
                let first = seen.first().copied().expect("never empty");
                assert!(seen.iter().all(|byte| *byte == first), "a mixture of two bodies");
                assert_eq!(seen.len(), 50_000 + usize::from(first), "a part of a body");
            }
        }
    });
    for body in &bodies {
        store.put(&name, body.clone()).await.expect("put");
    }
    done.send_replace(true);
    reader.await.expect("reader");
    assert_eq!(Some(&store.get(&name).await.expect("get")), bodies.last());
}

/// Listings are in the order of the keys' bytes, hold sizes, and end at segment borders.
pub async fn a_listing_is_in_key_order(store: Arc<dyn BlobStore>) {
    let names = [
        "b", "a/2", "a/10", "a/1", "a/1/x", "a-b/1", "a0/1", "ab/1", "a/é", "a/z", "A/1",
    ];
    create_all(&*store, &names).await;
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(keys(&list_all(&*store, "").await.expect("list")), sorted);
    for prefix in ["a", "a/"] {
        let below = list_all(&*store, prefix).await.expect("list");
        assert_eq!(keys(&below), ["a/1", "a/1/x", "a/10", "a/2", "a/z", "a/é"], "{prefix}");
        assert!(
            below
                .iter()
                .all(|meta| meta.size_bytes == meta.key.as_str().len() as u64)
        );
    }
    assert_eq!(keys(&list_all(&*store, "a/1").await.expect("list")), ["a/1/x"]);
    assert_eq!(keys(&list_all(&*store, "nothing/here").await.expect("list")), [""; 0]);
    assert_eq!(keys(&list_all(&*store, "b").await.expect("list")), [""; 0]);
}

/// Pages of any size, begun after any key (there or not), make up the whole.
pub async fn pages_make_up_the_whole(store: Arc<dyn BlobStore>) {
    let names: Vec<String> = (0..23)
        .map(|number| format!("log/{}/{number:02}", number % 3))
        .chain(["log/10".into()])
        .collect();
    create_all(&*store, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    create_all(&*store, &["kog/1", "mog/1"]).await;
    let sorted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let sorted: Vec<&str> = sorted.into_iter().collect();
    for size in [1, 2, 7, 24, 100] {
        let mut all: Vec<BlobMeta> = Vec::new();
        loop {
            let after = all.last().map(|meta| meta.key.clone());
            let page = store.list("log", after.as_ref(), size).await.expect("list");
            assert!(page.len() <= size);
            let last = page.len() < size;
            all.extend(page);
            if last {
                break;
            }
        }
        assert_eq!(keys(&all), sorted, "pages of {size}");
    }
    assert!(store.list("log", None, 0).await.expect("list").is_empty());
    for after in ["log/10", "log/1/04", "log/1/05", "log/1/zzz", "kog", "zog", "log/2/20"] {
        let expected: Vec<&str> = sorted.iter().copied().filter(|name| *name > after).collect();
        let found = store.list("log", Some(&key(after)), 100).await.expect("list");
        assert_eq!(keys(&found), expected, "after {after}");
    }
}

/// More objects than one page of any backend holds are listed all.
pub async fn a_listing_is_longer_than_a_page(store: Arc<dyn BlobStore>) {
    const OBJECTS: usize = 1_203;
    let mut writers = tokio::task::JoinSet::new();
    for lane in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for number in (lane..OBJECTS).step_by(8) {
                let created = store
                    .create(&key(&format!("many/{:02}/{number:05}", number % 7)), body("x"))
                    .await;
                assert_eq!(created.expect("create"), Created::Yes);
            }
        });
    }
    writers.join_all().await;
    let one_call = store.list("many", None, OBJECTS + 10).await.expect("list");
    assert_eq!(one_call.len(), OBJECTS);
    assert!(one_call.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(list_all(&*store, "").await.expect("list"), one_call);
}

/// Names a path or URL could mangle are kept apart, `a` beside `a/b` among them; removing one leaves the others.
pub async fn awkward_keys_are_kept_apart(store: Arc<dyn BlobStore>) {
    create_all(&*store, &AWKWARD_KEYS).await;
    let mut left: BTreeSet<&str> = AWKWARD_KEYS.into_iter().collect();
    for name in AWKWARD_KEYS {
        assert_eq!(
            keys(&list_all(&*store, "").await.expect("list")),
            Vec::from_iter(left.iter().copied()),
            "before {name} goes"
        );
        assert_eq!(store.get(&key(name)).await.expect("get"), body(name));
        assert_eq!(
            store.head(&key(name)).await.expect("head").expect("there").size_bytes,
            name.len() as u64,
            "{name}"
        );
        store.delete(&key(name)).await.expect("delete");
        left.remove(name);
        assert!(
            matches!(store.get(&key(name)).await, Err(Error::NotFound { .. })),
            "{name}"
        );
    }
    assert!(list_all(&*store, "").await.expect("list").is_empty());
}

/// The longest segment and the longest key are taken.
pub async fn the_longest_keys_are_kept(store: Arc<dyn BlobStore>) {
    let segment = "s".repeat(crate::MAX_SEGMENT_BYTES);
    // 900 bytes: a store below a prefix in its bucket has less than the whole length to give.
    let deep = "d/".repeat(450) + "e";
    for name in [segment.as_str(), deep.as_str()] {
        create_all(&*store, &[name]).await;
        assert_eq!(store.get(&key(name)).await.expect("get"), body(name));
    }
    assert_eq!(list_all(&*store, "").await.expect("list").len(), 2);
}

/// A prefix that is none is refused. (Keys that are none cannot be written down: [`Key`] has no other way in than its check.)
pub async fn bad_prefixes_are_refused(store: Arc<dyn BlobStore>) {
    store.put(&key("a/b"), body("x")).await.expect("put");
    for prefix in ["/", "/a", "a//", "..", "a/..", "../a", "a/./b", "a\\b", "a\nb", "\0"] {
        assert!(
            matches!(store.list(prefix, None, 10).await, Err(Error::InvalidKey(_))),
            "{prefix:?}"
        );
        assert!(Key::parse(prefix).is_err(), "{prefix:?}");
    }
}

/// Deleting is idempotent, and deleting a folder's name does not touch what is below.
pub async fn delete_may_be_repeated(store: Arc<dyn BlobStore>) {
    create_all(&*store, &["a/b", "a/b/c"]).await;
    for name in ["a/b", "a/b", "a", "never/there"] {
        store.delete(&key(name)).await.expect("delete");
    }
    assert_eq!(keys(&list_all(&*store, "").await.expect("list")), ["a/b/c"]);
}

/// Sizes by `head` and `list` agree; the time is one.
pub async fn head_tells_what_is_stored(store: Arc<dyn BlobStore>) {
    let name = key("models/churn/1/model.hfm");
    store.put(&name, Bytes::from(vec![1; 12_345])).await.expect("put");
    let head = store.head(&name).await.expect("head").expect("there");
    assert_eq!((&head.key, head.size_bytes), (&name, 12_345));
    assert!(head.modified > jiff::Timestamp::UNIX_EPOCH);
    let listed = list_all(&*store, "models").await.expect("list");
    assert_eq!(
        listed
            .iter()
            .map(|meta| (&meta.key, meta.size_bytes))
            .collect::<Vec<_>>(),
        [(&name, 12_345)]
    );
}

/// A body larger than any buffer goes in from a file and out to a file; create-only holds here too.
pub async fn a_large_object_goes_by_file(store: Arc<dyn BlobStore>) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (source, target) = (directory.path().join("source"), directory.path().join("target"));
    let bytes: Vec<u8> = (0..LARGE_BYTES as u64)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes())
        .map(|[byte, ..]| byte)
        .collect();
    std::fs::write(&source, &bytes).expect("write");
    let name = key("datasets/large.parquet");
    assert_eq!(
        store.create_from_file(&name, &source).await.expect("create"),
        Created::Yes
    );
    std::fs::write(&target, "what was there before").expect("write");
    assert_eq!(
        store.get_to_file(&name, &target).await.expect("get"),
        LARGE_BYTES as u64
    );
    assert_eq!(sha256_file(&target).await.expect("digest"), sha256(&bytes));
    assert_eq!(
        store.head(&name).await.expect("head").expect("there").size_bytes,
        LARGE_BYTES as u64
    );
    assert_eq!(sha256(store.get(&name).await.expect("get")), sha256(&bytes));

    std::fs::write(&source, "another").expect("write");
    assert_eq!(
        store.create_from_file(&name, &source).await.expect("create"),
        Created::AlreadyExists
    );
    assert_eq!(
        store.head(&name).await.expect("head").expect("there").size_bytes,
        LARGE_BYTES as u64
    );

    std::fs::write(&source, "").expect("write");
    assert_eq!(
        store.create_from_file(&key("empty"), &source).await.expect("create"),
        Created::Yes
    );
    assert_eq!(store.get_to_file(&key("empty"), &target).await.expect("get"), 0);
    assert_eq!(std::fs::read(&target).expect("read"), b"");
}

/// A body is read piece by piece, whole and in order; the pieces are short, and what is replaced or removed meanwhile is read to its end or fails.
pub async fn a_body_is_read_in_pieces(store: Arc<dyn BlobStore>) {
    let bytes: Vec<u8> = (0..LARGE_BYTES as u64)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 11).to_le_bytes())
        .map(|[byte, ..]| byte)
        .collect();
    let name = key("artifacts/large");
    store.put(&name, Bytes::from(bytes.clone())).await.expect("put");
    let mut body = store.open(&name).await.expect("open");
    assert_eq!(body.size_bytes, LARGE_BYTES as u64);
    let mut read = Vec::new();
    while let Some(chunk) = body.chunks.try_next().await.expect("chunk") {
        assert!(
            !chunk.is_empty() && chunk.len() <= LARGEST_PIECE_BYTES,
            "{}",
            chunk.len()
        );
        read.extend_from_slice(&chunk);
    }
    assert_eq!(sha256(&read), sha256(&bytes));

    store.put(&key("empty"), Bytes::new()).await.expect("put");
    let mut empty = store.open(&key("empty")).await.expect("open");
    assert_eq!(empty.size_bytes, 0);
    assert!(empty.chunks.try_next().await.expect("end").is_none());

    for missing in ["nothing", "artifacts", "artifacts/large/deep"] {
        let opened = store.open(&key(missing)).await;
        assert!(
            matches!(opened, Err(Error::NotFound { key: named }) if named == key(missing)),
            "{missing}"
        );
    }

    let opened = store.open(&name).await.expect("open");
    store.put(&name, body_of_sevens()).await.expect("put");
    if let Ok(chunks) = opened.chunks.try_collect::<Vec<_>>().await {
        assert_eq!(sha256(chunks.concat()), sha256(&bytes), "never a mixture");
    }
}

fn body_of_sevens() -> Bytes {
    Bytes::from(vec![7; LARGE_BYTES])
}

/// A file that is not there creates nothing and is no missing *object*.
pub async fn a_missing_source_file_creates_nothing(store: Arc<dyn BlobStore>) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let outcome = store
        .create_from_file(&key("a"), &directory.path().join("missing"))
        .await;
    assert!(matches!(outcome, Err(Error::Io { .. })), "{outcome:?}");
    assert_eq!(store.head(&key("a")).await.expect("head"), None);
    assert!(
        store
            .get_to_file(&key("a"), &directory.path().join("no/such/directory"))
            .await
            .is_err()
    );
}

/// An object may come above others that are there, pages keep the order of bytes where a folder's name and its siblings' part, and a listing
/// may begin after a folder's name. Servers that keep a tree do not keep this clause: [`crate::blob_store_contract`]'s form for them leaves it out.
pub async fn folders_are_only_names(store: Arc<dyn BlobStore>) {
    create_all(&*store, &["a/b/c", "a/b", "a", "a-b/c", "a-b", "a.b", "ab"]).await;
    let sorted = ["a", "a-b", "a-b/c", "a.b", "a/b", "a/b/c", "ab"];
    for size in [1, 2, 3, 100] {
        let mut all: Vec<BlobMeta> = Vec::new();
        loop {
            let after = all.last().map(|meta| meta.key.clone());
            let page = store.list("", after.as_ref(), size).await.expect("list");
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        assert_eq!(keys(&all), sorted, "pages of {size}");
    }
    for after in ["a-", "a", "a/b", "a/b/0", "a/b/d", "a0"] {
        let expected: Vec<&str> = sorted.into_iter().filter(|name| *name > after).collect();
        assert_eq!(
            keys(&store.list("", Some(&key(after)), 100).await.expect("list")),
            expected,
            "after {after}"
        );
    }
    store.delete(&key("a/b/c")).await.expect("delete");
    store.delete(&key("a/b")).await.expect("delete");
    assert_eq!(
        store.create(&key("a/b"), body("anew")).await.expect("create"),
        Created::Yes
    );
}

/// One test for each clause of the contract, on what `$open` gives: an async function without arguments that answers a pair of an empty
/// `Arc<dyn BlobStore>` and a guard (kept until the clause is done).
///
/// `blob_store_contract!(open, on a server that keeps a tree)` leaves out [`folders_are_only_names`](crate::testing::contract::folders_are_only_names).
#[macro_export]
macro_rules! blob_store_contract {
    ($open:path) => {
        $crate::blob_store_contract!($open, on a server that keeps a tree);
        $crate::blob_store_contract!(@tests $open: folders_are_only_names);
    };
    ($open:path, on a server that keeps a tree) => {
        $crate::blob_store_contract!(@tests $open:
            bytes_come_back_as_they_went_in, a_missing_object_is_not_found, create_never_replaces, a_race_to_create_has_one_winner,
            put_replaces_in_one_step, a_listing_is_in_key_order, pages_make_up_the_whole, a_listing_is_longer_than_a_page,
            awkward_keys_are_kept_apart, the_longest_keys_are_kept, bad_prefixes_are_refused, delete_may_be_repeated,
            head_tells_what_is_stored, a_large_object_goes_by_file, a_body_is_read_in_pieces, a_missing_source_file_creates_nothing,
        );
    };
    (@tests $open:path: $($clause:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $clause() {
                let (store, _guard) = $open().await;
                $crate::testing::contract::$clause(store).await;
            }
        )+
    };
}
