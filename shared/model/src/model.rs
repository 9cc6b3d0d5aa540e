//! A decoded model: checked, bound to a schema, ready to score.

use holdfast_domain::{Feature, FeatureVector, Schema};

use crate::artifact::{FORMAT_VERSION, ModelDraft, UnverifiedArtifact};
use crate::calibration::Calibration;
use crate::domain_check::DomainCheck;
use crate::ensemble::Ensemble;
use crate::error::{DecodeError, GoldenMismatch, InvalidPart};
use crate::explain::{Direction, Explainer, Explanation, Reason, ReasonContext, credit_features};
use crate::golden::{self, GoldenRow};
use crate::origin::Origin;
use crate::preprocess::{MAX_COLUMNS, Preprocessing, Preprocessor, Row};
use crate::profile::ReferenceProfile;
use crate::scoring::{BLOCK_ROWS, Scorer, WORD_ROWS};
use crate::signature::Signature;
use crate::threshold::Threshold;
use crate::wire;

/// A model. Immutable; share it between threads behind an `Arc`.
#[derive(Debug)]
pub struct Model {
    signature: Signature,
    preprocessing: Preprocessing,
    preprocessor: Preprocessor,
    ensemble: Ensemble,
    scorer: Scorer,
    explainer: Explainer,
    calibration: Calibration,
    threshold: Threshold,
    profile: ReferenceProfile,
    reasons: ReasonContext,
    domain: DomainCheck,
    golden: Vec<GoldenRow>,
    origin: Origin,
}

impl Model {
    /// Decodes `model.hfm`: opens the envelope, checks everything inside and binds features and categories to `schema` by name. It does not run the
    /// golden rows; [`check_golden`](Self::check_golden) does.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong and where. No bytes make it panic.
    pub fn decode(bytes: &[u8], schema: &Schema) -> Result<Self, DecodeError> {
        UnverifiedArtifact::open(bytes)?.verify(schema)
    }

    /// Checks a payload, whatever it says, and prepares it for use.
    pub(crate) fn bind(payload: wire::ModelPayload, schema: &Schema) -> Result<Self, InvalidPart> {
        if payload.format_version != FORMAT_VERSION {
            let problem = format!(
                "{} differs from the envelope's {FORMAT_VERSION}",
                payload.format_version
            );
            return Err(InvalidPart::new("format_version", problem));
        }
        let signature =
            Signature::from_wire(part(payload.signature, "signature")?, schema).map_err(inside("signature"))?;
        let preprocessing =
            Preprocessing::from_wire(part(payload.preprocessing, "preprocessing")?).map_err(inside("preprocessing"))?;
        let preprocessor = Preprocessor::new(&preprocessing, schema).map_err(inside("preprocessing"))?;
        for feature in Feature::ALL {
            if signature.input(feature).is_some_and(|input| input.used) != preprocessor.uses(feature) {
                return Err(InvalidPart::new(
                    "signature",
                    format!("{feature} is used by the preprocessing and not here, or the reverse"),
                ));
            }
        }
        let ensemble = Ensemble::from_wire(part(payload.ensemble, "ensemble")?).map_err(inside("ensemble"))?;
        ensemble.validate(preprocessor.kinds()).map_err(inside("ensemble"))?;
        let calibration = Calibration::from_wire(part(payload.calibration, "calibration")?);
        calibration.validate().map_err(inside("calibration"))?;
        let threshold = Threshold::from_wire(part(payload.threshold, "threshold")?);
        threshold.validate().map_err(inside("threshold"))?;
        let inputs: Vec<Feature> = signature.inputs.iter().map(|input| input.feature).collect();
        let profile =
            ReferenceProfile::from_wire(part(payload.profile, "profile")?, &inputs).map_err(inside("profile"))?;
        let golden = payload.golden_rows.iter().enumerate().map(|(index, row)| {
            GoldenRow::from_wire(row, &signature, schema).map_err(inside(&format!("golden_rows[{index}]")))
        });
        let golden = golden.collect::<Result<_, _>>()?;
        let origin = Origin::from_wire(part(payload.origin, "origin")?).map_err(inside("origin"))?;
        let scorer = Scorer::new(&ensemble);
        let explainer = Explainer::new(&ensemble, &scorer);
        let reasons = ReasonContext::new(&profile, schema);
        let domain = DomainCheck::new(&signature, schema);
        Ok(Self {
            signature,
            preprocessing,
            preprocessor,
            ensemble,
            scorer,
            explainer,
            calibration,
            threshold,
            profile,
            reasons,
            domain,
            golden,
            origin,
        })
    }

    /// The parts as a draft again: for another threshold, another calibration, or a copy. Encoded with the same schema and the features of the
    /// same golden rows, it gives the same bytes.
    pub fn to_draft(&self) -> ModelDraft {
        ModelDraft {
            preprocessing: self.preprocessing.clone(),
            ensemble: self.ensemble.clone(),
            calibration: self.calibration.clone(),
            threshold: self.threshold,
            profile: self.profile.clone(),
            origin: self.origin.clone(),
        }
    }

    /// The calibrated probability of attrition, 0..1.
    pub fn score(&self, features: &FeatureVector) -> f64 {
        self.probability(self.margin(features))
    }

    /// The probability of each row, the same bits as [`score`](Self::score) gives. Rows and `out` are walked together and the shorter one ends it.
    pub fn score_batch(&self, rows: &[impl AsRef<FeatureVector>], out: &mut [f64]) {
        self.margin_batch(rows, out);
        let scored = rows.len().min(out.len());
        for value in &mut out[..scored] {
            *value = self.probability(*value);
        }
    }

    /// The margin: the sum of the trees or of the linear terms, before link and calibration.
    pub fn margin(&self, features: &FeatureVector) -> f64 {
        self.scorer.margin(&self.preprocessor.row(features))
    }

    /// The margin of each row, the same bits as [`margin`](Self::margin) gives; as long as the shorter of both slices.
    pub fn margin_batch(&self, rows: &[impl AsRef<FeatureVector>], out: &mut [f64]) {
        let mut block = vec![[f64::NAN; MAX_COLUMNS]; rows.len().min(BLOCK_ROWS)];
        for (rows, out) in rows.chunks(BLOCK_ROWS).zip(out.chunks_mut(BLOCK_ROWS)) {
            let block = &mut block[..rows.len()];
            for (row, features) in block.iter_mut().zip(rows) {
                self.preprocessor.transform(features.as_ref(), row);
            }
            self.scorer.margins(block, out);
        }
    }

    /// The calibrated probability of a margin.
    pub fn probability(&self, margin: f64) -> f64 {
        self.calibration.probability(margin, self.ensemble.link)
    }

    /// The probability before calibration: what calibration is fitted on.
    pub fn raw_probability(&self, margin: f64) -> f64 {
        self.ensemble.link.probability(margin)
    }

    /// The decision threshold, 0..1.
    pub fn threshold(&self) -> f64 {
        self.threshold.value
    }

    /// The decision threshold and how it was chosen.
    pub fn threshold_policy(&self) -> &Threshold {
        &self.threshold
    }

    /// The label of a probability: whether it reaches the threshold.
    pub fn label(&self, probability: f64) -> bool {
        probability >= self.threshold.value
    }

    /// Why the row got its margin, per feature. Trees: path-dependent TreeSHAP; linear functions: coefficient × (x - mean).
    pub fn explain(&self, features: &FeatureVector) -> Explanation {
        let row = self.preprocessor.row(features);
        let mut contributions = [[0.0; MAX_COLUMNS]];
        self.explainer.add_columns(&self.scorer, &[row], &mut contributions);
        self.explanation(self.scorer.margin(&row), &contributions[0])
    }

    /// [`explain`](Self::explain) for many rows, the same bits in less time.
    pub fn explain_batch(&self, rows: &[impl AsRef<FeatureVector>]) -> Vec<Explanation> {
        let mut block = vec![[f64::NAN; MAX_COLUMNS]; rows.len().min(WORD_ROWS)];
        let mut margins = [0.0; WORD_ROWS];
        let mut explanations = Vec::with_capacity(rows.len());
        for rows in rows.chunks(WORD_ROWS) {
            let block = &mut block[..rows.len()];
            for (row, features) in block.iter_mut().zip(rows) {
                self.preprocessor.transform(features.as_ref(), row);
            }
            let mut contributions = vec![[0.0; MAX_COLUMNS]; rows.len()];
            self.explainer.add_columns(&self.scorer, block, &mut contributions);
            self.scorer.margins(block, &mut margins);
            let pairs = margins.iter().zip(&contributions);
            explanations.extend(pairs.map(|(margin, contributions)| self.explanation(*margin, contributions)));
        }
        explanations
    }

    fn explanation(&self, margin: f64, columns: &Row) -> Explanation {
        Explanation {
            base: self.explainer.base(),
            margin,
            contributions: credit_features(columns, &self.preprocessor),
        }
    }

    /// The contribution of each column of the estimator, in the order of [`columns`](Self::columns): for comparison with other libraries, which
    /// know no features behind their columns. The base value is the one of [`explain`](Self::explain).
    pub fn explain_columns(&self, features: &FeatureVector) -> Vec<f64> {
        let row = self.preprocessor.row(features);
        let mut contributions = [[0.0; MAX_COLUMNS]];
        self.explainer.add_columns(&self.scorer, &[row], &mut contributions);
        contributions[0][..self.preprocessor.columns().len()].to_vec()
    }

    /// The `n` features that push most towards attrition, strongest first, as sentences a call agent can say.
    pub fn reasons(&self, features: &FeatureVector, n: usize) -> Vec<Reason> {
        self.reasons_of(&self.explain(features), features, Direction::TowardsAttrition, n)
    }

    /// The `n` strongest reasons in one direction, from an explanation that is there already.
    pub fn reasons_of(
        &self,
        explanation: &Explanation,
        features: &FeatureVector,
        direction: Direction,
        n: usize,
    ) -> Vec<Reason> {
        self.reasons.strongest(explanation, features, direction, n)
    }

    /// The features the model looks at whose value lies outside of what training saw: beyond the range, or a category that did not occur.
    pub fn out_of_domain(&self, features: &FeatureVector) -> Vec<Feature> {
        self.domain.outside(features)
    }

    /// Scores the golden rows, alone and as a batch.
    ///
    /// # Errors
    /// [`GoldenMismatch`] when a bit differs: this program must not serve the model.
    pub fn check_golden(&self) -> Result<(), GoldenMismatch> {
        golden::check(self, &self.golden)
    }

    /// The golden rows with what they must score to.
    pub fn golden_rows(&self) -> &[GoldenRow] {
        &self.golden
    }

    /// What the training rows looked like.
    pub fn profile(&self) -> &ReferenceProfile {
        &self.profile
    }

    /// Which features the model takes.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Where the model came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Names of the estimator's columns, in its order.
    pub fn columns(&self) -> &[String] {
        self.preprocessor.columns()
    }

    /// The declared preprocessing.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The estimators, for export and inspection.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// From the margin to the probability.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }
}

fn part<T>(message: Option<T>, name: &str) -> Result<T, InvalidPart> {
    message.ok_or_else(|| InvalidPart::new(name, "it is missing"))
}

fn inside(outer: &str) -> impl Fn(InvalidPart) -> InvalidPart + '_ {
    move |error| error.inside(outer)
}
