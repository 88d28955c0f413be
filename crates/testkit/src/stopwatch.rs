//! How long something computes, whatever else the machine does meanwhile.
//!
//! Not for what waits: time in which this thread stands still is not counted, nor is what other threads do for it.

use std::time::Duration;

/// The processor's time of the thread that made it, from then on.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Begins to count.
    pub fn start() -> Self {
        Self(computed())
    }

    /// How long this thread has computed since. To be asked on the thread that began.
    pub fn computed(&self) -> Duration {
        computed().saturating_sub(self.0)
    }
}

/// How long this thread has computed.
#[cfg(target_os = "linux")]
fn computed() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// How long this program has run: the next best.
#[cfg(not(target_os = "linux"))]
fn computed() -> Duration {
    static BEGUN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGUN.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn sleep_is_not_counted_and_work_is() {
        let watch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(50));
        assert!(watch.computed() < Duration::from_millis(50));
        let begun = watch.computed();
        while watch.computed() == begun {}
        assert!(watch.computed() > begun);
    }
}
