//! Who meets the challenger: a stable choice by a hash, the same on every replica and after every restart.
//!
//! The hash is written out here (FNV-1a, then the finalizer of SplitMix64), because a library's may change between releases,
//! and then the same customer would meet another version.

use holdfast_domain::CustomerKey;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// What a request is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// The one customer that it asks about.
    Customer(CustomerKey),
    /// Its id.
    Request(&'a str),
}

/// Whether a request belongs to the share, 0 to 1, of a rollout. Another rollout chooses others, so that it is not always
/// the same customers who meet the new.
pub fn chosen(revision: u64, known: Known<'_>, share: f64) -> bool {
    place(revision, known) < share
}

/// A request's place in [0, 1), a multiple of 2^-53.
fn place(revision: u64, known: Known<'_>) -> f64 {
    let seeded = fnv(FNV_OFFSET, &revision.to_le_bytes());
    let hash = match known {
        Known::Customer(CustomerKey(key)) => fnv(fnv(seeded, b"c"), &key.to_le_bytes()),
        Known::Request(id) => fnv(fnv(seeded, b"r"), id.as_bytes()),
    };
    (mixed(hash) >> 11) as f64 / (1_u64 << 53) as f64
}

fn fnv(seed: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// FNV alone leaves the high bits of short keys nearly equal.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customers() -> impl Iterator<Item = Known<'static>> {
        (700_000_000..700_100_000).map(|key| Known::Customer(CustomerKey(key)))
    }

    #[test]
    fn the_choice_never_changes() {
        let placed = [
            place(1, Known::Customer(CustomerKey(768_805_383))),
            place(2, Known::Customer(CustomerKey(768_805_383))),
            place(1, Known::Request("0193a1b2-c3d4-7e5f-8a6b-0123456789ab")),
        ];
        assert_eq!(placed, PLACES);
    }

    /// As another program computes them.
    const PLACES: [f64; 3] = [0.17670983152587882, 0.07320287319353247, 0.016241506080527657];

    #[test]
    fn a_share_of_all_is_chosen_and_another_rollout_chooses_others() {
        for share in [0.01, 0.05, 0.5] {
            let count = customers().filter(|known| chosen(1, *known, share)).count();
            // Five standard deviations of a binomial draw.
            let tolerance = 5.0 * (1e5 * share * (1.0 - share)).sqrt();
            assert!((count as f64 - 1e5 * share).abs() < tolerance, "{share}: {count}");
        }
        let both = customers().filter(|known| chosen(1, *known, 0.5) && chosen(2, *known, 0.5));
        let both = both.count();
        assert!((24_300..25_700).contains(&both), "{both}");
    }

    #[test]
    fn a_smaller_share_is_a_part_of_a_larger_one() {
        assert!(
            customers()
                .filter(|known| chosen(3, *known, 0.05))
                .all(|known| chosen(3, known, 0.2))
        );
        assert!(!customers().any(|known| chosen(3, known, 0.0)));
        assert!(customers().all(|known| chosen(3, known, 1.0)));
    }
}
