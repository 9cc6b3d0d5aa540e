//! A TCP proxy before a real server, which can be made to refuse: the server is then away, and comes back on the same port.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// They are passed on.
    Forward,
    /// They are reset, those that stand as well.
    Refuse,
}

/// A proxy on a free port. It ends with this value.
///
/// Its port stays taken while it refuses, so that nobody else can get it: a caller is accepted and reset at once.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl TcpProxy {
    /// A proxy before the server at `target`.
    ///
    /// # Panics
    /// When the system has no free port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (mode, modes) = watch::channel(Mode::Forward);
        let task = tokio::spawn(accept(listener, target, modes));
        Self { address, mode, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every connection, and each that comes, until [`TcpProxy::forward`].
    pub fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
    }

    /// Passes connections on again.
    pub fn forward(&self) {
        self.mode.send_replace(Mode::Forward);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, modes: watch::Receiver<Mode>) {
    // Connections end with the task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((caller, _)) = accepted {
                    connections.spawn(pass_on(caller, target, modes.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass_on(mut caller: TcpStream, target: SocketAddr, mut modes: watch::Receiver<Mode>) {
    let passed = async {
        let Ok(mut server) = TcpStream::connect(target).await else {
            return;
        };
        // How it ends is between the two.
        let _ = copy_bidirectional(&mut caller, &mut server).await;
    };
    let refused = tokio::select! {
        () = passed => false,
        refused = modes.wait_for(|mode| *mode == Mode::Refuse) => refused.is_ok(),
    };
    if refused {
        // A reset, not an orderly end.
        let _ = caller.set_zero_linger();
    }
}
