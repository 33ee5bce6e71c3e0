//! Measures a link from its two ends: `probe serve` at the hub; at the node `probe rtt COUNT` asks
//! by UDP and waits for each answer, `probe bulk BYTES` sends by TCP, `probe flood COUNT` sends UDP
//! as fast as it can. Each prints one line of JSON.

#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use benches::link::{HUB, NODE};
use serde_json::json;

const UDP: SocketAddrV4 = SocketAddrV4::new(HUB, 7001);
const TCP: SocketAddrV4 = SocketAddrV4::new(HUB, 7002);
/// Payload of one UDP packet, bytes.
const PAYLOAD: usize = 172;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let count = || -> Result<usize> { Ok(words.get(1).context("how many?")?.parse()?) };
    match words.first().map(String::as_str) {
        Some("serve") => serve(),
        Some("rtt") => rtt(count()?),
        Some("bulk") => bulk(count()?),
        Some("flood") => flood(count()?),
        Some(_) | None => bail!("serve, rtt, bulk or flood"),
    }
}

fn serve() -> Result<()> {
    let echo = UdpSocket::bind(UDP)?;
    let sink = TcpListener::bind(TCP)?;
    println!("ready");
    let _thread = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = echo.recv_from(&mut buffer) {
            // Flooding packets are not answered.
            if buffer[0] == 0 {
                let _lost = echo.send_to(&buffer[..length], from);
            }
        }
    });
    for stream in sink.incoming() {
        let mut stream = stream?;
        let taken = std::io::copy(&mut stream, &mut std::io::sink())?;
        stream.write_all(&taken.to_be_bytes())?;
    }
    Ok(())
}

/// Milliseconds of each answer; none for one that did not come within two seconds.
fn rtt(count: usize) -> Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(NODE, 0))?;
    socket.connect(UDP)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut took = Vec::new();
    for _packet in 0..count {
        let began = Instant::now();
        let _all = socket.send(&[0; PAYLOAD])?;
        let answer = socket.recv(&mut [0; 2048]);
        took.push(
            answer
                .ok()
                .map(|_length| began.elapsed().as_secs_f64() * 1e3),
        );
    }
    println!("{}", json!({ "rtt_ms": took }));
    Ok(())
}

fn bulk(bytes: usize) -> Result<()> {
    let mut stream = TcpStream::connect(TCP)?;
    let began = Instant::now();
    stream.write_all(&vec![0x5a; bytes])?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut taken = [0; 8];
    stream.read_exact(&mut taken)?;
    let taken = u64::from_be_bytes(taken);
    println!(
        "{}",
        json!({ "bytes": taken, "s": began.elapsed().as_secs_f64() })
    );
    Ok(())
}

fn flood(count: usize) -> Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(NODE, 0))?;
    for _packet in 0..count {
        let _all = socket.send_to(&[1; PAYLOAD], UDP)?;
    }
    println!("{}", json!({ "sent": count }));
    Ok(())
}
