//! Small rules that several steps share.

use std::collections::BTreeSet;

use super::MAX_CATEGORIES;
use crate::error::InvalidPart;

pub(super) fn check_finite(what: &str, value: f64) -> Result<(), InvalidPart> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(InvalidPart::new(what, format!("{value} is not finite")))
    }
}

pub(super) fn check_count(what: &str, count: usize, least: usize, most: usize) -> Result<(), InvalidPart> {
    if (least..=most).contains(&count) {
        Ok(())
    } else {
        Err(InvalidPart::new(
            what,
            format!("there are {count}, allowed are {least} to {most}"),
        ))
    }
}

pub(super) fn check_categories(categories: &[String]) -> Result<(), InvalidPart> {
    check_count("categories", categories.len(), 1, MAX_CATEGORIES)?;
    let mut seen = BTreeSet::new();
    match categories.iter().find(|category| !seen.insert(category.as_str())) {
        Some(twice) => Err(InvalidPart::new("categories", format!("{twice:?} is listed twice"))),
        None => Ok(()),
    }
}
