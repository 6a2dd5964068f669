//! One Wasmtime engine for the process, with everything a decision does not need switched off.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// Instances that may be alive at once. A decision is a few microseconds, so this bounds memory, not speed.
const INSTANCES: u32 = 64;

/// How often the epoch moves; a deadline is a whole number of these.
const TICK: Duration = Duration::from_millis(10);

/// What one decision may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wasmtime fuel, roughly one unit an instruction. It is the budget: the same decision always uses the
    /// same fuel.
    pub fuel: u64,
    /// Wall time, the backstop behind fuel, rounded up to 10 ms.
    pub deadline: Duration,
    /// Bytes of linear memory, at most [`Limits::MEMORY_MAX`].
    pub memory: usize,
    /// Bytes that may cross from the component to the host, in one call of an import and in the answer.
    pub data: usize,
    /// Bytes of everything that is asked of the host and answered, which is what a decision record keeps.
    pub transcript: usize,
    /// Calls of imports.
    pub calls: u32,
}

impl Limits {
    /// What the pool can serve at most, in bytes.
    pub const MEMORY_MAX: usize = 64 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            fuel: 200_000_000,
            // Fuel ends a loop after a fraction of this, also on a busy machine: so the end is always the same.
            deadline: Duration::from_secs(2),
            memory: 32 << 20,
            data: 256 << 10,
            transcript: 1 << 20,
            calls: 256,
        }
    }
}

/// The engine.
pub struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    free: Mutex<u32>,
    freed: Condvar,
    compiled: Mutex<BTreeMap<String, Component>>,
    hash: String,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime refused the configuration, or the machine cannot give the address space.
    #[error(
        "set up the policy engine; it reserves 4 GiB of address space for each of {INSTANCES} instances' memories, which \
         `ulimit -v` must allow"
    )]
    Configuration(#[source] wasmtime::Error),
    /// The thread that ends decisions that overrun could not be started.
    #[error("start the thread that ends decisions that overrun")]
    Ticker(#[source] std::io::Error),
}

impl Engine {
    /// Sets up the engine and its epoch thread, which ends with it.
    pub fn new() -> Result<Engine, EngineError> {
        let wasm = wasmtime::Engine::new(&configuration()).map_err(EngineError::Configuration)?;
        let weak = wasm.weak();
        std::thread::Builder::new()
            .name("policy-epoch".into())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    pause();
                }
            })
            .map_err(EngineError::Ticker)?;
        let hash = hash(&wasm);
        let free = Mutex::new(INSTANCES);
        Ok(Engine { wasm, free, freed: Condvar::new(), compiled: Mutex::default(), hash })
    }

    /// Compiles a component, once for all the projects that use it.
    pub(crate) fn compile(&self, digest: &str, bytes: &[u8]) -> wasmtime::Result<Component> {
        let known = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(component) = known {
            return Ok(component);
        }
        let component = Component::from_binary(&self.wasm, bytes)?;
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.insert(digest.into(), component.clone());
        Ok(component)
    }

    /// Names the engine's version and configuration. Fuel is comparable only under the same hash.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Wasmtime's own engine, for the benchmark that compares with bare calls.
    #[doc(hidden)]
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// Waits for a place in the pool, which would otherwise refuse the instance.
    pub(crate) fn place(&self) -> Place<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Place(self)
    }
}

/// A place in the pool, given back when dropped.
pub(crate) struct Place<'a>(&'a Engine);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// Epoch ticks that make up a deadline. One more than the quotient, because the current tick has begun.
pub(crate) fn ticks(deadline: Duration) -> u64 {
    u64::try_from(deadline.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 4) + 1
}

#[expect(clippy::disallowed_methods, reason = "the epoch is wall time: it ends what fuel did not")]
fn pause() {
    std::thread::sleep(TICK);
}

fn configuration() -> Config {
    let mut config = Config::new();
    // What a decision does not need is not there to be attacked. GC, threads, exceptions and async are not
    // even compiled in (see `wasmtime` in the workspace's manifest).
    config.concurrency_support(false);
    config.shared_memory(false);
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    config.gc_support(false);
    // The same request gives the same answer on every machine.
    config.cranelift_nan_canonicalization(true);
    // Fuel is the budget, the epoch is the backstop.
    config.consume_fuel(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(512 << 10);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 8)
        .total_memories(INSTANCES * 2)
        .total_tables(INSTANCES * 8)
        .max_core_instances_per_component(32)
        .max_memories_per_component(4)
        .max_tables_per_component(16)
        .max_memory_size(Limits::MEMORY_MAX)
        .table_elements(50_000);
    // A slot keeps its pages and only the dirty ones are cleared, which halves the cost of a fresh instance;
    // without the kernel's help (Linux 6.7) keeping them would make it dearer.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(4 << 20).table_keep_resident(64 << 10);
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn hash(engine: &wasmtime::Engine) -> String {
    use std::hash::{Hash, Hasher};
    /// Feeds a SHA-256, so that the name does not depend on the process's hash seed.
    struct Sha(sha2::Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            sha2::Digest::update(&mut self.0, bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(sha2::Digest::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    hex::encode(&sha2::Digest::finalize(sha.0)[..8])
}
