//! How Parquet stores levels and places in a dictionary: runs of equal values, and packed bits between them.

/// Values that are packed together. So many equal ones, or more, become a run.
const GROUP: usize = 8;
/// The most groups under one header: what Parquet's writer puts there.
const MOST_GROUPS: usize = 63;

/// Bits that the largest of so many places needs.
pub(super) fn width(places: usize) -> u8 {
    let largest = places.saturating_sub(1);
    u8::try_from(usize::BITS - largest.leading_zeros()).unwrap_or(u8::MAX)
}

/// Appends values of `width` bits, at most 16.
pub(super) fn hybrid(mut values: &[u16], width: u8, out: &mut Vec<u8>) {
    while let Some(first) = values.first() {
        let equal = values.iter().take_while(|value| *value == first).count();
        if equal >= GROUP || equal == values.len() {
            run(*first, equal, width, out);
            values = values.get(equal..).unwrap_or_default();
            continue;
        }
        let mut groups = 1;
        let mut ahead = values.get(GROUP..).unwrap_or_default();
        while groups < MOST_GROUPS && !ahead.is_empty() && !starts_run(ahead) {
            groups += 1;
            ahead = ahead.get(GROUP..).unwrap_or_default();
        }
        let (packed, rest) = values.split_at(values.len().min(groups * GROUP));
        out.extend(u8::try_from(groups << 1 | 1));
        for group in packed.chunks(GROUP) {
            let shifted = |bits, value: &u16| bits << width | u128::from(*value);
            let bits = group.iter().rev().fold(0_u128, shifted).to_le_bytes();
            out.extend_from_slice(bits.get(..usize::from(width)).unwrap_or(&bits));
        }
        values = rest;
    }
}

/// Appends a run of a value of `width` bits.
pub(super) fn run(value: u16, length: usize, width: u8, out: &mut Vec<u8>) {
    let mut header = length << 1;
    while let more @ 1.. = header >> 7 {
        out.push(header.to_le_bytes()[0] | 0x80);
        header = more;
    }
    out.push(header.to_le_bytes()[0]);
    let bytes = value.to_le_bytes();
    out.extend_from_slice(bytes.get(..usize::from(width).div_ceil(8)).unwrap_or(&bytes));
}

fn starts_run(values: &[u16]) -> bool {
    let group = values.first_chunk::<GROUP>();
    group.is_some_and(|[first, others @ ..]| others.iter().all(|value| value == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[u16], width: u8) -> Vec<u8> {
        let mut out = Vec::new();
        hybrid(values, width, &mut out);
        out
    }

    #[test]
    fn a_width_holds_the_largest_place() {
        for (places, bits) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 3),
            (256, 8),
            (257, 9),
            (65_536, 16),
        ] {
            assert_eq!(width(places), bits, "{places}");
        }
    }

    #[test]
    fn equal_values_are_runs_and_others_are_packed_by_eight() {
        assert!(encoded(&[], 3).is_empty());
        assert_eq!(encoded(&[5; 3], 3), [3 << 1, 5]);
        assert_eq!(encoded(&[0; 300], 0), [0xd8, 0x04]);
        assert_eq!(encoded(&[0x1234; 8], 13), [8 << 1, 0x34, 0x12]);
        assert_eq!(
            encoded(&[0, 1, 2, 3, 4, 5, 6, 7], 3),
            [1 << 1 | 1, 0b1000_1000, 0b1100_0110, 0b1111_1010]
        );
        // The last group is filled with zeros; equal ones behind packed ones are a run only where a group starts.
        assert_eq!(
            encoded(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1], 1),
            [2 << 1 | 1, 0b0000_0001, 0b0011_1000]
        );
        let run_behind = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[1; 9], &[0; 2]].concat();
        assert_eq!(encoded(&run_behind, 1), [1 << 1 | 1, 1, 9 << 1, 1, 2 << 1, 0]);
        let widest = [u16::MAX, 0, u16::MAX, 0, u16::MAX, 0, u16::MAX, 0];
        assert_eq!(encoded(&widest, 16), [&[3][..], &[255, 255, 0, 0].repeat(4)].concat());
    }

    #[test]
    fn a_header_stands_before_at_most_63_groups() {
        let bytes = encoded(&[0, 1].repeat(4 * 64), 1);
        assert_eq!((bytes[0], bytes[64], bytes.len()), (127, 3, 2 + 64));
    }
}
