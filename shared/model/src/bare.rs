//! Preprocessing and estimators alone, as long as there is no artefact around them.

use holdfast_domain::{FeatureVector, Schema};

use crate::ensemble::{Ensemble, Link};
use crate::error::InvalidPart;
use crate::preprocess::{MAX_COLUMNS, Preprocessing, Preprocessor};
use crate::scoring::{BLOCK_ROWS, Scorer};

/// What answers margins and nothing else: training scores held-out rows with it, to calibrate and to choose between parameters. The
/// margins are to the bit those of a [`Model`](crate::Model) made of the same parts.
#[derive(Debug)]
pub struct BareModel {
    preprocessor: Preprocessor,
    scorer: Scorer,
    link: Link,
}

impl BareModel {
    /// Binds the parts to `schema` and checks them.
    ///
    /// # Errors
    /// [`InvalidPart`] names what breaks a rule.
    pub fn new(preprocessing: &Preprocessing, ensemble: &Ensemble, schema: &Schema) -> Result<Self, InvalidPart> {
        let preprocessor = Preprocessor::new(preprocessing, schema).map_err(|error| error.inside("preprocessing"))?;
        ensemble
            .validate(preprocessor.kinds())
            .map_err(|error| error.inside("ensemble"))?;
        Ok(Self {
            preprocessor,
            scorer: Scorer::new(ensemble),
            link: ensemble.link,
        })
    }

    /// The margin of each row.
    pub fn margins(&self, rows: &[FeatureVector]) -> Vec<f64> {
        let mut block = [[f64::NAN; MAX_COLUMNS]; BLOCK_ROWS];
        let mut of_block = [0.0; BLOCK_ROWS];
        let mut all = Vec::with_capacity(rows.len());
        for rows in rows.chunks(BLOCK_ROWS) {
            for (row, features) in block.iter_mut().zip(rows) {
                self.preprocessor.transform(features, row);
            }
            self.scorer.margins(&block[..rows.len()], &mut of_block);
            all.extend_from_slice(&of_block[..rows.len()]);
        }
        all
    }

    /// From margin to raw probability.
    pub fn link(&self) -> Link {
        self.link
    }
}
