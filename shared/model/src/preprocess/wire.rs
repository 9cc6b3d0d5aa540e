//! Steps to and from their messages.

use super::{Preprocessing, Step, UnlistedCategory};
use crate::error::InvalidPart;
use crate::wire;
use crate::wire::step::Kind;

impl Preprocessing {
    pub(crate) fn to_wire(&self) -> wire::Preprocessing {
        wire::Preprocessing {
            steps: self.steps.iter().map(step_to_wire).collect(),
            columns: self.columns.clone(),
        }
    }

    pub(crate) fn from_wire(message: wire::Preprocessing) -> Result<Self, InvalidPart> {
        let steps = message.steps.into_iter().enumerate();
        let steps = steps.map(|(index, step)| {
            step_from_wire(step).map_err(|problem| InvalidPart::new(format!("steps[{index}]"), problem))
        });
        Ok(Self {
            steps: steps.collect::<Result<_, _>>()?,
            columns: message.columns,
        })
    }
}

fn step_to_wire(step: &Step) -> wire::Step {
    let kind = match step.clone() {
        Step::Ratio {
            name,
            numerator,
            denominator,
            when_zero,
        } => Kind::Ratio(wire::Ratio {
            name,
            numerator,
            denominator,
            when_zero,
        }),
        Step::Product { name, factors } => Kind::Product(wire::Product { name, factors }),
        Step::OrdinalEncoding {
            column,
            categories,
            unlisted,
        } => {
            let unlisted = match unlisted {
                UnlistedCategory::Missing => wire::UnlistedCategory::Missing,
                UnlistedCategory::Code => wire::UnlistedCategory::Code,
            };
            Kind::OrdinalEncoding(wire::OrdinalEncoding {
                column,
                categories,
                unlisted: unlisted.into(),
            })
        }
        Step::OneHotEncoding { column, categories } => {
            Kind::OneHotEncoding(wire::OneHotEncoding { column, categories })
        }
        Step::Imputation { column, value } => Kind::Imputation(wire::Imputation { column, value }),
        Step::Scaling { column, mean, scale } => Kind::Scaling(wire::Scaling { column, mean, scale }),
    };
    wire::Step { kind: Some(kind) }
}

fn step_from_wire(step: wire::Step) -> Result<Step, String> {
    Ok(match step.kind.ok_or("the step says not what it does")? {
        Kind::Ratio(wire::Ratio {
            name,
            numerator,
            denominator,
            when_zero,
        }) => Step::Ratio {
            name,
            numerator,
            denominator,
            when_zero,
        },
        Kind::Product(wire::Product { name, factors }) => Step::Product { name, factors },
        Kind::OrdinalEncoding(wire::OrdinalEncoding {
            column,
            categories,
            unlisted,
        }) => {
            let unlisted = match wire::UnlistedCategory::try_from(unlisted) {
                Ok(wire::UnlistedCategory::Missing) => UnlistedCategory::Missing,
                Ok(wire::UnlistedCategory::Code) => UnlistedCategory::Code,
                _ => return Err(format!("unlisted: {unlisted} is not a rule")),
            };
            Step::OrdinalEncoding {
                column,
                categories,
                unlisted,
            }
        }
        Kind::OneHotEncoding(wire::OneHotEncoding { column, categories }) => {
            Step::OneHotEncoding { column, categories }
        }
        Kind::Imputation(wire::Imputation { column, value }) => Step::Imputation { column, value },
        Kind::Scaling(wire::Scaling { column, mean, scale }) => Step::Scaling { column, mean, scale },
    })
}
