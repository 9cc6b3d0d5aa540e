//! One tree: LightGBM's lists into nodes.

use holdfast_model::{MissingRule, Node, SplitRule, Tree};

use super::text::Header;
use crate::error::ImportError;
use crate::imported::{ColumnUse, code_bit};

/// Bits of `decision_type`.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;

/// The splits first, as the file counts them, then the leaves.
pub(super) fn convert(tree: &Header<'_>, uses: &mut [ColumnUse]) -> Result<Tree, ImportError> {
    if tree.value("is_linear").is_some_and(|linear| linear != "0") {
        return Err(ImportError::unsupported(
            "is_linear",
            "the leaves are linear functions (linear_tree), supported are constants",
        ));
    }
    let leaves: usize = tree.number("num_leaves")?;
    if leaves == 0 {
        return Err(ImportError::invalid("num_leaves", "the tree is empty"));
    }
    let values = tree.numbers::<f64>("leaf_value", leaves)?;
    if leaves == 1 {
        // A tree that found no split, whose count LightGBM may not know.
        let leaf = Node::Leaf {
            value: values[0],
            cover: 0.0,
        };
        return Ok(Tree { nodes: vec![leaf] });
    }
    let splits = leaves - 1;
    let lists = Lists {
        columns: tree.numbers("split_feature", splits)?,
        thresholds: tree.numbers("threshold", splits)?,
        decisions: tree.numbers("decision_type", splits)?,
        left: tree.numbers("left_child", splits)?,
        right: tree.numbers("right_child", splits)?,
        covers: tree.numbers("internal_count", splits)?,
        sets: category_sets(tree)?,
    };
    let leaf_covers = tree.numbers::<f64>("leaf_count", leaves)?;
    let mut nodes = Vec::with_capacity(splits + leaves);
    for at in 0..splits {
        nodes.push(
            lists
                .split(at, uses)
                .map_err(|error| error.inside(&format!("nodes[{at}]")))?,
        );
    }
    nodes.extend(values.iter().zip(&leaf_covers).map(|(value, cover)| Node::Leaf {
        value: *value,
        cover: *cover,
    }));
    Ok(Tree { nodes })
}

/// One entry a split.
struct Lists {
    columns: Vec<usize>,
    /// Of a split of categories: the place of its set.
    thresholds: Vec<f64>,
    decisions: Vec<u8>,
    /// A split's place, or -1 minus a leaf's.
    left: Vec<i64>,
    right: Vec<i64>,
    covers: Vec<f64>,
    sets: Vec<u64>,
}

impl Lists {
    fn split(&self, at: usize, uses: &mut [ColumnUse]) -> Result<Node, ImportError> {
        let column = self.columns[at];
        let Some(used) = uses.get_mut(column) else {
            return Err(ImportError::invalid(
                "split_feature",
                format!("there is no column {column}"),
            ));
        };
        let (rule, missing) = if self.decisions[at] & CATEGORICAL != 0 {
            (self.categories(at, used)?, MissingRule::Right)
        } else {
            self.number(at)?
        };
        Ok(Node::Split {
            column,
            rule,
            missing,
            left: self.child(self.left[at], "left_child")?,
            right: self.child(self.right[at], "right_child")?,
            cover: self.covers[at],
        })
    }

    fn number(&self, at: usize) -> Result<(SplitRule, MissingRule), ImportError> {
        // An infinite split parts the values that are there from those that are missing. No column holds a value beyond the largest number.
        let threshold = self.thresholds[at].clamp(f64::MIN, f64::MAX);
        if threshold.is_nan() {
            return Err(ImportError::invalid("threshold", "it is not a number"));
        }
        let decision = self.decisions[at];
        let default_left = decision & DEFAULT_LEFT != 0;
        let missing = match (decision >> 2, default_left) {
            // Nothing counts as missing: a missing number is a zero.
            (0, _) if 0.0 <= threshold => MissingRule::Left,
            (0, _) => MissingRule::Right,
            (1, true) => MissingRule::ZeroOrMissingLeft,
            (1, false) => MissingRule::ZeroOrMissingRight,
            (2, true) => MissingRule::Left,
            (2, false) => MissingRule::Right,
            (other, _) => {
                let problem = format!("kind of missing value {other}, supported are 0 to 2");
                return Err(ImportError::unsupported("decision_type", problem));
            }
        };
        Ok((SplitRule::Threshold(threshold), missing))
    }

    fn categories(&self, at: usize, used: &mut ColumnUse) -> Result<SplitRule, ImportError> {
        let place = self.thresholds[at];
        #[expect(clippy::cast_precision_loss, reason = "a list that long does not fit into a file")]
        let found = (0..self.sets.len()).find(|index| *index as f64 == place);
        let Some(set) = found.map(|index| self.sets[index]) else {
            let problem = format!("{place} is not the place of one of the {} sets", self.sets.len());
            return Err(ImportError::invalid("threshold", problem));
        };
        if let Some(code) = (u64::BITS - set.leading_zeros()).checked_sub(1) {
            used.note_code(code as usize);
        }
        Ok(SplitRule::Categories(set))
    }

    /// A child's place among the nodes.
    fn child(&self, child: i64, field: &str) -> Result<usize, ImportError> {
        let splits = self.columns.len();
        // -1 is leaf 0.
        let place = if child >= 0 {
            usize::try_from(child).ok().filter(|split| *split < splits)
        } else {
            usize::try_from(!child)
                .ok()
                .filter(|leaf| *leaf <= splits)
                .map(|leaf| splits + leaf)
        };
        place.ok_or_else(|| ImportError::invalid(field, format!("there is no node {child}")))
    }
}

/// The sets of codes that go left: words of 32 bits, set after set.
fn category_sets(tree: &Header<'_>) -> Result<Vec<u64>, ImportError> {
    let count: usize = tree.value("num_cat").map_or(Ok(0), |_| tree.number("num_cat"))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let entries = count
        .checked_add(1)
        .ok_or_else(|| ImportError::invalid("num_cat", format!("{count} sets")))?;
    let boundaries = tree.numbers::<usize>("cat_boundaries", entries)?;
    let words = tree.numbers::<u32>("cat_threshold", boundaries[count])?;
    let mut sets = Vec::with_capacity(count);
    for range in boundaries.windows(2) {
        let Some(words) = words.get(range[0]..range[1]) else {
            let problem = format!(
                "{} to {} is not a range of the {} words",
                range[0],
                range[1],
                words.len()
            );
            return Err(ImportError::invalid("cat_boundaries", problem));
        };
        let mut set = 0;
        for (index, word) in words.iter().enumerate() {
            for bit in (0..32).filter(|bit| word >> bit & 1 == 1) {
                set |= code_bit(index as u64 * 32 + bit)?;
            }
        }
        sets.push(set);
    }
    Ok(sets)
}
