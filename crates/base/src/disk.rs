//! The disk behind a trait, so that tests can inject faults and a later guard can seal what is written.
