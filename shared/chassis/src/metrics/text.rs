//! OpenMetrics to the older Prometheus text format: counters are named with `_total` in their headers, units and the end mark go.

/// Rewrites the headers; samples are the same in both formats.
pub(super) fn from_openmetrics(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // OpenMetrics puts HELP before TYPE, and only TYPE says whether the name needs `_total`.
    let mut help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help = Some((name, words));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((helped, words)) = help.take()
                && helped == name
            {
                push(&mut text, &["# HELP ", name, total, " ", words]);
            }
            push(&mut text, &["# TYPE ", name, total, " ", kind]);
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            push(&mut text, &[line]);
        }
    }
    text
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::from_openmetrics;

    #[test]
    fn counters_get_their_suffix_in_the_headers() {
        let openmetrics = "# HELP calls Calls.\n# TYPE calls counter\ncalls_total 1\n# HELP size_bytes Size.\n# TYPE size_bytes gauge\n# UNIT size_bytes bytes\nsize_bytes 2\n# EOF\n";
        let text = "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total 1\n# HELP size_bytes Size.\n# TYPE size_bytes gauge\nsize_bytes 2\n";
        assert_eq!(from_openmetrics(openmetrics), text);
    }
}
