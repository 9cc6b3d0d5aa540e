//! "Did you mean …": the known name nearest to a mistyped one.

/// Longer texts are no typing mistakes, and comparing them would cost time that the caller chose.
const LONGEST: usize = 64;

/// The candidate nearest to `text` by edit distance, ignoring case and all but letters and digits; `None` when none is near.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.chars().count() > LONGEST {
        return None;
    }
    let wanted = normalised(text);
    if wanted.is_empty() {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| {
            let other = normalised(candidate);
            (distance(&wanted, &other), other.len().min(wanted.len()), candidate)
        })
        .filter(|(distance, length, _)| *distance <= length / 3)
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, _, candidate)| candidate)
}

fn normalised(text: &str) -> Vec<char> {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Levenshtein's distance, one row of the table at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let count = |a: &str, b: &str| distance(&normalised(a), &normalised(b));
        assert_eq!(count("kitten", "sitting"), 3);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", "abc"), 0);
    }

    #[test]
    fn the_nearest_name_is_found_whatever_its_case_and_separators() {
        let names = ["Credit_Limit", "Total_Trans_Ct", "Total_Trans_Amt"];
        assert_eq!(nearest("creditLimit", names), Some("Credit_Limit"));
        assert_eq!(nearest("Total_Tran_Ct", names), Some("Total_Trans_Ct"));
        assert_eq!(nearest("Balance", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"Credit_Limit".repeat(50), names), None);
    }
}
