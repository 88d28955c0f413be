//! How much memory there is and how much this program holds, as Linux tells it; elsewhere nothing is known.
//!
//! Source: proc(5), the files `meminfo` and `self/status`.

/// Bytes that programs can still take without pushing others out.
pub(crate) fn available() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:")
}

/// Bytes that this program holds now.
pub(crate) fn held() -> Option<u64> {
    kibibytes("/proc/self/status", "VmRSS:")
}

/// The most bytes that this program has held.
pub(crate) fn peak() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

fn kibibytes(path: &str, key: &str) -> Option<u64> {
    find(&std::fs::read_to_string(path).ok()?, key)
}

fn find(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_name() {
        let text = "VmPeak:\t  100 kB\nVmHWM:\t    2048 kB\nThreads:\t3\n";
        assert_eq!(find(text, "VmHWM:"), Some(2048 * 1024));
        assert_eq!((find(text, "Threads:"), find(text, "VmRSS:")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_program_holds_something() {
        assert!(held().unwrap() > 0 && peak().unwrap() >= held().unwrap() / 2);
        assert!(available().unwrap() > 0);
    }
}
