//! Whether a process grows.

/// Resident memory of a process, in bytes.
pub(super) fn resident_bytes(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes * 1024.0
}

/// Slope of a least-squares line through values at 0, 1, 2, ...
pub(super) fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (place, value) in values.iter().enumerate() {
        let distance = place as f64 - middle;
        above += distance * (value - mean);
        below += distance * distance;
    }
    above / below
}

#[test]
fn the_slope_of_a_line_is_its_own() {
    let line: Vec<f64> = (0..10).map(|place| 5.0 + 3.0 * f64::from(place)).collect();
    assert!((slope(&line) - 3.0).abs() < 1e-12);
    assert!(slope(&[2.0, 2.0, 2.0]).abs() < 1e-12);
}
