//! `DIR/control.sock`: how the command line talks to the node that runs in a directory.
//!
//! One line of JSON asks, one line answers. Whoever may open the socket owns the directory (mode
//! 0600), and the owner of the directory may act as any person of its site.

use std::{
    future::Future,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cuntong_protocol::limits::INBOX_FILE_BYTES_MAX;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};

use crate::{
    exit::{Exit, Failure},
    request::{Reply, Request},
    stop::Stop,
};

/// Name of the socket in a state directory.
pub const NAME: &str = "control.sock";
/// Longest line either way: a list of cases fits, and the largest file of the inbox.
const LINE_BYTES_MAX: u64 = 2 * INBOX_FILE_BYTES_MAX + 1024;
/// Conversations at once.
const TALKS_MAX: usize = 16;
/// A caller that says nothing is dropped.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// Listens in `dir` until `stop`, answering each line with `answer`.
///
/// The caller holds the directory's lock, so a socket that is already there belongs to a node
/// that is gone, and is replaced.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve<F, A>(dir: &Path, stop: Stop, answer: F) -> std::io::Result<()>
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Reply> + Send,
{
    let path = path(dir);
    let _none_there = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let answer = Arc::new(answer);
    let room = Arc::new(Semaphore::new(TALKS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.stopped() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, _from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "control socket does not accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            continue;
        };
        let (answer, stop) = (answer.clone(), stop.clone());
        let _detached = tokio::spawn(async move {
            let talked = tokio::select! {
                talked = talk(stream, &*answer) => talked,
                () = stopped_and_a_moment(&stop) => Ok(()),
            };
            if let Err(error) = talked {
                tracing::debug!(%error, "control conversation broke off");
            }
            drop(place);
        });
    }
    let _gone_already = std::fs::remove_file(&path);
    Ok(())
}

/// An answer that is under way when the node stops still gets out.
async fn stopped_and_a_moment(stop: &Stop) {
    stop.stopped().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

async fn talk<F, A>(stream: UnixStream, answer: &F) -> std::io::Result<()>
where
    F: Fn(Request) -> A,
    A: Future<Output = Reply>,
{
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(LINE_BYTES_MAX));
    loop {
        let mut line = String::new();
        let asked = tokio::time::timeout(ASK_WITHIN, read.read_line(&mut line)).await;
        match asked {
            Err(_silent) => return Ok(()),
            Ok(Ok(0)) => return Ok(()),
            Ok(other) => drop(other?),
        }
        read.get_mut().set_limit(LINE_BYTES_MAX);
        let reply = match serde_json::from_str(&line) {
            Ok(request) => answer(request).await,
            Err(error) => Err(Failure::usage(format!("not a request: {error}"))),
        };
        let mut line = serde_json::to_vec(&reply)?;
        line.push(b'\n');
        write.write_all(&line).await?;
    }
}

/// Asks the node that runs in `dir`; `None` when none does.
///
/// # Errors
/// The node's own failure, or `TryLater` when it breaks off.
pub async fn ask(dir: &Path, request: &Request) -> Option<Reply> {
    let stream = UnixStream::connect(path(dir)).await.ok()?;
    let reply = exchange(stream, request).await;
    Some(reply.unwrap_or_else(|error| {
        Err(Failure::new(
            Exit::TryLater,
            format!("节点没有答复:{error}"),
        ))
    }))
}

async fn exchange(stream: UnixStream, request: &Request) -> std::io::Result<Reply> {
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    let mut line = String::new();
    let read = BufReader::new(read.take(LINE_BYTES_MAX))
        .read_line(&mut line)
        .await?;
    if read == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("ct-sock-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _left_behind = std::fs::remove_dir_all(&self.0);
        }
    }

    async fn answer(request: Request) -> Reply {
        if matches!(request, Request::Status) {
            Ok(serde_json::json!({ "node": "n-1" }))
        } else {
            Err(Failure::new(Exit::NotPermitted, request.word()))
        }
    }

    #[tokio::test]
    async fn a_running_node_answers_and_its_failures_keep_their_exit_code() {
        let place = Place::new("answers");
        let (stopper, stop) = stop::pair();
        let dir = place.0.clone();
        let served = tokio::spawn(async move { serve(&dir, stop, answer).await });
        let reply = loop {
            match ask(&place.0, &Request::Status).await {
                Some(reply) => break reply,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(reply.unwrap()["node"], "n-1");
        let refused = ask(&place.0, &Request::Verify).await.unwrap().unwrap_err();
        assert_eq!(refused.exit, Exit::NotPermitted);
        let mode = std::fs::metadata(path(&place.0))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        stopper.stop();
        served.await.unwrap().unwrap();
        assert!(ask(&place.0, &Request::Status).await.is_none());
    }

    #[tokio::test]
    async fn what_is_not_a_request_is_answered_and_the_conversation_goes_on() {
        let place = Place::new("garbage");
        let (stopper, stop) = stop::pair();
        let dir = place.0.clone();
        let served = tokio::spawn(async move { serve(&dir, stop, answer).await });
        while ask(&place.0, &Request::Status).await.is_none() {
            tokio::task::yield_now().await;
        }
        let stream = UnixStream::connect(path(&place.0)).await.unwrap();
        let (read, mut write) = stream.into_split();
        write
            .write_all(b"{\"do\":\"nothing\"}\n{\"do\":\"status\"}\n")
            .await
            .unwrap();
        let mut lines = BufReader::new(read).lines();
        assert!(lines.next_line().await.unwrap().unwrap().contains("usage"));
        assert!(lines.next_line().await.unwrap().unwrap().contains("n-1"));
        stopper.stop();
        served.await.unwrap().unwrap();
    }
}
