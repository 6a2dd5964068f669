//! The contract's words, as the store and the command line write them.

use policy::contract::types::{Channel, DeliveryMethod, Purpose};

/// A closed set of words of the contract.
pub trait Word: Copy + Sized + 'static {
    /// Every word with its spelling.
    const ALL: &'static [(Self, &'static str)];

    /// The spelling.
    fn word(self) -> &'static str;

    /// The word with this spelling.
    fn read(spelling: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word)| *word == spelling).map(|(value, _)| *value)
    }
}

macro_rules! words {
    ($kind:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl Word for $kind {
            const ALL: &'static [(Self, &'static str)] = &[$(($kind::$variant, $word)),+];

            fn word(self) -> &'static str {
                match self { $($kind::$variant => $word),+ }
            }
        }
    };
}

words!(Purpose {
    Invitation => "invitation",
    Reminder => "reminder",
    Alert => "alert",
    Dialogue => "dialogue",
    Acknowledgement => "acknowledgement",
    Confirmation => "confirmation",
    OptOutConfirmation => "opt-out-confirmation",
    Help => "help",
    Notification => "notification",
});

words!(DeliveryMethod {
    Email => "email",
    SmsLink => "sms-link",
    SmsConversation => "sms-conversation",
    VoiceCall => "voice-call",
    SmsToMakeCall => "sms-to-make-call",
    SmsToReceiveCall => "sms-to-receive-call",
    SmsText => "sms-text",
    VoiceMessage => "voice-message",
});

words!(Channel {
    Email => "email",
    Sms => "sms",
    Voice => "voice",
});

/// The channel that carries a method.
pub fn channel(method: DeliveryMethod) -> Channel {
    match method {
        DeliveryMethod::Email => Channel::Email,
        DeliveryMethod::VoiceCall | DeliveryMethod::VoiceMessage => Channel::Voice,
        DeliveryMethod::SmsLink
        | DeliveryMethod::SmsConversation
        | DeliveryMethod::SmsToMakeCall
        | DeliveryMethod::SmsToReceiveCall
        | DeliveryMethod::SmsText => Channel::Sms,
    }
}

/// The delivery method behind one of REDCap's own codes, as a preference field stores it.
pub fn redcap_code(code: &str) -> Option<DeliveryMethod> {
    Some(match code {
        "EMAIL" => DeliveryMethod::Email,
        "SMS_INVITE_WEB" => DeliveryMethod::SmsLink,
        "SMS_INITIATE" => DeliveryMethod::SmsConversation,
        "VOICE_INITIATE" => DeliveryMethod::VoiceCall,
        "SMS_INVITE_MAKE_CALL" => DeliveryMethod::SmsToMakeCall,
        "SMS_INVITE_RECEIVE_CALL" => DeliveryMethod::SmsToReceiveCall,
        _ => return None,
    })
}
