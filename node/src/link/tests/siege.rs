//! Callers that keep a hub waiting: who is honest is served meanwhile, and they are dropped in time.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cuntong_protocol::{
    id::{ChangeHash, DocId, Kind, NodeId, Scope, SiteId, Writer},
    log::{Batch, Entry, LogHead, LogId, Seal},
    wire::{Hello, Message, VERSION, codec, frame::Deflater},
};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig, VarInt};
use tokio::net::UdpSocket;

use super::{
    super::*,
    land::{HUB, Land, NOW, QINGXI, Running, SHIQIAO, until},
};

pub(super) const SHORT: Duration = Duration::from_millis(400);

pub(super) fn hasty() -> config::Link {
    let mut link = config::Config::default().link;
    link.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    link.hello = SHORT;
    link
}

/// A caller with the key of that node, from an address of its own, that takes in very little.
fn caller(node: &Running) -> Endpoint {
    let crypto = tls::credulous(node.links.0.own()).unwrap();
    let mut client = ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(4 * 1024))
        .keep_alive_interval(Some(SHORT / 4));
    let _same = client.transport_config(Arc::new(transport));
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    endpoint.set_default_client_config(client);
    endpoint
}

async fn call(endpoint: &Endpoint, hub: &Running) -> Connection {
    let to = hub.links.address().unwrap();
    endpoint.connect(to, tls::NAME).unwrap().await.unwrap()
}

async fn ends(what: &str, connection: &Connection) -> Option<VarInt> {
    let closed = tokio::time::timeout(Duration::from_secs(60), connection.closed()).await;
    let closed = closed.unwrap_or_else(|_late| panic!("in vain: {what}"));
    if let ConnectionError::ApplicationClosed(close) = closed {
        return Some(close.error_code);
    }
    None
}

pub(super) fn pending(hub: &Running) -> usize {
    lock(&hub.links.0.pending).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_say_their_first_message_byte_by_byte_are_dropped_in_time() {
    let mut land = Land::new(31);
    let (hub, slow, honest) = (
        land.machine(HUB),
        land.machine(QINGXI),
        land.machine(SHIQIAO),
    );
    let hub = land.start_with(&hub, hasty(), &[]);
    let slow = caller(&land.start(&slow, false, &[]));
    let mut lines = Vec::new();
    for _line in 0..limits::PENDING_NODE_MAX {
        let connection = call(&slow, &hub).await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        drop(tokio::spawn(async move {
            // A frame that announces much, and comes a byte at a time.
            let mut said = send.write_all(&[0, 0x0f, 0, 0]).await;
            while said.is_ok() {
                said = send.write_all(&[0]).await;
                tokio::time::sleep(SHORT / 8).await;
            }
        }));
        lines.push(connection);
    }
    let honest = land.start(&honest, false, &[&hub]);
    until("served", || honest.state() == UpstreamState::Connected).await;
    for line in &lines {
        let how = ends("dropped", line).await;
        assert_eq!(how, Some(reason::Close::Silent.code()));
    }
    until("forgotten", || pending(&hub) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_on_many_lines_is_told_that_they_are_too_many() {
    let mut land = Land::new(34);
    let (hub, silent) = (land.machine(HUB), land.machine(QINGXI));
    let mut link = hasty();
    link.hello = Duration::from_secs(60);
    let hub = land.start_with(&hub, link, &[]);
    let silent = caller(&land.start(&silent, false, &[]));
    let mut lines = Vec::new();
    for _line in 0..=limits::PENDING_NODE_MAX {
        lines.push(call(&silent, &hub).await);
    }
    let over = || lines.iter().filter(|line| line.close_reason().is_some());
    until("one is too many", || over().count() > 0).await;
    for line in over() {
        let how = ends("too many", line).await;
        assert_eq!(how, Some(reason::Close::Busy.code()));
    }
    until("the others wait", || {
        pending(&hub) == limits::PENDING_NODE_MAX
    })
    .await;
    assert_eq!(over().count(), 1);
}

/// A router that lets everything out and nothing in, but for the demand to prove an address: what
/// passes it are handshakes that are never finished.
async fn one_way(hub: SocketAddr) -> SocketAddr {
    let inside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let outside = UdpSocket::bind("127.0.0.3:0").await.unwrap();
    let address = inside.local_addr().unwrap();
    drop(tokio::spawn(async move {
        let (mut out, mut back) = ([0; 2_048], [0; 2_048]);
        let mut caller = None;
        loop {
            tokio::select! {
                Ok((length, from)) = inside.recv_from(&mut out) => {
                    caller = Some(from);
                    let _full = outside.send_to(&out[..length], hub).await;
                }
                Ok((length, _hub)) = outside.recv_from(&mut back) => {
                    // A long header of the kind Retry.
                    if let (0xf0, Some(caller)) = (back[0] & 0xf0, caller) {
                        let _full = inside.send_to(&back[..length], caller).await;
                    }
                }
            }
        }
    }));
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_half_handshakes_leave_room_for_an_honest_caller() {
    let mut land = Land::new(32);
    let (hub, bad, honest) = (
        land.machine(HUB),
        land.machine(QINGXI),
        land.machine(SHIQIAO),
    );
    let mut link = hasty();
    link.handshake = Duration::from_secs(5);
    // One address alone could take all of them.
    link.connections_max = limits::UNPROVED_MAX + limits::PENDING_ADDRESS_MAX + 8;
    let hub = land.start_with(&hub, link, &[]);
    let bad = caller(&land.start(&bad, false, &[]));
    let wall = one_way(hub.links.address().unwrap()).await;
    let halves: Vec<_> = (0..1_000)
        .map(|_half| bad.connect(wall, tls::NAME).unwrap())
        .collect();
    let most = limits::UNPROVED_MAX + limits::PENDING_ADDRESS_MAX;
    until("besieged", || pending(&hub) >= limits::PENDING_ADDRESS_MAX).await;
    assert!(pending(&hub) <= most);
    let honest = land.start(&honest, false, &[&hub]);
    let served = until("served", || honest.state() == UpstreamState::Connected);
    tokio::time::timeout(Duration::from_secs(5), served)
        .await
        .unwrap();
    drop(halves);
    bad.close(VarInt::from_u32(0), b"");
    until("forgotten", || pending(&hub) == 0).await;
}

fn hello(node: NodeId) -> Message {
    hello_of(node, [9; 8])
}

pub(super) fn hello_of(node: NodeId, boot: [u8; 8]) -> Message {
    Message::Hello(Hello {
        version: VERSION,
        writer: Writer { node, epoch: 1 },
        boot,
        vector: Vec::new(),
        controls: Vec::new(),
        time: NOW,
        product: String::new(),
        waiting: (0, 0),
        lacking: Vec::new(),
        since: None,
        parts: None,
        snapshot: None,
    })
}

/// A batch of a scope no node keeps: each is answered with a refusal.
pub(super) fn foreign(n: u64) -> Message {
    let log = LogId {
        scope: Scope {
            kind: Kind::Notice,
            site: SiteId(u32::MAX),
        },
        writer: Writer {
            node: NodeId(n.to_be_bytes()),
            epoch: 1,
        },
    };
    let (doc, hash) = (DocId([1; 16]), ChangeHash([1; 32]));
    Message::Push(Batch {
        log,
        first: 1,
        entries: vec![Entry {
            doc,
            hash,
            body: None,
        }],
        seal: Seal {
            head: LogHead::START.after(doc, hash),
            at: NOW,
            signature: [0; 64],
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_much_and_takes_in_nothing_is_dropped() {
    let mut land = Land::new(33);
    let (hub, deaf, honest) = (
        land.machine(HUB),
        land.machine(QINGXI),
        land.machine(SHIQIAO),
    );
    let node = deaf.joined.node;
    let mut link = hasty();
    (link.hello, link.idle, link.keep_alive) = (Duration::from_secs(10), 4 * SHORT, SHORT / 4);
    let hub = land.start_with(&hub, link, &[]);
    let deaf = caller(&land.start(&deaf, false, &[]));
    let connection = call(&deaf, &hub).await;
    let (mut send, _unread) = connection.open_bi().await.unwrap();
    let flood = tokio::spawn(async move {
        let mut deflater = Deflater::default();
        let mut say = |message| deflater.frame(&codec::encode(&message)).unwrap();
        if send.write_all(&say(hello(node))).await.is_err() {
            return 0;
        }
        let mut said = 0;
        while send.write_all(&say(foreign(said))).await.is_ok() {
            said += 1;
        }
        said
    });
    let how = ends("dropped", &connection).await;
    assert_eq!(how, Some(reason::Close::Silent.code()));
    assert!(flood.await.unwrap() > 0);
    let honest = land.start(&honest, false, &[&hub]);
    until("served", || honest.state() == UpstreamState::Connected).await;
}
