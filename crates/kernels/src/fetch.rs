//! Asking the caches for what is read soon.
//!
//! An address need not be valid: nothing is read, and nothing faults. Where a processor has no such instruction, nothing
//! happens.

/// Bytes that a cache fetches together.
pub(crate) const LINE: usize = 64;

/// Asks the first cache for the line at `address`.
#[inline(always)]
pub(crate) fn first_cache<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address; it is part of every x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    crate::lanes::neon::fetch(address);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// Asks the second cache for the line at `address`.
#[inline(always)]
pub(crate) fn second_cache<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    crate::lanes::neon::fetch_to_second(address);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
