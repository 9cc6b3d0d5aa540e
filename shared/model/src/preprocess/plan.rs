//! Declared steps resolved into numbered slots: names are looked up once, when the model is loaded.

use holdfast_domain::{FEATURE_COUNT, Feature, FeatureKind, Schema};

use super::checks::{check_categories, check_count, check_finite};
use super::{MAX_COLUMNS, Preprocessing, Step, UnlistedCategory};
use crate::error::InvalidPart;

/// Slots while a row is being prepared: features, engineered columns and one-hot columns together.
pub(super) const MAX_SLOTS: usize = 96;

/// What a column of the estimator holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A number.
    Number,
    /// A category's code, from 0; -1 or missing for others.
    Code {
        /// How many codes there are.
        categories: usize,
    },
}

/// One operation on the slots of a row.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Ratio {
        into: usize,
        numerator: usize,
        denominator: usize,
        when_zero: f64,
    },
    Product {
        into: usize,
        factors: Vec<usize>,
    },
    /// `codes[schema code]` is the new value; any other category becomes `unlisted`.
    Ordinal {
        slot: usize,
        codes: Vec<f64>,
        unlisted: f64,
    },
    /// `hot[schema code]` is the slot that becomes 1, if any.
    OneHot {
        slot: usize,
        first: usize,
        count: usize,
        hot: Vec<Option<usize>>,
    },
    Impute {
        slot: usize,
        value: f64,
    },
    Scale {
        slot: usize,
        mean: f64,
        scale: f64,
    },
}

/// Preprocessing bound to a schema and ready to run on rows.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    pub(super) operations: Vec<Operation>,
    /// The slot of each output column.
    pub(super) outputs: Vec<usize>,
    names: Vec<String>,
    kinds: Vec<ColumnKind>,
    /// Per output column: the features it is made of and the share of its contribution that each is credited with (sum 1).
    credits: Vec<Vec<(Feature, f64)>>,
}

/// A slot while the plan is being made.
struct Slot {
    name: String,
    state: SlotState,
    credit: [f64; FEATURE_COUNT],
}

#[derive(Clone, Copy, PartialEq)]
enum SlotState {
    /// A category as the schema codes it: not for an estimator.
    Category(Feature),
    Column(ColumnKind),
    Gone,
}

impl Preprocessor {
    /// Binds the steps to `schema`, by name.
    ///
    /// # Errors
    /// [`InvalidPart`] names the step that refers to an unknown column, reads a category as a number, repeats a name, holds a number that
    /// is not finite, or makes more columns than fit.
    pub fn new(preprocessing: &Preprocessing, schema: &Schema) -> Result<Self, InvalidPart> {
        let mut planner = Planner::start();
        for (index, step) in preprocessing.steps.iter().enumerate() {
            planner
                .add(step, schema)
                .map_err(|error| error.inside(&format!("steps[{index}]")))?;
        }
        planner.finish(&preprocessing.columns)
    }

    /// Names of the columns, in the estimator's order.
    pub fn columns(&self) -> &[String] {
        &self.names
    }

    /// What each column holds.
    pub fn kinds(&self) -> &[ColumnKind] {
        &self.kinds
    }

    /// The features column `index` is made of, and the share of the column's contribution each is credited with: 1 for a feature itself or
    /// its one-hot columns, equal shares for the inputs of an engineered column. Shares add up to 1.
    pub fn credits(&self, index: usize) -> &[(Feature, f64)] {
        self.credits.get(index).map_or(&[], Vec::as_slice)
    }

    /// Whether any column depends on `feature`.
    pub fn uses(&self, feature: Feature) -> bool {
        self.credits.iter().flatten().any(|(used, _)| *used == feature)
    }
}

struct Planner {
    slots: Vec<Slot>,
    operations: Vec<Operation>,
}

impl Planner {
    fn start() -> Self {
        let slots = Feature::ALL.into_iter().map(|feature| {
            let mut credit = [0.0; FEATURE_COUNT];
            credit[feature.index()] = 1.0;
            let state = match feature.kind() {
                FeatureKind::Numeric => SlotState::Column(ColumnKind::Number),
                FeatureKind::Categorical => SlotState::Category(feature),
            };
            Slot {
                name: feature.name().to_owned(),
                state,
                credit,
            }
        });
        Self {
            slots: slots.collect(),
            operations: Vec::new(),
        }
    }

    fn add(&mut self, step: &Step, schema: &Schema) -> Result<(), InvalidPart> {
        match step {
            Step::Ratio {
                name,
                numerator,
                denominator,
                when_zero,
            } => {
                check_finite("when_zero", *when_zero)?;
                let (numerator, denominator) = (self.number(numerator)?, self.number(denominator)?);
                let into = self.engineered(name, &[numerator, denominator])?;
                self.operations.push(Operation::Ratio {
                    into,
                    numerator,
                    denominator,
                    when_zero: *when_zero,
                });
            }
            Step::Product { name, factors } => {
                check_count("factors", factors.len(), 2, MAX_COLUMNS)?;
                let factors = factors
                    .iter()
                    .map(|factor| self.number(factor))
                    .collect::<Result<Vec<_>, _>>()?;
                let into = self.engineered(name, &factors)?;
                self.operations.push(Operation::Product { into, factors });
            }
            Step::OrdinalEncoding {
                column,
                categories,
                unlisted,
            } => self.ordinal(column, categories, *unlisted, schema)?,
            Step::OneHotEncoding { column, categories } => self.one_hot(column, categories, schema)?,
            Step::Imputation { column, value } => {
                check_finite("value", *value)?;
                let slot = self.number(column)?;
                self.operations.push(Operation::Impute { slot, value: *value });
            }
            Step::Scaling { column, mean, scale } => {
                check_finite("mean", *mean)?;
                check_finite("scale", *scale)?;
                if *scale <= 0.0 {
                    return Err(InvalidPart::new("scale", format!("{scale} is not above zero")));
                }
                let slot = self.number(column)?;
                self.operations.push(Operation::Scale {
                    slot,
                    mean: *mean,
                    scale: *scale,
                });
            }
        }
        Ok(())
    }

    fn ordinal(
        &mut self,
        column: &str,
        categories: &[String],
        unlisted: UnlistedCategory,
        schema: &Schema,
    ) -> Result<(), InvalidPart> {
        let (slot, feature) = self.category(column)?;
        check_categories(categories)?;
        let unlisted = match unlisted {
            UnlistedCategory::Missing => f64::NAN,
            UnlistedCategory::Code => -1.0,
        };
        let position = |name: &String| categories.iter().position(|category| category == name);
        #[expect(clippy::cast_precision_loss, reason = "at most 64 categories")]
        let codes = schema
            .column(feature)
            .categories
            .iter()
            .map(|name| position(name).map_or(unlisted, |code| code as f64))
            .collect();
        self.slots[slot].state = SlotState::Column(ColumnKind::Code {
            categories: categories.len(),
        });
        self.operations.push(Operation::Ordinal { slot, codes, unlisted });
        Ok(())
    }

    fn one_hot(&mut self, column: &str, categories: &[String], schema: &Schema) -> Result<(), InvalidPart> {
        let (slot, feature) = self.category(column)?;
        check_categories(categories)?;
        let first = self.slots.len();
        let credit = self.slots[slot].credit;
        for category in categories {
            self.new_slot(&format!("{column}={category}"), credit)?;
        }
        let position = |name: &String| categories.iter().position(|category| category == name);
        let hot = schema
            .column(feature)
            .categories
            .iter()
            .map(|name| position(name).map(|place| first + place))
            .collect();
        self.slots[slot].state = SlotState::Gone;
        self.operations.push(Operation::OneHot {
            slot,
            first,
            count: categories.len(),
            hot,
        });
        Ok(())
    }

    /// Adds the slot of an engineered column, credited in equal shares to what it is made of.
    fn engineered(&mut self, name: &str, inputs: &[usize]) -> Result<usize, InvalidPart> {
        let mut credit = [0.0; FEATURE_COUNT];
        #[expect(clippy::cast_precision_loss, reason = "at most 64 inputs")]
        let share = 1.0 / inputs.len() as f64;
        for input in inputs {
            for (sum, part) in credit.iter_mut().zip(&self.slots[*input].credit) {
                *sum += share * part;
            }
        }
        self.new_slot(name, credit)
    }

    fn new_slot(&mut self, name: &str, credit: [f64; FEATURE_COUNT]) -> Result<usize, InvalidPart> {
        if name.is_empty() {
            return Err(InvalidPart::new("name", "a new column needs a name"));
        }
        if self.slots.iter().any(|slot| slot.name == name) {
            return Err(InvalidPart::new("name", format!("there is a column {name:?} already")));
        }
        if self.slots.len() == MAX_SLOTS {
            return Err(InvalidPart::new(
                "name",
                format!("column {name:?} is one more than the {MAX_SLOTS} that fit"),
            ));
        }
        self.slots.push(Slot {
            name: name.to_owned(),
            state: SlotState::Column(ColumnKind::Number),
            credit,
        });
        Ok(self.slots.len() - 1)
    }

    fn find(&self, name: &str) -> Result<usize, InvalidPart> {
        let found = self
            .slots
            .iter()
            .position(|slot| slot.name == name && slot.state != SlotState::Gone);
        found.ok_or_else(|| InvalidPart::new("column", format!("there is no column {name:?} at this point")))
    }

    fn number(&self, name: &str) -> Result<usize, InvalidPart> {
        let slot = self.find(name)?;
        match self.slots[slot].state {
            SlotState::Column(ColumnKind::Number) => Ok(slot),
            _ => Err(InvalidPart::new(
                "column",
                format!("{name:?} holds categories, a number is needed"),
            )),
        }
    }

    fn category(&self, name: &str) -> Result<(usize, Feature), InvalidPart> {
        let slot = self.find(name)?;
        match self.slots[slot].state {
            SlotState::Category(feature) => Ok((slot, feature)),
            _ => Err(InvalidPart::new(
                "column",
                format!("{name:?} holds no categories that are still to be encoded"),
            )),
        }
    }

    fn finish(self, columns: &[String]) -> Result<Preprocessor, InvalidPart> {
        check_count("columns", columns.len(), 1, MAX_COLUMNS)?;
        let mut outputs = Vec::with_capacity(columns.len());
        let mut kinds = Vec::with_capacity(columns.len());
        let mut credits = Vec::with_capacity(columns.len());
        for (index, name) in columns.iter().enumerate() {
            let here = |error: InvalidPart| InvalidPart::new(format!("columns[{index}]"), error.problem);
            let slot = self.find(name).map_err(here)?;
            let SlotState::Column(kind) = self.slots[slot].state else {
                return Err(here(InvalidPart::new(
                    "",
                    format!("{name:?} holds categories that no step encodes by name"),
                )));
            };
            if outputs.contains(&slot) {
                return Err(here(InvalidPart::new("", format!("column {name:?} is listed twice"))));
            }
            outputs.push(slot);
            kinds.push(kind);
            let shares = Feature::ALL.into_iter().zip(self.slots[slot].credit);
            credits.push(shares.filter(|(_, share)| *share > 0.0).collect());
        }
        Ok(Preprocessor {
            operations: self.operations,
            outputs,
            names: columns.to_vec(),
            kinds,
            credits,
        })
    }
}
