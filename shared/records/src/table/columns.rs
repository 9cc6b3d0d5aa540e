//! Columns whose values are encoded as they come, without Arrow and Parquet's own column writers: for tables that are written record by record, and
//! whose values mostly repeat.
//!
//! A column with a dictionary keeps every distinct value once and two bytes a row; a value that equals the one before it is not looked up. What is
//! written is the same, to the byte, as what Parquet's writer makes of the same values, except where texts are so many and long that their dictionary
//! outgrows a page: that writer goes on without one.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::Encoding;
use parquet::data_type::{BoolType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;

use super::chunk::{ColumnChunk, Presence, RowGroup};
use super::hybrid::{hybrid, width};
use super::statistics::{number_statistics, text_statistics};
use super::{PAGE_BYTES, WRITE_BATCH_ROWS};

const LENGTH_BYTES: usize = 4;
/// As many as two bytes tell apart.
const MOST_DISTINCT: usize = 1 << 16;
/// Numbers that are looked up together: one after the other is faster than between other columns.
const LOOK_UP_VALUES: usize = 1_024;

/// What the numbers of a column are. They come as bits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NumberKind {
    /// A whole number of four bytes.
    UInt32,
    /// A whole number of eight bytes.
    UInt64,
    /// A whole number of eight bytes with a sign.
    Int64,
    /// A floating-point number.
    Float64,
    /// 0 or 1. Has no dictionary.
    Bool,
}

/// Numbers of a row group.
pub(crate) struct Numbers {
    kind: NumberKind,
    presence: Presence,
    /// Every value, or with a dictionary those that are not looked up yet.
    values: Vec<u64>,
    /// In the order in which they came; only with a dictionary.
    distinct: Vec<u64>,
    dictionary: Option<Dictionary>,
}

/// Texts of a row group.
pub(crate) struct Texts {
    presence: Presence,
    /// As Parquet stores them, each behind its length: every one, or with a dictionary the distinct ones in the order in which they came.
    plain: Vec<u8>,
    /// Where the distinct ones end; only with a dictionary.
    ends: Vec<usize>,
    /// Bytes of all texts.
    bytes: usize,
    /// Where pages end that are full, in rows and in bytes; only without a dictionary.
    full_pages: Vec<(usize, usize)>,
    dictionary: Option<Dictionary>,
}

/// Where each value of a column stands among the distinct ones.
#[derive(Default)]
struct Dictionary {
    /// Its seed has no influence on the order.
    state: DefaultHashBuilder,
    table: HashTable<u16>,
    indices: Vec<u16>,
}

impl Dictionary {
    fn write(
        &self,
        column: &mut ColumnChunk<'_, '_>,
        rows: usize,
        plain: &[u8],
        distinct: usize,
    ) -> Result<(), ParquetError> {
        if distinct > MOST_DISTINCT {
            return Err(ParquetError::General(format!(
                "{distinct} values are too many for a dictionary"
            )));
        }
        column.dictionary(plain, distinct)?;
        let width = width(distinct);
        let mut values = vec![width];
        hybrid(&self.indices, width, &mut values);
        column.values(0..rows, Encoding::RLE_DICTIONARY, &values)
    }

    fn clear(&mut self) {
        self.table.clear();
        self.indices.clear();
    }
}

impl Numbers {
    /// An empty column.
    pub(crate) fn new(kind: NumberKind, with_dictionary: bool) -> Self {
        Self {
            kind,
            presence: Presence::default(),
            values: Vec::new(),
            distinct: Vec::new(),
            dictionary: with_dictionary.then(Dictionary::default),
        }
    }

    /// Adds a row that has a value or none.
    pub(crate) fn push_option(&mut self, bits: Option<u64>) {
        match bits {
            Some(bits) => self.push(bits),
            None => self.presence.null(),
        }
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, bits: u64) {
        self.presence.value();
        self.values.push(bits);
        if self.dictionary.is_some() && self.values.len() == LOOK_UP_VALUES {
            self.look_up();
        }
    }

    fn look_up(&mut self) {
        let Some(Dictionary { state, table, indices }) = &mut self.dictionary else {
            return;
        };
        indices.reserve(self.values.len());
        let mut last = None;
        for bits in self.values.drain(..) {
            let known = last.filter(|(value, _)| *value == bits).map(|(_, index)| index);
            let index = known.unwrap_or_else(|| {
                let value = |index: u16| self.distinct.get(usize::from(index)).copied();
                let found = table.entry(
                    state.hash_one(bits),
                    |index| value(*index) == Some(bits),
                    |index| state.hash_one(value(*index).unwrap_or_default()),
                );
                match found {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(place) => {
                        let index = index(self.distinct.len());
                        self.distinct.push(bits);
                        place.insert(index);
                        index
                    }
                }
            });
            last = Some((bits, index));
            indices.push(index);
        }
    }

    /// Writes the values as the next column, and forgets them.
    pub(crate) fn write(&mut self, group: &mut RowGroup<'_>) -> Result<(), ParquetError> {
        self.look_up();
        let mut column = group.column(&self.presence)?;
        let values = if self.dictionary.is_some() {
            &self.distinct
        } else {
            &self.values
        };
        let (plain, rows) = (self.kind.plain(values), self.presence.rows());
        match &self.dictionary {
            Some(dictionary) => dictionary.write(&mut column, rows, &plain, self.distinct.len())?,
            None => column.values(0..rows, Encoding::PLAIN, &plain)?,
        }
        column.finish(self.kind.statistics(values, self.presence.nulls()), None)?;
        self.presence.clear();
        self.values.clear();
        self.distinct.clear();
        if let Some(dictionary) = &mut self.dictionary {
            dictionary.clear();
        }
        Ok(())
    }
}

impl NumberKind {
    fn plain(self, values: &[u64]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(8 * values.len());
        match self {
            NumberKind::UInt32 => values
                .iter()
                .for_each(|value| plain.extend_from_slice(&low(*value).to_le_bytes())),
            NumberKind::UInt64 | NumberKind::Int64 | NumberKind::Float64 => {
                values
                    .iter()
                    .for_each(|value| plain.extend_from_slice(&value.to_le_bytes()));
            }
            NumberKind::Bool => {
                let byte = |bits: &[u64]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit != 0));
                plain.extend(values.chunks(8).map(byte));
            }
        }
        plain
    }

    fn statistics(self, values: &[u64], nulls: usize) -> Statistics {
        let values = values.iter().copied();
        match self {
            NumberKind::UInt32 => {
                let values = values.map(low);
                let (least, most) = (values.clone().min(), values.max());
                number_statistics::<Int32Type>(least.map(u32::cast_signed), most.map(u32::cast_signed), nulls, false)
            }
            NumberKind::UInt64 => {
                let (least, most) = (values.clone().min(), values.max());
                number_statistics::<Int64Type>(least.map(u64::cast_signed), most.map(u64::cast_signed), nulls, false)
            }
            NumberKind::Int64 => {
                let values = values.map(u64::cast_signed);
                number_statistics::<Int64Type>(values.clone().min(), values.max(), nulls, true)
            }
            NumberKind::Float64 => {
                let values = values.map(f64::from_bits).filter(|value| !value.is_nan());
                let least = values.clone().reduce(f64::min);
                let most = values.reduce(f64::max);
                // As the format wants it: where zero is the least it is -0, where it is the most 0.
                let (least, most) = (
                    least.map(|least| if least == 0.0 { -0.0 } else { least }),
                    most.map(|most| most + 0.0),
                );
                number_statistics::<DoubleType>(least, most, nulls, true)
            }
            NumberKind::Bool => {
                let values = values.map(|bit| bit != 0);
                number_statistics::<BoolType>(values.clone().min(), values.max(), nulls, false)
            }
        }
    }
}

impl Texts {
    /// An empty column.
    pub(crate) fn new(with_dictionary: bool) -> Self {
        Self {
            presence: Presence::default(),
            plain: Vec::new(),
            ends: Vec::new(),
            bytes: 0,
            full_pages: Vec::new(),
            dictionary: with_dictionary.then(Dictionary::default),
        }
    }

    /// Adds a row that has a text or none.
    pub(crate) fn push_option(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.push(text),
            None => {
                self.presence.null();
                self.end_full_page();
            }
        }
    }

    /// Adds a text.
    pub(crate) fn push(&mut self, text: &str) {
        let text = text.as_bytes();
        self.presence.value();
        self.bytes += text.len();
        let Some(Dictionary { state, table, indices }) = &mut self.dictionary else {
            append(text, &mut self.plain);
            self.end_full_page();
            return;
        };
        let value = |index: u16| {
            let end = *self.ends.get(usize::from(index))?;
            let start = index
                .checked_sub(1)
                .and_then(|before| self.ends.get(usize::from(before)).copied());
            self.plain.get(start.unwrap_or_default() + LENGTH_BYTES..end)
        };
        if let Some(last) = indices.last().copied()
            && value(last) == Some(text)
        {
            indices.push(last);
            return;
        }
        let found = table.entry(
            state.hash_one(text),
            |index| value(*index) == Some(text),
            |index| state.hash_one(value(*index).unwrap_or_default()),
        );
        indices.push(match found {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let index = index(self.ends.len());
                append(text, &mut self.plain);
                self.ends.push(self.plain.len());
                place.insert(index);
                index
            }
        });
    }

    /// Writes the texts as the next column, and forgets them.
    pub(crate) fn write(&mut self, group: &mut RowGroup<'_>) -> Result<(), ParquetError> {
        let mut column = group.column(&self.presence)?;
        let all = (self.presence.rows(), self.plain.len());
        match &self.dictionary {
            Some(dictionary) => dictionary.write(&mut column, all.0, &self.plain, self.ends.len())?,
            None => {
                let mut start = (0, 0);
                for end in self.full_pages.iter().copied().chain([all]) {
                    if end.0 == start.0 {
                        continue;
                    }
                    let values = self.plain.get(start.1..end.1).unwrap_or_default();
                    column.values(start.0..end.0, Encoding::PLAIN, values)?;
                    start = end;
                }
            }
        }
        column.finish(
            text_statistics(texts(&self.plain), self.presence.nulls()),
            Some(self.bytes),
        )?;
        self.presence.clear();
        self.plain.clear();
        self.ends.clear();
        self.bytes = 0;
        self.full_pages.clear();
        if let Some(dictionary) = &mut self.dictionary {
            dictionary.clear();
        }
        Ok(())
    }

    /// Where Parquet's writer would look: after every batch of rows.
    fn end_full_page(&mut self) {
        let rows = self.presence.rows();
        let start = self.full_pages.last().map_or(0, |(_, bytes)| *bytes);
        let full = self.dictionary.is_none() && self.plain.len() - start >= PAGE_BYTES;
        if full && rows.is_multiple_of(WRITE_BATCH_ROWS) {
            self.full_pages.push((rows, self.plain.len()));
        }
    }
}

/// The place of the next distinct value. Where there is none left, the column is refused when it is written.
fn index(distinct: usize) -> u16 {
    u16::try_from(distinct).unwrap_or(u16::MAX)
}

fn append(text: &[u8], plain: &mut Vec<u8>) {
    // Pages are much smaller: one with a longer text is refused.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    plain.extend_from_slice(&length.to_le_bytes());
    plain.extend_from_slice(text);
}

/// The texts as Parquet stores them.
fn texts(mut plain: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = plain.split_first_chunk::<LENGTH_BYTES>()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        plain = rest;
        Some(text)
    })
}

fn low(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
