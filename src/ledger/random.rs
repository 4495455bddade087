//! Where randomness comes from: a port, so that a simulation repeats itself.

use ring::rand::SecureRandom as _;

/// A source of random bytes.
pub trait Random: Send + Sync {
    /// Fills all of `bytes`; an error means that there are none.
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()>;
}

/// The operating system's.
#[derive(Debug, Clone)]
pub struct SystemRandom(ring::rand::SystemRandom);

impl Default for SystemRandom {
    fn default() -> Self {
        SystemRandom(ring::rand::SystemRandom::new())
    }
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.fill(bytes).map_err(|_| std::io::Error::other("no random bytes"))
    }
}
