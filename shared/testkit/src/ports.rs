//! Free ports for servers that cannot be told to take any.

use std::net::{Ipv4Addr, TcpListener};

/// This many different ports of 127.0.0.1 that were free a moment ago. Another process may take one before you do: start again then.
///
/// # Panics
/// When the system has no free port.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are bound at once, so that they differ; then all are released.
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound address").port())
}
