//! The servers that do nothing, beside which `make bench-grpc` and `make bench-rest` measure.
//!
//! `bench-noop grpc ANSWER_BYTES` answers every gRPC call with so many bytes, `bench-noop rest` every POST to `/predict` with the JSON of one score.
//! The first line on standard output is the address. It serves until it is killed.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use holdfast_load::noop::{self, Echo};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["grpc", bytes] => {
            let answer = vec![0x2a; bytes.parse()?].into();
            say(address);
            let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
            tonic::transport::Server::builder()
                .add_service(Echo { answer })
                .serve_with_incoming(incoming)
                .await?;
        }
        ["rest"] => {
            use axum::serve::ListenerExt as _;
            say(address);
            // An answer is one small write: no delay, as every server of its kind is set.
            let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
            axum::serve(listener, noop::rest()).await?;
        }
        _ => bail!("usage: bench-noop grpc ANSWER_BYTES | rest"),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "whoever started it waits for the address")]
fn say(address: std::net::SocketAddr) {
    println!("{address}");
}
