//! Matrices as numpy reads them: format 1.0, little-endian 32-bit floats, row after row.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Result, ensure};

/// Writes a matrix of `columns` columns; `values` are whole rows.
///
/// # Errors
/// When the file cannot be written, or `values` are no whole rows.
pub fn write(path: &Path, values: &[f32], columns: usize) -> Result<()> {
    ensure!(
        columns > 0 && values.len().is_multiple_of(columns),
        "{} values are no rows of {columns}",
        values.len()
    );
    let shape = format!("({}, {columns})", values.len() / columns);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version and length are 10 bytes; with them the header ends in a line break at a multiple of 64.
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&u16::try_from(header.len())?.to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(file.flush()?)
}
