//! Damaged files: an error, or a model that scores to finite numbers; never a panic.

use std::sync::LazyLock;

use holdfast_domain::Schema;
use holdfast_interchange::{BindOptions, Rounds, bind, import};
use proptest::prelude::*;

use crate::support::{NUMBERS, bound_model, bytes, owned, rows};

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    [
        "xgboost-partition.json",
        "xgboost-partition.ubj",
        "xgboost-1.7-categories.json",
        "xgboost-dart.ubj",
        "xgboost-unnamed.ubj",
        "lightgbm-categories.txt",
        "lightgbm-zero-as-missing.txt",
        "lightgbm-ordered.txt",
    ]
    .iter()
    .map(|file| bytes(&format!("models/{file}")))
    .collect()
});

/// Takes the file as far as it goes.
fn run(bytes: &[u8]) -> Result<(), TestCaseError> {
    let imported = match import(bytes, Rounds::Best) {
        Ok(imported) => imported,
        Err(error) => {
            prop_assert!(!error.to_string().is_empty());
            return Ok(());
        }
    };
    let options = BindOptions {
        columns: if imported.columns.len() == NUMBERS.len() {
            owned(&NUMBERS)
        } else {
            Vec::new()
        },
        ..BindOptions::default()
    };
    if let Ok(bound) = bind(&imported, &options, Schema::embedded()) {
        let model = bound_model(bound);
        for features in rows().iter().take(4) {
            prop_assert!((0.0..=1.0).contains(&model.score(features)));
            let explanation = model.explain(features);
            prop_assert!(explanation.contributions.iter().all(|part| part.is_finite()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn a_file_that_was_cut_off_is_refused(which in 0..FILES.len(), length in any::<prop::sample::Index>()) {
        let file = &FILES[which];
        let cut = &file[..length.index(file.len())];
        // LightGBM's Python package adds a line of its own behind what LightGBM writes.
        let is_whole = cut.windows(17).any(|window| window == b"end of parameters");
        prop_assert!(import(cut, Rounds::Best).is_err() || is_whole);
        run(cut)?;
    }

    #[test]
    fn flipped_bytes_never_panic(which in 0..FILES.len(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut damaged = FILES[which].clone();
        for (at, value) in &flips {
            let at = at.index(damaged.len());
            damaged[at] = *value;
        }
        run(&damaged)?;
    }

    /// Digits for digits: the file still reads, and says something else.
    #[test]
    fn other_numbers_never_panic(which in 0..FILES.len(), flips in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..12)) {
        let mut damaged = FILES[which].clone();
        let digits: Vec<usize> = (0..damaged.len()).filter(|at| damaged[*at].is_ascii_digit()).collect();
        for (at, digit) in &flips {
            damaged[digits[at.index(digits.len())]] = *digit;
        }
        run(&damaged)?;
    }

    #[test]
    fn inserted_and_lost_bytes_never_panic(which in 0..FILES.len(), at in any::<prop::sample::Index>(), extra in prop::collection::vec(any::<u8>(), 1..9), lost in any::<bool>()) {
        let mut damaged = FILES[which].clone();
        let at = at.index(damaged.len());
        if lost {
            damaged.drain(at..(at + extra.len()).min(damaged.len()));
        } else {
            damaged.splice(at..at, extra);
        }
        run(&damaged)?;
    }

    #[test]
    fn noise_is_refused(head in prop::sample::select(vec![&b"{L"[..], b"{\"", b"tree\n", b"{i\x07learner{", b""]), noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [head, &noise].concat();
        prop_assert!(import(&bytes, Rounds::Best).is_err());
    }
}

#[test]
fn memory_follows_the_bytes_there_are_and_not_the_numbers_in_them() {
    let claims = [
        // A billion nodes, a billion leaves, a set of categories that ends far away.
        (
            "xgboost-partition.json",
            "\"num_nodes\":\"",
            "\"num_nodes\":\"1000000000",
        ),
        ("lightgbm-categories.txt", "num_leaves=", "num_leaves=1000000000"),
        (
            "lightgbm-categories.txt",
            "cat_boundaries=0 ",
            "cat_boundaries=0 999999999999 ",
        ),
        ("lightgbm-categories.txt", "num_cat=", "num_cat=18446744073709551615"),
    ];
    for (file, from, to) in claims {
        let text = String::from_utf8(bytes(&format!("models/{file}"))).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        import(text.replacen(from, to, 1).as_bytes(), Rounds::Best).unwrap_err();
    }
}
