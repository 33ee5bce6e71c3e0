//! Callers by TCP that keep a hub waiting, or do not even speak to it.

use std::{net::SocketAddr, time::Duration};

use cuntong_protocol::{
    id::NodeId,
    wire::{codec, frame::Deflater},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::{
    super::{carrier::Connection, *},
    land::{HUB, Land, QINGXI, Running, SHIQIAO, until},
    siege::{SHORT, foreign, hasty, hello_of, pending},
    tcp::{by_tcp_alone, credulous},
};

const LATE: Duration = Duration::from_secs(60);

/// From an address of its own.
async fn knock(hub: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    socket.connect(hub.links.address().unwrap()).await.unwrap()
}

/// Everything that comes until the other end hangs up.
async fn until_hung_up(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(LATE, stream.read_to_end(&mut bytes)).await;
    let _reset_or_end = read.expect("in vain: hung up");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_knocks_at_the_port_is_hung_up_on() {
    let mut land = Land::new(71);
    let (hub, honest) = (land.machine(HUB), land.machine(SHIQIAO));
    let hub = land.start_with(&hub, hasty(), &[]);
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        &[0xff; 4_096],
        // A record of TLS that announces a client's greeting and brings none.
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
    ];
    for said in garbage {
        let mut stream = knock(&hub).await;
        stream.write_all(said).await.unwrap();
        let answer = until_hung_up(&mut stream).await;
        // At most an alert of TLS: its header and two bytes.
        assert!(answer.len() <= 7, "{answer:?}");
    }
    until("forgotten", || pending(&hub) == 0).await;
    let honest = land.start_with(&honest, by_tcp_alone(), &[&hub]);
    until("served", || honest.state() == UpstreamState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_handshakes_by_tcp_leave_room_for_an_honest_caller() {
    let mut land = Land::new(72);
    let (hub, honest) = (land.machine(HUB), land.machine(SHIQIAO));
    let mut link = hasty();
    link.handshake = Duration::from_secs(5);
    link.connections_max = limits::PENDING_ADDRESS_MAX + 8;
    let hub = land.start_with(&hub, link, &[]);
    let mut halves = Vec::new();
    for _half in 0..4 * limits::PENDING_ADDRESS_MAX {
        let mut stream = knock(&hub).await;
        // The beginning of a greeting; some are hung up on before they say it.
        let _hung_up = stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await;
        halves.push(stream);
    }
    until("besieged", || pending(&hub) == limits::PENDING_ADDRESS_MAX).await;
    let honest = land.start_with(&honest, by_tcp_alone(), &[&hub]);
    let served = until("served", || honest.state() == UpstreamState::Connected);
    tokio::time::timeout(Duration::from_secs(5), served)
        .await
        .unwrap();
    // Their time runs out, though they stay.
    until("forgotten", || pending(&hub) == 0).await;
    drop(halves);
}

/// A connection of that node which is through its handshake.
async fn shaken(node: &Running, hub: &Running) -> Connection {
    Connection::Tcp(credulous(node, hub).await.unwrap())
}

async fn ends(what: &str, connection: &Connection) -> Failed {
    let closed = tokio::time::timeout(LATE, connection.closed(false)).await;
    closed.unwrap_or_else(|_late| panic!("in vain: {what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_by_tcp_that_say_their_first_message_byte_by_byte_are_dropped_in_time() {
    let mut land = Land::new(73);
    let (hub, slow, honest) = (
        land.machine(HUB),
        land.machine(QINGXI),
        land.machine(SHIQIAO),
    );
    let hub = land.start_with(&hub, hasty(), &[]);
    let slow = land.start(&slow, false, &[]);
    let mut lines = Vec::new();
    for _line in 0..limits::PENDING_NODE_MAX {
        let connection = shaken(&slow, &hub).await;
        let (mut send, receive) = connection.open(false).await.unwrap();
        drop(tokio::spawn(async move {
            // A frame that announces much, and comes a byte at a time.
            let mut said = send.write_all(&[0, 0x0f, 0, 0]).await;
            while said.is_ok() {
                said = send.write_all(&[0]).await;
                tokio::time::sleep(SHORT / 8).await;
            }
            drop(receive);
        }));
        lines.push(connection);
    }
    let honest = land.start_with(&honest, by_tcp_alone(), &[&hub]);
    until("served", || honest.state() == UpstreamState::Connected).await;
    for line in &lines {
        let how = ends("dropped", line).await;
        assert!(how.detail.contains("silent"), "{how:?}");
    }
    until("forgotten", || pending(&hub) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_on_many_lines_by_tcp_is_told_that_they_are_too_many() {
    let mut land = Land::new(74);
    let (hub, silent) = (land.machine(HUB), land.machine(QINGXI));
    let mut link = hasty();
    link.hello = LATE;
    let hub = land.start_with(&hub, link, &[]);
    let silent = land.start(&silent, false, &[]);
    let mut lines = Vec::new();
    for _line in 0..=limits::PENDING_NODE_MAX {
        lines.push(shaken(&silent, &hub).await);
    }
    let over = || lines.iter().filter(|line| line.is_closed());
    until("one is too many", || over().count() > 0).await;
    for line in over() {
        assert_eq!(ends("too many", line).await.reason, Reason::Busy);
    }
    until("the others wait", || {
        pending(&hub) == limits::PENDING_NODE_MAX
    })
    .await;
    assert_eq!(over().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_by_tcp_that_asks_much_and_takes_in_nothing_is_dropped() {
    let mut land = Land::new(75);
    let (hub, deaf, honest) = (
        land.machine(HUB),
        land.machine(QINGXI),
        land.machine(SHIQIAO),
    );
    let node: NodeId = deaf.joined.node;
    let mut link = hasty();
    (link.hello, link.idle, link.keep_alive) = (Duration::from_secs(10), 4 * SHORT, SHORT / 4);
    let hub = land.start_with(&hub, link, &[]);
    let deaf = land.start(&deaf, false, &[]);
    let connection = shaken(&deaf, &hub).await;
    let (mut send, unread) = connection.open(false).await.unwrap();
    let flood = tokio::spawn(async move {
        let mut deflater = Deflater::default();
        let mut say = |message| deflater.frame(&codec::encode(&message)).unwrap();
        if send.write_all(&say(hello_of(node, [9; 8]))).await.is_err() {
            return 0;
        }
        let mut said = 0;
        while send.write_all(&say(foreign(said))).await.is_ok() {
            said += 1;
        }
        said
    });
    // It takes in no word, not even the last.
    until("dropped", || hub.links.downstream().len() == 1).await;
    until("dropped", || hub.links.downstream().is_empty()).await;
    until("its line is gone", || hub.links.0.lines.count() == 0).await;
    assert!(flood.await.unwrap() > 0);
    drop(unread);
    let honest = land.start_with(&honest, by_tcp_alone(), &[&hub]);
    until("served", || honest.state() == UpstreamState::Connected).await;
}
