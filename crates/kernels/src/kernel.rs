//! A kernel: one contract and its bodies, one for each instruction set that has its own.
//!
//! Holds no arithmetic. A body is usually an `unsafe fn`, because it may use only what its instruction set
//! has.

use crate::isa::{self, Isa};

/// One contract with its bodies, slowest first; the first is [`Isa::Scalar`].
pub struct Kernel<B: 'static> {
    name: &'static str,
    bodies: &'static [(Isa, B)],
}

impl<B: Copy> Kernel<B> {
    /// A kernel from its table.
    pub const fn new(name: &'static str, bodies: &'static [(Isa, B)]) -> Self {
        assert!(matches!(bodies[0].0, Isa::Scalar), "the first body is scalar");
        Self { name, bodies }
    }

    /// The name under which it is reported.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The fastest body that [`isa::current`] allows.
    pub fn body(&self) -> B {
        self.body_for(isa::current())
    }

    /// The fastest body at or below `highest`, and at or below what this machine has.
    pub fn body_for(&self, highest: Isa) -> B {
        let highest = highest.min(isa::detected());
        let allowed = self.bodies.iter().rev().find(|(isa, _)| *isa <= highest);
        allowed.expect("the first body is scalar, which is below everything").1
    }

    /// The body for an instruction set, whether or not this machine has it: for tests that emulate one.
    #[cfg(test)]
    pub fn body_of(&self, isa: Isa) -> Option<B> {
        self.bodies.iter().find(|(own, _)| *own == isa).map(|(_, body)| *body)
    }

    /// Every body that this machine can run, slowest first.
    pub fn bodies_here(&self) -> impl Iterator<Item = (Isa, B)> + '_ {
        self.bodies.iter().copied().filter(|(isa, _)| *isa <= isa::detected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_allowed_body_is_chosen() {
        static NUMBERS: Kernel<u8> = Kernel::new("numbers", &[(Isa::Scalar, 0), (Isa::Avx2, 1)]);
        assert_eq!(NUMBERS.body_for(Isa::Scalar), 0);
        let best = u8::from(isa::detected() >= Isa::Avx2);
        assert_eq!(NUMBERS.body_for(Isa::Amx), best);
        assert_eq!(NUMBERS.bodies_here().count(), usize::from(best) + 1);
    }
}
