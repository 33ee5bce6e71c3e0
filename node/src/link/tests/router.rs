//! A router in front of a node: what it lets through is a test's to say.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

/// Its outer address stands for the node behind it.
pub(super) struct Router {
    pub(super) address: SocketAddr,
    pub(super) rules: Arc<Rules>,
}

/// What passes. Nothing is ever refused by word: what does not pass is swallowed.
#[derive(Default)]
pub(super) struct Rules {
    /// Datagrams pass.
    pub(super) udp: AtomicBool,
    /// Datagrams that were swallowed.
    pub(super) swallowed: AtomicU64,
    /// TCP connections stand, and nothing moves on them.
    pub(super) frozen: AtomicBool,
    /// Connections taken.
    pub(super) calls: AtomicUsize,
    /// Bytes that passed by TCP.
    pub(super) passed: AtomicU64,
    /// The first connection is cut after so many bytes, each further one after as many more.
    pub(super) cut_step: u64,
    /// From this connection on none is cut.
    pub(super) cuts: usize,
}

impl Router {
    /// In front of that node; by UDP nothing passes yet.
    pub(super) async fn before(node: SocketAddr, rules: Rules) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // A port may be free for one only.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let rules = Arc::new(rules);
        drop(tokio::spawn(datagrams(udp, node, rules.clone())));
        drop(tokio::spawn(connections(tcp, node, rules.clone())));
        Self { address, rules }
    }

    pub(super) fn let_udp_through(&self, yes: bool) {
        self.rules.udp.store(yes, Ordering::Relaxed);
    }

    pub(super) fn calls(&self) -> usize {
        self.rules.calls.load(Ordering::Relaxed)
    }
}

async fn datagrams(inside: UdpSocket, node: SocketAddr, rules: Arc<Rules>) {
    let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut out, mut back) = ([0; 2_048], [0; 2_048]);
    let mut caller = None;
    loop {
        tokio::select! {
            Ok((length, from)) = inside.recv_from(&mut out) => {
                caller = Some(from);
                if rules.udp.load(Ordering::Relaxed) {
                    let _full = outside.send_to(&out[..length], node).await;
                } else {
                    let _sum = rules.swallowed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok((length, _node)) = outside.recv_from(&mut back) => {
                if let (true, Some(caller)) = (rules.udp.load(Ordering::Relaxed), caller) {
                    let _full = inside.send_to(&back[..length], caller).await;
                }
            }
        }
    }
}

async fn connections(inside: TcpListener, node: SocketAddr, rules: Arc<Rules>) {
    loop {
        let (caller, _from) = inside.accept().await.unwrap();
        let call = rules.calls.fetch_add(1, Ordering::Relaxed);
        let last = (call < rules.cuts).then(|| (call as u64 + 1) * rules.cut_step);
        let rules = rules.clone();
        drop(tokio::spawn(async move {
            if let Ok(called) = TcpStream::connect(node).await {
                pass(caller, called, &rules, last.unwrap_or(u64::MAX)).await;
            }
        }));
    }
}

/// Lets so many bytes through, then cuts.
async fn pass(mut caller: TcpStream, mut called: TcpStream, rules: &Rules, mut bytes: u64) {
    let (mut out, mut back) = ([0; 1_024], [0; 1_024]);
    while bytes > 0 {
        let (read, to, from) = tokio::select! {
            read = caller.read(&mut out) => (read, &mut called, &out),
            read = called.read(&mut back) => (read, &mut caller, &back),
        };
        let Ok(length @ 1..) = read else {
            return;
        };
        if rules.frozen.load(Ordering::Relaxed) {
            continue;
        }
        let length = bytes.min(length as u64);
        bytes -= length;
        let _sum = rules.passed.fetch_add(length, Ordering::Relaxed);
        if to.write_all(&from[..length as usize]).await.is_err() {
            return;
        }
    }
}
