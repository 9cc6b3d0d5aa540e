use std::time::Duration;

use holdfast_testkit::TcpProxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that answers every byte with the next one.
async fn successor() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                while let Ok(byte) = socket.read_u8().await {
                    socket.write_u8(byte + 1).await.unwrap();
                }
            });
        }
    });
    address
}

async fn ask(socket: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    socket.write_u8(byte).await?;
    tokio::time::timeout(Duration::from_secs(60), socket.read_u8())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_proxy_passes_on_what_it_is_given() {
    let proxy = TcpProxy::start(successor().await).await;
    let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut socket, 7).await.unwrap(), 8);
    assert_eq!(ask(&mut socket, 8).await.unwrap(), 9);
}

#[tokio::test]
async fn a_proxy_that_refuses_resets_what_stands_and_what_comes_until_it_forwards_again() {
    let proxy = TcpProxy::start(successor().await).await;
    let mut standing = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut standing, 1).await.unwrap(), 2);
    proxy.refuse();
    // The byte that was asked before the reset arrives may still be written.
    assert!(ask(&mut standing, 2).await.is_err());
    let refused = async {
        let mut socket = TcpStream::connect(proxy.address()).await?;
        ask(&mut socket, 3).await
    };
    assert!(refused.await.is_err());
    proxy.forward();
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut again, 4).await.unwrap(), 5);
}
