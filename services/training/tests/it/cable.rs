//! What lies between two services, to be cut and mended.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A port of its own that leads to a service as long as it is whole.
pub(crate) struct Cable {
    pub(crate) url: String,
    whole: watch::Sender<bool>,
    carrying: JoinHandle<()>,
}

impl Cable {
    /// Leads to the service at `url`.
    pub(crate) async fn to(url: &str) -> Self {
        let far_end = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (whole, state) = watch::channel(true);
        Self {
            url,
            whole,
            carrying: tokio::spawn(carry(listener, far_end, state)),
        }
    }

    /// Breaks every connection and lets none through any more.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(listener: TcpListener, far_end: String, state: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let (far_end, mut state) = (far_end.clone(), state.clone());
        connections.spawn(async move {
            let carried = async {
                let mut far = TcpStream::connect(far_end).await?;
                copy_bidirectional(&mut near, &mut far).await
            };
            // Whichever ends first takes the connection with it.
            tokio::select! {
                biased;
                _ = state.wait_for(|whole| !whole) => {}
                _ = carried => {}
            }
        });
    }
}
