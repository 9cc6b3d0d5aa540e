//! Where a function of a number turns, by halving.

/// The neighbouring doubles between which `is_before` turns from true to false, from `low`, where it holds, to `high`, where it does not.
pub(crate) fn turn(mut low: f64, mut high: f64, is_before: impl Fn(f64) -> bool) -> (f64, f64) {
    loop {
        let middle = 0.5 * (low + high);
        // No double lies between.
        if middle <= low || middle >= high {
            return (low, high);
        }
        if is_before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}
