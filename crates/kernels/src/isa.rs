//! Which instruction set runs: what the machine has, and a lower one that a person or a test may force.
//!
//! Reads no environment variable: `cli` and `testkit` read `HEARTH_ISA` and call [`limit`]. Source for AMX:
//! Intel SDM volume 1 chapter 18 (CPUID leaf 7, XCR0) and Linux `Documentation/arch/x86/xstate.rst`
//! (permission by `arch_prctl`); the standard library's detection of AMX is unstable.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Error;

/// An instruction set, slowest first; those of aarch64 stand before those of x86-64, and no machine has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Isa {
    /// Plain Rust, whatever the target's baseline is.
    Scalar,
    /// NEON of aarch64, with fused multiply-adds.
    Neon,
    /// Sums of products of signed bytes (FEAT_DotProd), above everything in [`Isa::Neon`].
    NeonDotprod,
    /// Those of unsigned with signed bytes, and products of small matrices of them (FEAT_I8MM), above everything in
    /// [`Isa::NeonDotprod`].
    NeonI8mm,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL, above everything in [`Isa::Avx2`].
    Avx512,
    /// AVX-512 VNNI, sums of products of bytes, above everything in [`Isa::Avx512`].
    Avx512Vnni,
    /// AVX512-BF16, sums of products of bf16, above everything in [`Isa::Avx512Vnni`].
    Avx512Bf16,
    /// AVX512-FP16, arithmetic on half-precision numbers, above everything in [`Isa::Avx512Bf16`].
    Avx512Fp16,
    /// AMX tiles with bf16 and int8, above everything in [`Isa::Avx512Fp16`], with the system's permission.
    Amx,
}

impl Isa {
    /// Every instruction set, slowest first.
    pub const ALL: [Isa; 10] = [
        Isa::Scalar,
        Isa::Neon,
        Isa::NeonDotprod,
        Isa::NeonI8mm,
        Isa::Avx2,
        Isa::Avx512,
        Isa::Avx512Vnni,
        Isa::Avx512Bf16,
        Isa::Avx512Fp16,
        Isa::Amx,
    ];

    /// The name that `HEARTH_ISA` uses.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Neon => "neon",
            Isa::NeonDotprod => "neondotprod",
            Isa::NeonI8mm => "neoni8mm",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Avx512Bf16 => "avx512bf16",
            Isa::Avx512Fp16 => "avx512fp16",
            Isa::Amx => "amx",
        }
    }

    /// Whether processors of the kind that this program is built for may have it.
    fn is_native(self) -> bool {
        let native =
            if cfg!(target_arch = "aarch64") { Isa::Neon..=Isa::NeonI8mm } else { Isa::Avx2..=Isa::Amx };
        self == Isa::Scalar || native.contains(&self)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let lower = name.trim().to_ascii_lowercase();
        let found = Isa::ALL.into_iter().find(|isa| isa.name() == lower);
        found.ok_or_else(|| Error::UnknownIsa { name: name.to_owned() })
    }
}

/// The highest that may be used, as [`limit`] set it.
static LIMIT: AtomicU8 = AtomicU8::new(Isa::Amx as u8);

/// The highest instruction set that this machine has and its system allows. Asked once; where there is AMX,
/// the first call asks the system for its permission, so make it before other threads start.
pub fn detected() -> Isa {
    static DETECTED: OnceLock<Isa> = OnceLock::new();
    *DETECTED.get_or_init(detect)
}

/// The instruction set from which kernels choose: the detected one, or the limit if that is lower.
pub fn current() -> Isa {
    let limit = Isa::ALL[LIMIT.load(Ordering::Relaxed) as usize];
    detected().min(limit)
}

/// Lets nothing above `highest` be used from now on, in the whole process; returns what is then current.
/// [`Isa::Amx`] lifts the limit. Results may change in their last bits with the instruction set.
pub fn limit(highest: Isa) -> Isa {
    let allowed = &Isa::ALL[..=highest as usize];
    let highest = allowed.iter().rfind(|isa| isa.is_native()).expect("the first is scalar, which all have");
    LIMIT.store(*highest as u8, Ordering::Relaxed);
    current()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Isa {
    Isa::Scalar
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Isa {
    use std::arch::is_aarch64_feature_detected as has;
    // A guest system may hide one and show the next.
    let dotprod = has!("dotprod");
    match (dotprod, dotprod && has!("i8mm")) {
        (_, true) => Isa::NeonI8mm,
        (true, _) => Isa::NeonDotprod,
        _ => Isa::Neon,
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    use std::arch::is_x86_feature_detected as has;
    let avx2 = has!("avx2") && has!("fma") && has!("f16c");
    let avx512 = avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
    let vnni = avx512 && has!("avx512vnni");
    // Every processor with AVX512-FP16 has VNNI and BF16, every one with AMX has all three; a guest system that hides one of
    // them gets none above it.
    let bf16 = vnni && has!("avx512bf16");
    let fp16 = bf16 && has!("avx512fp16");
    match (avx2, avx512, vnni, bf16, fp16) {
        (_, _, _, _, true) if amx::is_usable() => Isa::Amx,
        (_, _, _, _, true) => Isa::Avx512Fp16,
        (_, _, _, true, _) => Isa::Avx512Bf16,
        (_, _, true, _, _) => Isa::Avx512Vnni,
        (_, true, _, _, _) => Isa::Avx512,
        (true, _, _, _, _) => Isa::Avx2,
        _ => Isa::Scalar,
    }
}

/// AMX: the processor has it, the system saves its registers, and this process may use it.
#[cfg(target_arch = "x86_64")]
mod amx {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    /// EDX of leaf 7: bf16 (22), tiles (24), int8 (25).
    const EDX_BITS: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    /// XCR0: the tile configuration (17) and the tile data (18).
    const XCR0_BITS: u64 = 1 << 17 | 1 << 18;

    pub fn is_usable() -> bool {
        processor_has_it() && system_saves_it() && is_permitted()
    }

    fn processor_has_it() -> bool {
        __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & EDX_BITS == EDX_BITS
    }

    fn system_saves_it() -> bool {
        const OSXSAVE: u32 = 1 << 27;
        if __cpuid(1).ecx & OSXSAVE == 0 {
            return false;
        }
        let (low, high): (u32, u32);
        // SAFETY: OSXSAVE says that xgetbv exists; it reads XCR0 and touches only the three registers named.
        unsafe {
            asm!("xgetbv", in("ecx") 0u32, out("eax") low, out("edx") high,
                options(nomem, nostack, preserves_flags));
        }
        (u64::from(high) << 32 | u64::from(low)) & XCR0_BITS == XCR0_BITS
    }

    #[cfg(target_os = "linux")]
    fn is_permitted() -> bool {
        const ARCH_PRCTL: u64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let result: i64;
        // SAFETY: the system call takes two numbers, no pointers, and grants a permission to this process;
        // `syscall` overwrites rcx and r11, which are named.
        unsafe {
            asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") TILE_DATA, out("rcx") _, out("r11") _, options(nostack));
        }
        result == 0
    }

    /// Other systems give no way to ask that is known to us.
    #[cfg(not(target_os = "linux"))]
    fn is_permitted() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for isa in Isa::ALL {
            assert_eq!(isa.name().parse(), Ok(isa));
            assert_eq!(isa.name().to_uppercase().parse(), Ok(isa));
        }
        assert_eq!("sse9".parse::<Isa>(), Err(Error::UnknownIsa { name: "sse9".into() }));
    }

    #[test]
    fn a_limit_lowers_and_never_raises() {
        // Other tests of this process choose bodies by hand, so a limit that lasts a moment harms none.
        assert_eq!(limit(Isa::Scalar), Isa::Scalar);
        assert_eq!(limit(Isa::Avx2), detected().min(Isa::Avx2));
        // Those of another kind of processor are the highest below them of this one.
        let other = if cfg!(target_arch = "aarch64") { detected() } else { Isa::Scalar };
        assert_eq!(limit(Isa::NeonI8mm), other);
        assert_eq!(limit(Isa::Amx), detected());
    }
}
