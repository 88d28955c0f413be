//! Slows down who presents wrong keys, address by address, without locking anybody out.
//!
//! Does not: stand in the way of a right key. Check the key first; only a wrong one is counted here and answered with
//! the wait. So the owner comes in from an address from which somebody else guesses. Guessing is hopeless anyway (256
//! random bits): what is saved is the work, and the log from filling.
//!
//! A plain value in memory, of bounded size; the time is passed in. It forgets at a restart.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::HashMap;

/// So many wrong keys are a person's typing errors: no wait.
const N_FREE: u32 = 5;
/// The first wait; each further wrong key doubles it.
const FIRST_WAIT_MS: u64 = 1_000;
const MAX_WAIT_MS: u64 = 60_000;
/// After so long without a wrong key an address is forgotten.
const FORGET_MS: u64 = 15 * 60_000;
/// So many addresses are remembered (about 200 KiB).
const CAPACITY: usize = 4_096;

/// The wrong keys of late, by address.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    addresses: HashMap<IpAddr, Wrong>,
}

#[derive(Clone, Copy, Debug)]
struct Wrong {
    n_wrong: u32,
    last_ms: u64,
}

impl Backoff {
    /// Counts a wrong key from an address. Gives how many milliseconds it should wait before the next one; 0 for the
    /// first few. A server answers 401 to a wait of 0, and 429 with `Retry-After` to a longer one.
    pub fn wrong(&mut self, address: IpAddr, now_unix_ms: u64) -> u64 {
        let address = source(address);
        if !self.addresses.contains_key(&address) && self.addresses.len() >= CAPACITY {
            self.make_room(now_unix_ms);
        }
        let fresh = Wrong { n_wrong: 0, last_ms: now_unix_ms };
        let wrong = self.addresses.entry(address).or_insert(fresh);
        if wrong.is_forgotten(now_unix_ms) {
            *wrong = fresh;
        }
        wrong.n_wrong = wrong.n_wrong.saturating_add(1);
        wrong.last_ms = now_unix_ms;
        wrong.wait_ms()
    }

    /// How many milliseconds an address should still wait; 0 when it need not. A right key needs not ask.
    pub fn wait_ms(&self, address: IpAddr, now_unix_ms: u64) -> u64 {
        let Some(wrong) = self.addresses.get(&source(address)) else { return 0 };
        // A clock that went back ends the wait: else it might last until the clock is there again.
        let passed_ms = now_unix_ms.checked_sub(wrong.last_ms).unwrap_or(u64::MAX);
        wrong.wait_ms().saturating_sub(passed_ms)
    }

    /// Forgets the one whose wrong keys matter least: the forgotten, then the fewest, then the oldest.
    fn make_room(&mut self, now_unix_ms: u64) {
        let rank = |wrong: &Wrong| (!wrong.is_forgotten(now_unix_ms), wrong.n_wrong, wrong.last_ms);
        let least = self.addresses.iter().min_by_key(|(_, wrong)| rank(wrong)).map(|(address, _)| *address);
        if let Some(least) = least {
            self.addresses.remove(&least);
        }
    }
}

impl Wrong {
    fn wait_ms(&self) -> u64 {
        let Some(doublings) = self.n_wrong.checked_sub(N_FREE + 1) else { return 0 };
        FIRST_WAIT_MS.checked_shl(doublings.min(32)).unwrap_or(MAX_WAIT_MS).min(MAX_WAIT_MS)
    }

    fn is_forgotten(&self, now_unix_ms: u64) -> bool {
        now_unix_ms.saturating_sub(self.last_ms) >= FORGET_MS
    }
}

/// Whom an address stands for: an IPv4 address, also in its IPv6 form, itself; of IPv6 the /64 that a house is given
/// as a whole (RFC 6177), since its owner may take any address in it.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_wait_doubles_after_a_few_and_ends_at_a_minute() {
        let mut backoff = Backoff::default();
        let from = address("192.168.1.7");
        let waits: Vec<u64> = (0..14).map(|second| backoff.wrong(from, second * 1_000)).collect();
        assert_eq!(waits[..5], [0; 5]);
        assert_eq!(waits[5..], [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!(backoff.wait_ms(from, 13_000), 60_000);
        assert_eq!(backoff.wait_ms(from, 43_000), 30_000);
        assert_eq!(backoff.wait_ms(from, 73_000), 0);
        assert_eq!(backoff.wait_ms(address("192.168.1.8"), 13_000), 0, "nobody else waits");
        assert_eq!(backoff.wrong(from, 13_000 + FORGET_MS), 0, "after a quarter of an hour it begins anew");
    }

    #[test]
    fn very_many_wrong_keys_do_not_overflow() {
        let mut backoff = Backoff::default();
        let from = address("::1");
        backoff.addresses.insert(source(from), Wrong { n_wrong: u32::MAX, last_ms: 5 });
        assert_eq!(backoff.wrong(from, 5), MAX_WAIT_MS);
        assert_eq!(backoff.wait_ms(from, u64::MAX), 0);
    }

    #[test]
    fn a_clock_that_jumps_keeps_nobody_waiting() {
        const YEAR_MS: u64 = 365 * 24 * 60 * 60_000;
        let mut backoff = Backoff::default();
        let from = address("10.0.0.1");
        for _ in 0..20 {
            backoff.wrong(from, 10 * YEAR_MS);
        }
        assert_eq!(backoff.wait_ms(from, 9 * YEAR_MS), 0);
        // The next wrong key counts by the clock as it is now.
        assert_eq!(backoff.wrong(from, 9 * YEAR_MS), MAX_WAIT_MS);
        assert_eq!(backoff.wait_ms(from, 9 * YEAR_MS + MAX_WAIT_MS), 0);
        assert_eq!(backoff.wait_ms(from, 20 * YEAR_MS), 0);
    }

    #[test]
    fn a_network_counts_as_one_and_forms_of_an_address_too() {
        let mut backoff = Backoff::default();
        for last in 1..=6 {
            backoff.wrong(address(&format!("2001:db8:0:1::{last}")), 0);
        }
        assert_eq!(backoff.wait_ms(address("2001:db8:0:1:ffff::9"), 0), 1_000);
        assert_eq!(backoff.wait_ms(address("2001:db8:0:2::1"), 0), 0);
        for _ in 0..6 {
            backoff.wrong(address("::ffff:10.0.0.1"), 0);
        }
        assert_eq!(backoff.wait_ms(address("10.0.0.1"), 0), 1_000);
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_it_nor_frees_who_guesses() {
        let mut backoff = Backoff::default();
        let guesser = address("203.0.113.9");
        for _ in 0..10 {
            backoff.wrong(guesser, 0);
        }
        for number in 0..2 * CAPACITY as u32 {
            backoff.wrong(IpAddr::from(number.to_be_bytes()), 1);
            assert!(backoff.addresses.len() <= CAPACITY);
        }
        assert_eq!(backoff.wait_ms(guesser, 1), 15_999);
    }
}
