//! A new certificate for the key a node has: the hub gives one to whom the roster lists, and to
//! nobody else. One question (a PKCS#10 request), one answer (a certificate), each with four
//! bytes of length before it.

use std::{sync::Arc, time::Duration};

use cuntong_provisioning::{
    certificate::{self, CERTIFICATE_BYTES_MAX, REQUEST_BYTES_MAX},
    judge::Known,
    renew,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Shared, call,
    carrier::{Connection, Receiver, Sender},
    reason::Close,
    stream::exactly,
    tls,
};
use crate::clock::Chance;

/// The whole exchange.
const WITHIN: Duration = Duration::from_secs(20);

/// Why a certificate was not renewed.
pub(super) type Error = String;

/// Answers one request.
pub(super) async fn answer(shared: &Arc<Shared>, connection: &Connection, known: &Known) {
    let answered = tokio::time::timeout(WITHIN, give(shared, connection, known)).await;
    match answered {
        Ok(Ok(())) => tracing::info!(peer = %known.node, "certificate renewed"),
        Ok(Err(why)) => {
            tracing::warn!(peer = %known.node, %why, "certificate not renewed");
            connection.close(Close::Unwanted, "");
        }
        Err(_late) => connection.close(Close::Silent, ""),
    }
}

async fn give(shared: &Shared, connection: &Connection, known: &Known) -> Result<(), Error> {
    let renewer = shared.parts.renewer.as_ref().ok_or("not a renewer")?;
    let (mut send, mut receive) = connection.accept(false).await.map_err(|e| e.detail)?;
    let csr = hear(&mut receive, REQUEST_BYTES_MAX).await?;
    let ground = shared.ground();
    let certificate = renew::renew(&csr, known, renewer, &ground.trust, &mut Chance, ground.now)
        .map_err(|e| e.to_string())?;
    say(&mut send, &certificate).await?;
    send.finish().await;
    // The caller hangs up when it has its certificate.
    let _hung_up = connection.closed(false).await;
    Ok(())
}

/// Asks one upstream for a new certificate, and shows it from now on.
pub(super) async fn ask(shared: &Arc<Shared>, index: usize) -> Result<(), Error> {
    let asked = async {
        let mut line = call::call(shared, index, tls::ALPN_RENEW, false)
            .await
            .map_err(|failed| failed.detail)?;
        let csr = certificate::request(&shared.parts.keys.tls).map_err(|e| e.to_string())?;
        say(&mut line.send, &csr).await?;
        let der = hear(&mut line.receive, CERTIFICATE_BYTES_MAX).await?;
        line.connection.close(Close::Stop, "");
        let identity = certificate::identity_of(&der).map_err(|e| e.to_string())?;
        if shared.parts.keys.spki().map_err(|e| e.to_string())? != identity.spki {
            return Err("a certificate for another key".to_owned());
        }
        let own = (shared.parts.keep_certificate)(&der).map_err(|e| e.to_string())?;
        shared.show(own);
        tracing::info!("own certificate renewed");
        Ok(())
    };
    tokio::time::timeout(WITHIN, asked)
        .await
        .unwrap_or_else(|_late| Err("too late".to_owned()))
}

/// Asks for a new certificate in the background when a third of the present one's life is over.
pub(super) fn when_due(shared: &Arc<Shared>, index: usize) {
    let Some(issued) = shared.own_issued() else {
        return;
    };
    if shared.parts.clock.now() < renew::due(issued, shared.level) {
        return;
    }
    let shared = shared.clone();
    drop(tokio::spawn(async move {
        if let Err(error) = ask(&shared, index).await {
            tracing::info!(%error, "certificate not renewed yet");
        }
    }));
}

async fn say(stream: &mut Sender, bytes: &[u8]) -> Result<(), Error> {
    let length = u32::try_from(bytes.len()).map_err(|e| e.to_string())?;
    stream
        .write_all(&length.to_be_bytes())
        .await
        .map_err(|e| e.to_string())?;
    stream.write_all(bytes).await.map_err(|e| e.to_string())
}

async fn hear(stream: &mut Receiver, max: usize) -> Result<Vec<u8>, Error> {
    let mut prefix = [0; 4];
    stream
        .read_exact(&mut prefix)
        .await
        .map_err(|e| e.to_string())?;
    let length = u32::from_be_bytes(prefix) as usize;
    if length > max {
        return Err(format!("{length} bytes are too many"));
    }
    exactly(stream, length)
        .await
        .ok_or_else(|| "it broke off".to_owned())
}
