//! Keys hold their rules for any text.

use std::path::{Component, Path};

use holdfast_storage::{
    BlobStore, DirectoryStore, Key, MAX_KEY_BYTES, MAX_SEGMENT_BYTES, MemoryStore, Prefix, list_all,
};
use proptest::prelude::*;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ab./\\\\%\u{0}-\u{1f}é]{0,20}",
        "(\\.\\./)*[a-z/]{0,8}"
    ]
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        "[ab.%-]{1,3}(/[ab.%-]{1,3}){0,3}",
        "[^/\\\\\\p{Cc}]{1,8}(/[^/\\\\\\p{Cc}]{1,8}){0,2}"
    ]
    .prop_filter_map("no key", |text| Key::parse(text).ok())
}

proptest! {
    #[test]
    fn what_is_taken_keeps_every_rule(text in any_text()) {
        if let Ok(key) = Key::parse(text.clone()) {
            prop_assert_eq!(key.as_str(), text.as_str());
            prop_assert!(!text.is_empty() && text.len() <= MAX_KEY_BYTES);
            prop_assert!(text.chars().all(|character| !character.is_control() && character != '\\'));
            for segment in text.split('/') {
                prop_assert!(!matches!(segment, "" | "." | "..") && segment.len() <= MAX_SEGMENT_BYTES);
            }
            // Seen as a path it stays below where it starts.
            prop_assert!(Path::new(&text).components().all(|component| matches!(component, Component::Normal(_))));
        }
    }

    #[test]
    fn a_key_goes_through_text_and_json_unchanged(key in any_key()) {
        prop_assert_eq!(&key.to_string().parse::<Key>().unwrap(), &key);
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Key>(&json).unwrap(), &key);
    }

    #[test]
    fn json_is_held_to_the_same_rules(text in any_text()) {
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(serde_json::from_str::<Key>(&json).is_ok(), Key::parse(text).is_ok());
    }

    #[test]
    fn a_prefix_holds_exactly_what_is_joined_to_it(folder in any_key(), below in any_key(), other in any_key()) {
        let prefix = Prefix::parse(folder.as_str()).unwrap();
        prop_assert!(prefix.holds(folder.join(below.as_str()).unwrap().as_str()));
        prop_assert!(!prefix.holds(folder.as_str()));
        prop_assert_eq!(prefix.holds(other.as_str()), other.as_str().starts_with(&format!("{folder}/")));
    }
}

proptest! {
    // Each case writes and syncs files.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any set of keys is kept in a directory as in memory, and listed from any key on in the same order.
    #[test]
    fn a_directory_agrees_with_memory(keys in proptest::collection::vec(any_key(), 1..20), after in any_key(), folder in any_key(), limit in 0_usize..8) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let place = tempfile::tempdir().unwrap();
            let (directory, memory) = (DirectoryStore::open(place.path()).await.unwrap(), MemoryStore::new());
            for key in &keys {
                let body = bytes::Bytes::from(key.to_string());
                prop_assert_eq!(directory.create(key, body.clone()).await.unwrap(), memory.create(key, body).await.unwrap());
            }
            let names = |metas: Vec<holdfast_storage::BlobMeta>| metas.into_iter().map(|meta| (meta.key, meta.size_bytes)).collect::<Vec<_>>();
            let mut folders = vec![String::new(), folder.to_string()];
            folders.extend(keys.iter().filter_map(|key| key.as_str().rsplit_once('/').map(|(folder, _)| folder.to_owned())));
            for folder in &folders {
                prop_assert_eq!(names(list_all(&directory, folder).await.unwrap()), names(list_all(&memory, folder).await.unwrap()));
                for after in std::iter::once(&after).chain(&keys) {
                    let (found, expected) =
                        (directory.list(folder, Some(after), limit).await.unwrap(), memory.list(folder, Some(after), limit).await.unwrap());
                    prop_assert_eq!(names(found), names(expected));
                }
            }
            for key in &keys {
                prop_assert_eq!(directory.get(key).await.unwrap(), key.as_str().as_bytes());
            }
            Ok(())
        })?;
    }
}
