//! What an op costs: the arithmetic and the memory traffic from which time and energy are predicted.

/// The work of one call of an op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts as two.
    pub flops: usize,
    /// Bytes read and written, each operand counted once.
    pub bytes: usize,
}
