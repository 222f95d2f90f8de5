//! The program's end, asked for by SIGTERM or Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells tasks that the program is to end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens for both signals from now on.
    pub(crate) fn on_signals() -> std::io::Result<Shutdown> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sender.send_replace(true);
        });
        Ok(Shutdown(receiver))
    }

    /// Waits for the end.
    pub(crate) async fn wait(mut self) {
        // An error means that the sender is gone, which it is only after it has sent.
        let _ = self.0.wait_for(|ended| *ended).await;
    }
}
