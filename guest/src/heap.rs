//! The allocator of a component.
//!
//! A component lives for one decision, so nothing needs to be given back: allocation moves a pointer
//! through memory that is part of the module from the start. Growing the memory would cost a system call
//! that every other decision in the process waits for (two threads then decide fewer messages than one),
//! so that happens only when the first 192 KiB are spent.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

const FIRST: usize = 192 * 1024;
const PAGE: usize = 64 * 1024;

#[repr(align(16))]
struct Arena(core::cell::UnsafeCell<[u8; FIRST]>);

/// A component has one thread: these are never shared.
struct Bump {
    next: Cell<usize>,
    end: Cell<usize>,
}

#[expect(
    unsafe_code,
    reason = "a component is single-threaded: threads are not in the engine's configuration"
)]
unsafe impl Sync for Arena {}
#[expect(
    unsafe_code,
    reason = "a component is single-threaded: threads are not in the engine's configuration"
)]
unsafe impl Sync for Bump {}

static ARENA: Arena = Arena(core::cell::UnsafeCell::new([0; FIRST]));

#[global_allocator]
static HEAP: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

#[expect(unsafe_code, reason = "an allocator is unsafe to write; this one only moves forward")]
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.end.get() == 0 {
            let start = ARENA.0.get() as usize;
            self.next.set(start);
            self.end.set(start + FIRST);
        }
        let start = self.next.get().next_multiple_of(layout.align());
        let Some(after) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
        if after > self.end.get() {
            return self.grow(layout);
        }
        self.next.set(after);
        start as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // The last block is taken back, so that a string that is built and dropped in a loop costs nothing.
        if block as usize + layout.size() == self.next.get() {
            self.next.set(block as usize);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next.get() && start + size <= self.end.get() {
            self.next.set(start + size);
            return block;
        }
        // SAFETY: `size` is not zero and does not overflow, as the caller of `realloc` promises.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least this long, and a fresh block overlaps no other.
            unsafe { core::ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
        }
        moved
    }
}

impl Bump {
    #[cold]
    fn grow(&self, layout: Layout) -> *mut u8 {
        let pages = (layout.size() + layout.align()).div_ceil(PAGE).max(4);
        let before = core::arch::wasm32::memory_grow(0, pages);
        if before == usize::MAX {
            return core::ptr::null_mut();
        }
        let start = (before * PAGE).next_multiple_of(layout.align());
        self.next.set(start + layout.size());
        self.end.set((before + pages) * PAGE);
        start as *mut u8
    }
}
