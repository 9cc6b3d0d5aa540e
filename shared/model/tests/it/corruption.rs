//! Damaged artefacts are refused, forged ones never bring the program down.

use std::sync::LazyLock;

use holdfast_domain::Digest;
use holdfast_model::{DecodeError, Model, UnverifiedArtifact};
use proptest::prelude::*;

use crate::support::{Kind, artifact, draft_of, rows, schema};

/// One of every kind, and one whose trees are too deep for the padded form.
static ARTIFACTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let deep = draft_of(Kind::Forest, 4, 11, 17)
        .encode(&rows(8, 17), schema())
        .unwrap();
    Kind::ALL
        .into_iter()
        .map(|kind| artifact(kind, 17))
        .chain([deep])
        .collect()
});

/// The place of the payload inside the envelope: after the version, the tag and the length.
fn payload(artifact: &[u8]) -> &[u8] {
    let digits = artifact[3..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    &artifact[3 + digits..artifact.len() - 34]
}

/// An envelope around any payload, with the right digest.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x08, 0x01, 0x12];
    let mut length = payload.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(payload);
    bytes.extend([0x1a, 32]);
    bytes.extend_from_slice(Digest::of(payload).as_bytes());
    bytes
}

#[test]
fn sealing_here_is_sealing_there() {
    for artifact in ARTIFACTS.iter() {
        assert_eq!(&sealed(payload(artifact)), artifact);
    }
}

/// Not every byte of the longer artefacts, to keep the tests quick; odd, so that all bits of a byte have their turn.
const STRIDE: usize = 29;

#[test]
fn every_truncation_is_refused() {
    for (index, artifact) in ARTIFACTS.iter().enumerate() {
        let stride = if index == 0 { 1 } else { STRIDE };
        for length in (0..artifact.len()).step_by(stride) {
            let error = Model::decode(&artifact[..length], schema()).unwrap_err();
            assert!(!error.to_string().is_empty(), "{length} of {} bytes", artifact.len());
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    for artifact in ARTIFACTS.iter() {
        let mut damaged = artifact.clone();
        for at in (0..artifact.len()).step_by(STRIDE) {
            damaged[at] ^= 1 << (at % 8);
            let error = Model::decode(&damaged, schema()).unwrap_err();
            assert!(!error.to_string().is_empty(), "byte {at} of {}", artifact.len());
            damaged[at] = artifact[at];
        }
    }
}

#[test]
fn every_flipped_bit_of_the_envelope_is_refused() {
    let artifact = &ARTIFACTS[1];
    let envelope = (0..12).chain(artifact.len() - 40..artifact.len());
    for at in envelope {
        for bit in 0..8 {
            let mut damaged = artifact.clone();
            damaged[at] ^= 1 << bit;
            assert!(Model::decode(&damaged, schema()).is_err(), "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn flipped_bits_are_refused_with_a_reason(which in 0..ARTIFACTS.len(), flips in prop::collection::vec(any::<prop::sample::Index>(), 1..6), bit in 0_u8..8) {
        let artifact = &ARTIFACTS[which];
        let mut damaged = artifact.clone();
        for flip in &flips {
            damaged[flip.index(artifact.len())] ^= 1 << bit;
        }
        prop_assume!(&damaged != artifact);
        let error = Model::decode(&damaged, schema()).unwrap_err();
        prop_assert!(!error.to_string().is_empty());
        prop_assert!(!matches!(error, DecodeError::Invalid(_)), "the digest should have caught it: {}", error);
    }

    #[test]
    fn bytes_that_were_inserted_or_cut_out_are_refused(which in 0..ARTIFACTS.len(), at in any::<prop::sample::Index>(), extra in prop::collection::vec(any::<u8>(), 1..9), cut in any::<bool>()) {
        let artifact = &ARTIFACTS[which];
        let at = at.index(artifact.len());
        let mut damaged = artifact.clone();
        if cut {
            damaged.drain(at..(at + extra.len()).min(artifact.len()));
        } else {
            damaged.splice(at..at, extra);
        }
        prop_assume!(&damaged != artifact);
        prop_assert!(Model::decode(&damaged, schema()).is_err());
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Model::decode(&noise, schema()).is_err());
        prop_assert!(Model::decode(&sealed(&noise), schema()).is_err());
    }

    /// Whoever seals a damaged payload anew gets past the digest: the checks behind it must hold on their own.
    #[test]
    fn a_forged_payload_is_refused_or_harmless(which in 0..ARTIFACTS.len(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut forged = payload(&ARTIFACTS[which]).to_vec();
        for (at, value) in &flips {
            let at = at.index(forged.len());
            forged[at] = *value;
        }
        if let Ok(model) = Model::decode(&sealed(&forged), schema()) {
            let rows = rows(25, 1);
            let mut scores = vec![f64::NAN; rows.len()];
            model.score_batch(&rows, &mut scores);
            for (features, score) in rows.iter().zip(scores) {
                prop_assert!((0.0..=1.0).contains(&score));
                prop_assert_eq!(score.to_bits(), model.score(features).to_bits());
                let explanation = model.explain(features);
                prop_assert!(explanation.contributions.iter().all(|part| part.is_finite()));
                let _ = (model.reasons(features, 5), model.out_of_domain(features), model.check_golden());
            }
        }
    }

    #[test]
    fn a_forged_truncation_never_panics(which in 0..ARTIFACTS.len(), length in any::<prop::sample::Index>()) {
        let payload = payload(&ARTIFACTS[which]);
        let _ = Model::decode(&sealed(&payload[..length.index(payload.len())]), schema());
    }
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    // A payload that claims two gigabytes, in an envelope of a few bytes.
    let claims = [0x08, 0x01, 0x12, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
    assert!(matches!(
        UnverifiedArtifact::open(&claims).unwrap_err(),
        DecodeError::NotAnArtifact(_)
    ));
    // The same inside a payload with the right digest: the ensemble claims more than there is.
    let inner = [0x08, 0x01, 0x22, 0xff, 0xff, 0xff, 0xff, 0x07];
    assert!(matches!(
        UnverifiedArtifact::open(&sealed(&inner)).unwrap_err(),
        DecodeError::Payload(_)
    ));
}

#[test]
fn a_payload_without_its_parts_names_what_is_missing() {
    let error = Model::decode(&sealed(&[0x08, 0x02]), schema()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid artefact: format_version: 2 differs from the envelope's 1"
    );
    let error = Model::decode(&sealed(&[0x08, 0x01]), schema()).unwrap_err();
    assert_eq!(error.to_string(), "invalid artefact: signature: it is missing");
}
