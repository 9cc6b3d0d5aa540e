//! How figures are written in plots and model cards.

use holdfast_records::evaluation::Interval;

/// Four digits after the point: areas, rates, losses.
pub(super) fn four(value: f64) -> String {
    positive_zero(format!("{value:.4}"))
}

/// Three digits after the point, where a plot has little room.
pub(super) fn three(value: f64) -> String {
    positive_zero(format!("{value:.3}"))
}

/// A share as percent with one digit: "12.3 %".
pub(super) fn percent(share: f64) -> String {
    format!("{} %", positive_zero(format!("{:.1}", share * 100.0)))
}

/// A count with its thousands set apart: "10,127".
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// US dollars and cents: "$1,234.50".
pub(super) fn dollars(value: f64) -> String {
    let text = format!("{:.2}", value.abs());
    let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
    let sign = if value < 0.0 && text != "0.00" { "-" } else { "" };
    format!("{sign}${}.{cents}", grouped(whole))
}

/// "0.9932 (0.9885 to 0.9969)"
pub(super) fn with_interval(interval: &Interval) -> String {
    format!(
        "{} ({} to {})",
        four(interval.value),
        four(interval.lower),
        four(interval.upper)
    )
}

/// "88.1 % (84.1 % to 91.2 %)"
pub(super) fn percent_with_interval(interval: &Interval) -> String {
    format!(
        "{} ({} to {})",
        percent(interval.value),
        percent(interval.lower),
        percent(interval.upper)
    )
}

/// A probability of a test: very small ones as a power of ten.
pub(super) fn p_value(value: f64) -> String {
    if value < 0.0001 {
        format!("{value:.1e}")
    } else {
        four(value)
    }
}

fn positive_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| byte == b'0' || byte == b'.') => rest.to_owned(),
        _ => text,
    }
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        let interval = Interval {
            value: 0.993_21,
            lower: 0.9885,
            upper: 1.0,
        };
        assert_eq!(with_interval(&interval), "0.9932 (0.9885 to 1.0000)");
        assert_eq!(percent_with_interval(&interval), "99.3 % (98.9 % to 100.0 %)");
        assert_eq!(
            (four(-0.000_01), percent(-0.000_2)),
            ("0.0000".to_owned(), "0.0 %".to_owned())
        );
        assert_eq!(
            (count(999), count(1_234_567)),
            ("999".to_owned(), "1,234,567".to_owned())
        );
        assert_eq!(
            [1_234.5, -0.001, -20.0].map(dollars),
            ["$1,234.50", "$0.00", "-$20.00"].map(str::to_owned)
        );
        assert_eq!(
            (p_value(0.04), p_value(1.24e-9)),
            ("0.0400".to_owned(), "1.2e-9".to_owned())
        );
    }
}
