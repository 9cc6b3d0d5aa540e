//! What is encoded reads back; the same rows give the same bytes; damage is an error.

use bytes::Bytes;
use holdfast_domain::{Digest, Feature, UNKNOWN_CATEGORY};
use holdfast_records::{FormatError, outcome, prediction, shadow, snapshot};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{
    any_customer, any_outcome, any_prediction, customer, sample_customers, sample_outcomes, sample_predictions,
    sample_shadows, schema,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn customers_read_back(customers in vec(any_customer(), 0..20)) {
        let bytes = snapshot::encode(&customers, schema()).unwrap();
        prop_assert_eq!(&bytes, &snapshot::encode(&customers, schema()).unwrap());
        let read = snapshot::decode(bytes, schema()).unwrap();
        prop_assert_eq!(&read, &customers);
        // Equality of vectors passes over the sign of zero; scoring may not.
        for (read, written) in read.iter().zip(&customers) {
            for feature in Feature::ALL {
                let bits = |value: Option<f64>| value.map(f64::to_bits);
                prop_assert_eq!(bits(read.features.get(feature)), bits(written.features.get(feature)));
            }
        }
    }

    #[test]
    fn predictions_read_back(records in vec(any_prediction(), 0..20)) {
        let bytes = prediction::encode(&records, schema()).unwrap();
        prop_assert_eq!(&bytes, &prediction::encode(&records, schema()).unwrap());
        prop_assert_eq!(prediction::decode(bytes, schema()).unwrap(), records);
    }

    #[test]
    fn outcomes_read_back(records in vec(any_outcome(), 0..40)) {
        let bytes = outcome::encode(&records).unwrap();
        prop_assert_eq!(&bytes, &outcome::encode(&records).unwrap());
        prop_assert_eq!(outcome::decode(bytes).unwrap(), records);
    }

    #[test]
    fn any_bytes_at_all_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        let mut framed = b"PAR1".to_vec();
        framed.extend_from_slice(&bytes);
        framed.extend_from_slice(b"PAR1");
        for bytes in [Bytes::from(bytes), Bytes::from(framed)] {
            prop_assert!(snapshot::decode(bytes.clone(), schema()).is_err());
            prop_assert!(prediction::decode(bytes.clone(), schema()).is_err());
            prop_assert!(outcome::decode(bytes.clone()).is_err());
            prop_assert!(shadow::decode(bytes).is_err());
        }
    }
}

#[test]
fn more_rows_than_a_row_group_read_back_in_their_order() {
    let customers: Vec<_> = (0..70_000).map(|place| customer(place, place % 3 == 0)).collect();
    let bytes = snapshot::encode(&customers, schema()).unwrap();
    assert_eq!(
        Digest::of(&bytes),
        Digest::of(&snapshot::encode(&customers, schema()).unwrap())
    );
    assert!(snapshot::decode(bytes, schema()).unwrap() == customers);
}

#[test]
fn a_segment_of_many_predictions_reads_back_in_its_order() {
    let samples = sample_predictions();
    let records: Vec<_> = (0..40_000)
        .map(|row| prediction::PredictionRecord {
            row_index: row,
            ..samples[row as usize % samples.len()].clone()
        })
        .collect();
    let bytes = prediction::encode(&records, schema()).unwrap();
    assert_eq!(
        Digest::of(&bytes),
        Digest::of(&prediction::encode(&records, schema()).unwrap())
    );
    assert!(prediction::decode(bytes, schema()).unwrap() == records);
}

#[test]
fn the_order_of_rows_is_a_part_of_the_digest() {
    let customers = sample_customers();
    let reversed: Vec<_> = customers.iter().rev().copied().collect();
    assert_ne!(
        snapshot::encode(&customers, schema()).unwrap(),
        snapshot::encode(&reversed, schema()).unwrap()
    );
}

#[test]
fn damage_anywhere_is_found_in_every_table() {
    let tables = [
        snapshot::encode(&sample_customers(), schema()).unwrap(),
        prediction::encode(&sample_predictions(), schema()).unwrap(),
        outcome::encode(&sample_outcomes()).unwrap(),
        shadow::encode(&sample_shadows()).unwrap(),
    ];
    for (kind, bytes) in tables.into_iter().enumerate() {
        let refused = |bytes: Bytes| match kind {
            0 => snapshot::decode(bytes, schema()).is_err(),
            1 => prediction::decode(bytes, schema()).is_err(),
            3 => shadow::decode(bytes).is_err(),
            _ => outcome::decode(bytes).is_err(),
        };
        assert!(!refused(bytes.clone()));
        for position in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[position] ^= 0x20;
            assert!(refused(flipped.into()), "table {kind}, byte {position}");
        }
        for length in (0..bytes.len()).step_by(7) {
            assert!(refused(bytes.slice(..length)), "table {kind} cut to {length}");
        }
    }
}

#[test]
fn a_table_of_another_kind_is_named() {
    let bytes = outcome::encode(&sample_outcomes()).unwrap();
    let error = snapshot::decode(bytes, schema()).unwrap_err();
    assert_eq!(
        error,
        FormatError::WrongKind {
            expected: "snapshot",
            found: "outcomes".to_owned()
        }
    );
}

#[test]
fn a_code_without_a_category_cannot_be_stored() {
    for code in [99.0, 0.5, -2.0, f64::INFINITY] {
        let mut customers = sample_customers();
        customers[0].features.set(Feature::Gender, code);
        let error = snapshot::encode(&customers, schema()).unwrap_err();
        assert!(
            matches!(&error, FormatError::Unstorable(why) if why.contains("Gender")),
            "{error}"
        );
    }
}

#[test]
fn an_unlisted_category_keeps_its_text_when_it_is_known() {
    let records = sample_predictions();
    let read = prediction::decode(prediction::encode(&records, schema()).unwrap(), schema()).unwrap();
    assert_eq!(read[0].unlisted[0].text, "Obsidian");
    assert_eq!(read[2].features.get(Feature::Gender), Some(UNKNOWN_CATEGORY));
    assert!(read[2].unlisted.is_empty());
}
