//! Uploads, over a session of their own.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::{
    io::AsyncReadExt,
    time::{Duration, Instant, sleep_until, timeout},
};

use super::{
    SshError, SshLink,
    channel::{Event, Session, SessionWriter},
};
use crate::{
    clean::Tail,
    link::{Exit, LinkError, UPLOAD_PATIENCE, upload::Upload},
};

/// Read and sent at once: a packet of SSH.
const CHUNK: usize = 32 << 10;

pub(super) async fn upload(link: &SshLink, mut upload: Upload<'_>) -> Result<(Exit, Vec<String>), LinkError> {
    let Session { mut reader, writer } = link.open(Some(&upload.command()), None).await?;
    let sent = AtomicU64::new(0);
    let send = send(&mut upload, &writer, &sent);
    tokio::pin!(send);
    let (mut said, mut sending) = (Tail::default(), true);
    let mut moved = (Instant::now(), 0);
    let result = loop {
        tokio::select! {
            end = &mut send, if sending => {
                sending = false;
                match end {
                    Err(error @ LinkError::File(_)) => break Err(error),
                    // A host that closed its input tells why in its exit status.
                    Ok(()) | Err(_) => moved.0 = Instant::now(),
                }
            }
            event = reader.next() => match event {
                Event::Out(_) => {}
                Event::Err(bytes) => said.push(&bytes),
                Event::End(exit) if exit == Exit::default() => {
                    break Err(SshError::Closed { at: link.at.clone(), source: None }.into());
                }
                Event::End(exit) => break Ok(exit),
            },
            () = sleep_until(moved.0 + UPLOAD_PATIENCE) => {
                let now = sent.load(Ordering::Relaxed);
                if now == moved.1 {
                    break Err(LinkError::Silent { at: link.at.clone(), after: UPLOAD_PATIENCE });
                }
                moved = (Instant::now(), now);
            }
        }
    };
    if result.is_err() {
        let _ = timeout(Duration::from_secs(1), writer.close()).await;
    }
    Ok((result?, said.lines()))
}

/// Sends a file, chunk by chunk: the next one is read when the last one is on its way.
async fn send(upload: &mut Upload<'_>, writer: &SessionWriter, sent: &AtomicU64) -> Result<(), LinkError> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        // A file gives less than it could at its end, or where it was read from a slow disk.
        let read = (&mut upload.file).take(CHUNK as u64).read_to_end(&mut chunk).await.map_err(LinkError::File)?;
        if read == 0 {
            writer.end().await?;
            return Ok(());
        }
        upload.pace.take(read).await;
        writer.write(chunk).await?;
        let all = sent.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        (upload.on)(all);
    }
}
