//! The smallest and largest value of a column, as its footer tells them.

use parquet::data_type::{ByteArray, DataType};
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::STATISTICS_BYTES;

/// Of numbers. `signed` as the format orders them.
pub(super) fn number_statistics<T: DataType>(
    least: Option<T::T>,
    most: Option<T::T>,
    nulls: usize,
    signed: bool,
) -> Statistics {
    ValueStatistics::<T::T>::new(least, most, None, u64::try_from(nulls).ok(), false)
        .with_backwards_compatible_min_max(signed)
        .into()
}

/// Of texts, cut where they are long.
pub(super) fn text_statistics<'a>(texts: impl Iterator<Item = &'a [u8]>, nulls: usize) -> Statistics {
    let mut range: Option<(&[u8], &[u8])> = None;
    for text in texts {
        range = Some(range.map_or((text, text), |(least, most)| (least.min(text), most.max(text))));
    }
    let below = range.and_then(|(least, _)| below(least));
    let above = range.and_then(|(_, most)| above(most));
    let exact = (below.is_none(), above.is_none());
    let least = range.map(|(least, _)| below.unwrap_or_else(|| least.to_vec()));
    let most = range.map(|(_, most)| above.unwrap_or_else(|| most.to_vec()));
    let (least, most) = (least.map(ByteArray::from), most.map(ByteArray::from));
    ValueStatistics::new(least, most, None, u64::try_from(nulls).ok(), false)
        .with_min_is_exact(exact.0)
        .with_max_is_exact(exact.1)
        .into()
}

/// A long text, cut: what is left is below it. None for one that is not long.
fn below(text: &[u8]) -> Option<Vec<u8>> {
    cut(text).map(|cut| cut.as_bytes().to_vec())
}

/// A long text, cut, its last character raised: it is above the text. None for one that is not long, and where no character can be raised.
fn above(text: &[u8]) -> Option<Vec<u8>> {
    let cut = cut(text)?;
    cut.char_indices().rev().find_map(|(start, character)| {
        let next = char::from_u32(u32::from(character) + 1)?;
        // It may not become longer.
        let fits = next.len_utf8() == character.len_utf8();
        let kept = cut.get(..start).filter(|_| fits)?;
        Some([kept, next.encode_utf8(&mut [0; 4])].concat().into_bytes())
    })
}

fn cut(text: &[u8]) -> Option<&str> {
    let text = str::from_utf8(text).ok().filter(|text| text.len() > STATISTICS_BYTES)?;
    text.get(..text.floor_char_boundary(STATISTICS_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(texts: &[&str]) -> (Statistics, String, String) {
        let statistics = text_statistics(texts.iter().map(|text| text.as_bytes()), 0);
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let (least, most) = (text(statistics.min_bytes_opt()), text(statistics.max_bytes_opt()));
        (statistics, least, most)
    }

    #[test]
    fn texts_that_are_not_long_stand_as_they_are() {
        let longest = "b".repeat(STATISTICS_BYTES);
        let (statistics, least, most) = limits(&["a", &longest, "aa"]);
        assert_eq!((least.as_str(), &most), ("a", &longest));
        assert!(statistics.min_is_exact() && statistics.max_is_exact());
        assert_eq!(limits(&[]).0.min_bytes_opt(), None);
    }

    #[test]
    fn long_texts_are_cut_and_enclosed() {
        for (text, least, most) in [
            ("b".repeat(65), "b".repeat(64), "b".repeat(63) + "c"),
            // Two bytes each: the cut is before the character that would be torn.
            (
                "a".to_owned() + &"é".repeat(40),
                "a".to_owned() + &"é".repeat(31),
                "a".to_owned() + &"é".repeat(30) + "ê",
            ),
            // The last of one byte would need two: the one before it is raised.
            (
                "a".repeat(63) + "\u{7f}z",
                "a".repeat(63) + "\u{7f}",
                "a".repeat(62) + "b",
            ),
        ] {
            let (statistics, below, above) = limits(&[&text]);
            assert_eq!((&below, &above), (&least, &most));
            assert!(below < text && text < above);
            assert!(!statistics.min_is_exact() && !statistics.max_is_exact());
        }
    }

    #[test]
    fn where_no_character_can_be_raised_the_whole_text_is_the_most() {
        let text = "\u{10ffff}".repeat(17);
        let (statistics, least, most) = limits(&[&text]);
        assert_eq!((least.len(), most), (64, text));
        assert!(!statistics.min_is_exact() && statistics.max_is_exact());
    }
}
