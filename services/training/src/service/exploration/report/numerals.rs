//! Numbers as people read them.

use crate::service::figures;

/// A whole number with commas between thousands.
pub(crate) fn thousands(number: usize) -> String {
    figures::count(number as u64)
}

/// A share as a percentage with one digit after the point.
pub(crate) fn percent(share: f64) -> String {
    figures::percent(share)
}

/// A real with a fixed number of digits after the point, with a real minus sign.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().any(|c| c.is_ascii_digit() && c != '0') => format!("−{rest}"),
        // Minus nothing is nothing.
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// As [`fixed`], with a plus sign in front of what is above 0.
pub(crate) fn signed(value: f64, digits: usize) -> String {
    let text = fixed(value, digits);
    if value > 0.0 && text.chars().any(|c| c.is_ascii_digit() && c != '0') {
        format!("+{text}")
    } else {
        text
    }
}

/// A p-value: three digits, and no more zeros than anybody reads.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { fixed(p, 3) }
}

/// A measured value of any size: about four significant digits, thousands with commas.
pub(crate) fn measured(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    if size >= 1e9 || (size != 0.0 && size < 1e-3) {
        let text = format!("{value:.2e}");
        return text.replace('-', "−");
    }
    if size >= 1000.0 {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", thousands(size.round() as usize));
    }
    let digits = match size {
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    let text = fixed(value, digits);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A number with its noun, in the plural where there is not one.
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// "a", "a and b", "a, b and c".
pub(crate) fn listed<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [head @ .., last] => {
            let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_commas() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [counted(1, "row", "rows"), counted(2, "row", "rows")],
            ["1 row", "2 rows"]
        );
    }

    #[test]
    fn reals_have_the_digits_that_matter() {
        assert_eq!(
            [fixed(-0.5, 2), fixed(-0.001, 2), signed(0.25, 1), signed(0.0001, 2)],
            ["−0.50", "0.00", "+0.2", "0.00"]
        );
        assert_eq!(
            [
                measured(0.0),
                measured(12_691.4),
                measured(0.061),
                measured(42.0),
                measured(-3.25)
            ],
            ["0", "12,691", "0.061", "42", "−3.25"]
        );
        assert_eq!([measured(2.0e-7), measured(f64::NAN)], ["2.00e−7", "–"]);
        assert_eq!(
            [p_value(0.2), p_value(1e-9), percent(0.16066)],
            ["0.200", "< 0.001", "16.1 %"]
        );
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(
            [listed(&["a"]), listed(&["a", "b"]), listed(&["a", "b", "c"])],
            ["a", "a and b", "a, b and c"]
        );
    }
}
