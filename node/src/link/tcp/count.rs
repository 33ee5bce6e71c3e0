//! Counts what passes a TCP connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::store::Traffic;

/// Bytes so far, TLS included.
#[derive(Debug, Default)]
pub(super) struct Count {
    up: AtomicU64,
    down: AtomicU64,
}

impl Count {
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            up: self.up.load(Ordering::Relaxed),
            down: self.down.load(Ordering::Relaxed),
        }
    }
}

/// A stream whose bytes are counted.
pub(super) struct Counted {
    stream: TcpStream,
    count: Arc<Count>,
}

/// The stream, and where its count is read.
pub(super) fn counted(stream: TcpStream) -> (Counted, Arc<Count>) {
    let count = Arc::new(Count::default());
    // Frames are small and wait for nothing; without it each would wait for an acknowledgement.
    let _slower = stream.set_nodelay(true);
    let counted = Counted {
        stream,
        count: count.clone(),
    };
    (counted, count)
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        let came = (into.filled().len() - before) as u64;
        let _sum = this.count.down.fetch_add(came, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(went)) = written {
            let _sum = this.count.up.fetch_add(went as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
