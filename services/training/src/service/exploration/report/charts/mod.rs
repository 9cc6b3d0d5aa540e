//! The drawings of the report, one kind a file. Each says in its description what it shows, and a table beside it has the numbers.

mod effects;
mod folds;
mod heat_map;
mod histogram;
mod screens;
mod shares;

pub(super) use effects::{EffectRow, effects};
pub(super) use folds::{FoldRow, folds};
pub(super) use heat_map::heat_map;
pub(super) use histogram::histogram;
pub(super) use screens::screens;
pub(super) use shares::shares;
