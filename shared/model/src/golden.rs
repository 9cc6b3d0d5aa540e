//! Rows that must score to the very same bits wherever the artefact is loaded.

use holdfast_domain::{FeatureVector, Schema};

use crate::error::{GoldenMismatch, InvalidPart};
use crate::model::Model;
use crate::signature::Signature;
use crate::wire;

/// A row and what it scores to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoldenRow {
    /// The row, in the codes of the schema the model is bound to.
    pub features: FeatureVector,
    /// Its margin.
    pub margin: f64,
    /// Its calibrated probability.
    pub probability: f64,
}

impl GoldenRow {
    pub(crate) fn to_wire(self, signature: &Signature, schema: &Schema) -> wire::GoldenRow {
        wire::GoldenRow {
            values: signature.store_row(&self.features, schema),
            margin_bits: self.margin.to_bits(),
            probability_bits: self.probability.to_bits(),
        }
    }

    pub(crate) fn from_wire(
        message: &wire::GoldenRow,
        signature: &Signature,
        schema: &Schema,
    ) -> Result<Self, InvalidPart> {
        let features = signature
            .load_row(&message.values, schema)
            .map_err(|problem| InvalidPart::new("values", problem))?;
        let margin = f64::from_bits(message.margin_bits);
        let probability = f64::from_bits(message.probability_bits);
        if !margin.is_finite() {
            return Err(InvalidPart::new("margin_bits", format!("{margin} is not finite")));
        }
        if !(0.0..=1.0).contains(&probability) {
            return Err(InvalidPart::new(
                "probability_bits",
                format!("{probability} is not within 0..1"),
            ));
        }
        Ok(Self {
            features,
            margin,
            probability,
        })
    }
}

/// Scores every golden row, alone and in a batch, and compares bits.
pub(crate) fn check(model: &Model, golden: &[GoldenRow]) -> Result<(), GoldenMismatch> {
    let rows: Vec<FeatureVector> = golden.iter().map(|row| row.features).collect();
    let mut batch = vec![f64::NAN; rows.len()];
    model.score_batch(&rows, &mut batch);
    for (row, (golden, of_batch)) in golden.iter().zip(batch).enumerate() {
        let pairs = [
            ("margin", golden.margin, model.margin(&golden.features)),
            ("probability", golden.probability, model.score(&golden.features)),
            ("batch probability", golden.probability, of_batch),
        ];
        for (what, expected, found) in pairs {
            if expected.to_bits() != found.to_bits() {
                return Err(GoldenMismatch {
                    row,
                    what,
                    expected,
                    found,
                });
            }
        }
    }
    Ok(())
}
