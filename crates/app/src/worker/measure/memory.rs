//! How much memory there is and how much this program holds, as Linux tells it; elsewhere nothing is known.
//!
//! Source: proc(5), the files `meminfo` and `self/status`.

/// Bytes that programs can still take without pushing others out.
pub(crate) fn available() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:")
}

/// Whether the system gives large pages to those who ask.
pub(crate) fn has_large_pages() -> bool {
    // Source: the kernel's documentation of transparent huge pages.
    let said = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    said.is_ok_and(|said| !said.contains("[never]"))
}

/// Bytes that this program holds now.
pub(crate) fn held() -> Option<u64> {
    kibibytes("/proc/self/status", "VmRSS:")
}

/// Lets the most bytes that this program has held be counted anew from now. Where the system does not let one, they are
/// counted from its start.
pub(crate) fn forget_peak() {
    // Source: proc(5), `clear_refs`: 5 sets the peak to what is held now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most bytes that this program has held, since they were last forgotten.
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peak_can_be_forgotten() {
        const BYTES: usize = 256 << 20;
        drop(std::hint::black_box(vec![1u8; BYTES]));
        let before = peak().unwrap();
        assert!(before > BYTES as u64);
        forget_peak();
        // Other tests hold memory at the same time, but not so much.
        assert!(peak().unwrap() < before);
    }

    /// A model of a short text takes no more than that text needs, however much it may take.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_empty_cache_takes_no_memory() {
        const BYTES: usize = 2 << 30;
        // The many pools of the second are smaller than what the allocator maps of itself.
        for n_layers in [8, 64] {
            let config =
                models::Config::new([9, 512, n_layers, 9, 1 << 16], [8, 8], &models::families::LLAMA.gguf);
            let before = held().unwrap();
            let (block, storage) = (infer::BLOCK, ops::weight::Storage::F16);
            let n_pages = BYTES / models::KvCache::block_bytes(&config, block, storage).unwrap();
            let cache = models::KvCache::new(&config, [n_pages, block], storage, &ops::device::cpu());
            assert!(cache.size_bytes() > BYTES / 2);
            // Other tests take memory at the same time, but not so much.
            assert!(held().unwrap().saturating_sub(before) < BYTES as u64 / 2, "{n_layers} layers");
        }
    }
}
