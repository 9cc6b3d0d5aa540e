//! Lock files (`flock`) as a sign of life: the kernel drops the lock with the process that holds it, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Takes the lock on `path`, which is made where it is absent, and waits for whoever holds it. It is held until the file is dropped.
///
/// # Errors
/// The operating system's.
pub fn take(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

/// Whether somebody holds the lock on `path`; nobody does where there is no such file.
///
/// # Errors
/// The operating system's.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
