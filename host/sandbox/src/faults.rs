//! What goes wrong on purpose.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::world::World;

/// How creating a message or a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateFault {
    /// Twilio says no, and there is no message.
    Refuse { code: u32, status: u16 },
    /// HTTP 429 with 20429: too many requests at once, and this one was not looked at.
    RateLimited,
    /// HTTP 500, and the message goes out all the same.
    Error500ButSent,
    /// HTTP 500, and there is no message.
    Error500NotSent,
    /// The message goes out, and the connection breaks before the answer.
    AcceptThenDrop,
    /// The connection breaks before the answer, and there is no message.
    DropNotSent,
    /// The message goes out, and the answer comes so much later, in real time.
    Slow(Duration),
    /// The message goes out, and the answer waits for [`Faults::release`].
    AnswerWhenReleased,
}

/// What becomes of a message's or a call's status callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackFault {
    /// Each is posted twice, the second time with the same idempotency token.
    Duplicate,
    /// The last is posted first.
    Reorder,
    /// None is posted.
    Drop,
}

/// What REDCap answers instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedcapFault {
    /// The connection breaks.
    Down,
    /// A web page with status 200, as a proxy or a PHP error gives.
    HtmlError,
    /// HTTP 403, as after a right was taken away.
    NotPermitted,
}

/// How often each end of a create comes up, in relation to the others. All zero accepts everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreateMix {
    pub accept: u32,
    pub accept_then_drop: u32,
    pub error_500_but_sent: u32,
    pub error_500_not_sent: u32,
    pub rate_limited: u32,
    pub drop_not_sent: u32,
}

/// How often each end of a message's callbacks comes up, in relation to the others. All zero delivers
/// everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallbackMix {
    pub deliver: u32,
    pub duplicate: u32,
    pub reorder: u32,
    pub drop: u32,
}

/// A create whose bytes have all arrived, before anything is done about it.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateSeen {
    /// Counts the creates of this sandbox, from 1.
    pub nth: u64,
    /// The recipient, as the request has it.
    pub to: String,
    /// Whether it is a call.
    pub is_call: bool,
}

impl fmt::Debug for CreateSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSeen")
            .field("nth", &self.nth)
            .field("is_call", &self.is_call)
            .finish_non_exhaustive()
    }
}

/// A request to empty or to delete something, before anything is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteSeen {
    /// Counts these requests of this sandbox, from 1.
    pub nth: u64,
    /// The message, call or recording.
    pub sid: String,
    /// Whether only the text is to be emptied.
    pub redacts: bool,
}

/// Makes the sandbox fail. Clones speak to the same sandbox.
#[derive(Clone)]
pub struct Faults {
    pub(crate) world: Arc<World>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Faults {
    /// Lets the next `count` creates go wrong, after those already planned.
    pub fn next_creates(&self, count: usize, fault: CreateFault) {
        self.world.plan().creates.extend(std::iter::repeat_n(fault, count));
    }

    /// Lets the callbacks of the next `count` messages go wrong, after those already planned.
    pub fn next_callbacks(&self, count: usize, fault: CallbackFault) {
        self.world.plan().callbacks.extend(std::iter::repeat_n(fault, count));
    }

    /// From now on draws what becomes of each create and of each message's callbacks, as far as nothing is
    /// planned for them. The same seed draws the same in the order in which they come.
    pub fn random(&self, seed: u64, creates: CreateMix, callbacks: CallbackMix) {
        // Two streams, because creates and callbacks do not come in the same order in every run.
        let random = Random {
            create_dice: Dice::new(seed),
            callback_dice: Dice::new(seed.wrapping_add(1)),
            creates,
            callbacks,
        };
        self.world.plan().random = Some(random);
    }

    /// Ends [`Self::random`].
    pub fn not_random(&self) {
        self.world.plan().random = None;
    }

    /// Calls `hook` whenever a create has arrived whole, before anything is done about it. The request goes on
    /// when the hook returns, so a crash harness kills the sender in it.
    pub fn on_create(&self, hook: impl Fn(CreateSeen) + Send + Sync + 'static) {
        self.world.plan().on_create = Some(Arc::new(hook));
    }

    /// Calls `hook` whenever a request to empty or to delete something has arrived, before anything is done
    /// about it.
    pub fn on_delete(&self, hook: impl Fn(DeleteSeen) + Send + Sync + 'static) {
        self.world.plan().on_delete = Some(Arc::new(hook));
    }

    /// Answers every create that waits because of [`CreateFault::AnswerWhenReleased`].
    pub fn release(&self) {
        self.world.released.send_modify(|count| *count += 1);
    }

    /// While set, Twilio breaks every connection.
    pub fn twilio_down(&self, down: bool) {
        self.world.plan().twilio_down = down;
    }

    /// What REDCap does from now on, its survey pages included; `None` heals it.
    pub fn redcap(&self, fault: Option<RedcapFault>) {
        self.world.plan().redcap = fault;
    }

    /// Takes back everything that is planned, the hooks too, and answers what waits.
    pub fn clear(&self) {
        *self.world.plan() = Plan::default();
        self.release();
    }
}

type Hook<T> = Arc<dyn Fn(T) + Send + Sync>;

#[derive(Default)]
pub(crate) struct Plan {
    creates: VecDeque<CreateFault>,
    callbacks: VecDeque<CallbackFault>,
    random: Option<Random>,
    pub(crate) on_create: Option<Hook<CreateSeen>>,
    pub(crate) on_delete: Option<Hook<DeleteSeen>>,
    pub(crate) twilio_down: bool,
    pub(crate) redcap: Option<RedcapFault>,
}

impl Plan {
    pub(crate) fn next_create(&mut self) -> Option<CreateFault> {
        self.creates.pop_front().or_else(|| {
            let Random { create_dice, creates, .. } = self.random.as_mut()?;
            create_dice.draw(&[
                (creates.accept, None),
                (creates.accept_then_drop, Some(CreateFault::AcceptThenDrop)),
                (creates.error_500_but_sent, Some(CreateFault::Error500ButSent)),
                (creates.error_500_not_sent, Some(CreateFault::Error500NotSent)),
                (creates.rate_limited, Some(CreateFault::RateLimited)),
                (creates.drop_not_sent, Some(CreateFault::DropNotSent)),
            ])
        })
    }

    pub(crate) fn next_callbacks(&mut self) -> Option<CallbackFault> {
        self.callbacks.pop_front().or_else(|| {
            let Random { callback_dice, callbacks, .. } = self.random.as_mut()?;
            callback_dice.draw(&[
                (callbacks.deliver, None),
                (callbacks.duplicate, Some(CallbackFault::Duplicate)),
                (callbacks.reorder, Some(CallbackFault::Reorder)),
                (callbacks.drop, Some(CallbackFault::Drop)),
            ])
        })
    }
}

struct Random {
    create_dice: Dice,
    callback_dice: Dice,
    creates: CreateMix,
    callbacks: CallbackMix,
}

/// Marsaglia's xorshift with 64 bits: enough to mix faults, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds must not draw alike, and zero would draw nothing but zeros.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn draw<T: Copy>(&mut self, choices: &[(u32, Option<T>)]) -> Option<T> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let total: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        if total == 0 {
            return None;
        }
        // The low bits of a xorshift are the weakest.
        let mut point = (self.0 >> 16) % total;
        for (weight, choice) in choices {
            match point.checked_sub(u64::from(*weight)) {
                None => return *choice,
                Some(rest) => point = rest,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> Vec<Option<u8>> {
        let mut dice = Dice::new(seed);
        (0..1000).map(|_| dice.draw(&[(7, None), (2, Some(1)), (0, Some(2)), (1, Some(3))])).collect()
    }

    #[test]
    fn a_seed_draws_the_same_again_and_by_weight() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        for seed in [0, 1, u64::MAX] {
            let drawn = drawn(seed);
            let count = |choice| drawn.iter().filter(|drawn| **drawn == choice).count();
            assert!((600..800).contains(&count(None)), "{}", count(None));
            assert!((130..270).contains(&count(Some(1))), "{}", count(Some(1)));
            assert_eq!(count(Some(2)), 0);
            assert!((50..160).contains(&count(Some(3))), "{}", count(Some(3)));
        }
        assert_eq!(Dice::new(1).draw::<u8>(&[(0, Some(1))]), None);
    }
}
