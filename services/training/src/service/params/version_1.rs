//! Parameter files of version 1: boosted trees and a baseline, and nothing else to be chosen.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Preset;
use crate::service::recipe::{
    CalibrationMethod, CalibrationPlan, CategoryEncoding, EstimatorParams, FeaturePlan, Imbalance, OptionalFeatures,
    Recipe, Scaling, ThresholdRule,
};
use crate::service::trainer::{BoostedTreesParams, LogisticParams};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[expect(dead_code, reason = "read before, and still a field of the file")]
    version: u32,
    presets: BTreeMap<String, PresetOf1>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetOf1 {
    description: String,
    boosted_trees: TreesOf1,
    baseline: LogisticParams,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TreesOf1 {
    trees: usize,
    max_depth: usize,
    eta: f64,
    subsample: f64,
    colsample_bytree: f64,
    min_child_weight: f64,
    gamma: f64,
    lambda: f64,
    alpha: f64,
    max_bin: usize,
    mask_optional_features: bool,
}

/// The sets, each as the recipe that does the same: categories as codes, calibration and threshold by five folds.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, Preset>, serde_saphyr::Error> {
    let document: Document = serde_saphyr::from_str(text)?;
    let presets = document.presets.into_iter();
    Ok(presets.map(|(name, preset)| (name, Preset::from(preset))).collect())
}

impl From<PresetOf1> for Preset {
    fn from(preset: PresetOf1) -> Self {
        let trees = preset.boosted_trees;
        let recipe = Recipe {
            optional_features: OptionalFeatures {
                masked_copies: trees.mask_optional_features,
                masked_weight: 1.0,
            },
            estimators: vec![EstimatorParams::BoostedTrees(BoostedTreesParams {
                trees: trees.trees,
                max_depth: trees.max_depth,
                eta: trees.eta,
                subsample: trees.subsample,
                colsample_bytree: trees.colsample_bytree,
                min_child_weight: trees.min_child_weight,
                gamma: trees.gamma,
                lambda: trees.lambda,
                alpha: trees.alpha,
                max_bin: trees.max_bin,
                ..BoostedTreesParams::default()
            })],
            seeds: 1,
            features: FeaturePlan {
                engineered: Vec::new(),
                drop: Vec::new(),
                categories: CategoryEncoding::Codes,
                scaling: Scaling::None,
            },
            imbalance: Imbalance::None,
            calibration: CalibrationPlan {
                method: CalibrationMethod::Best,
                folds: 5,
            },
            threshold: ThresholdRule::BestF1,
            baseline: preset.baseline,
        };
        Self {
            description: preset.description,
            recipe,
        }
    }
}
