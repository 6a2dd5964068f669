//! Where a recipient can be reached at all: the addresses that are known, and the channels that are open.

use consentry_guest::{
    Address, Attempt, Channel, DeliveryMethod, Failure, Occasion, OptOut, Purpose, Recipient,
};

/// The addresses and open channels of a recipient.
#[derive(Debug, Clone)]
pub struct Reach<'a> {
    /// The phone, if one is known.
    pub phone: Option<&'a str>,
    /// The mailbox, if one is known.
    pub email: Option<&'a str>,
    opt_outs: &'a [OptOut],
    attempts: &'a [Attempt],
    enabled: &'a [DeliveryMethod],
    /// Staff are written to as they registered, whatever the project has enabled for participants.
    staff: bool,
    purpose: Purpose,
}

impl<'a> Reach<'a> {
    /// What the occasion says of its recipient.
    pub fn of(occasion: &'a Occasion) -> Reach<'a> {
        let participant = occasion.participant.as_ref();
        let (phone, email, opt_outs) = match &occasion.recipient {
            Recipient::Participant => (
                participant.and_then(|it| it.phone.as_deref()),
                participant.and_then(|it| it.email.as_deref()),
                participant.map_or(&[][..], |it| &it.opt_outs),
            ),
            Recipient::Staff(staff) => (
                staff.addresses.iter().find_map(|it| match it {
                    Address::Phone(phone) => Some(phone.as_str()),
                    Address::Email(_) => None,
                }),
                staff.addresses.iter().find_map(|it| match it {
                    Address::Email(email) => Some(email.as_str()),
                    Address::Phone(_) => None,
                }),
                &staff.opt_outs[..],
            ),
            Recipient::Number(number) => {
                (Some(number.as_str()), None, participant.map_or(&[][..], |it| &it.opt_outs))
            }
        };
        Reach {
            phone,
            email,
            opt_outs,
            attempts: &occasion.attempts,
            enabled: &occasion.project.enabled_methods,
            staff: matches!(occasion.recipient, Recipient::Staff(_)),
            purpose: occasion.purpose,
        }
    }

    /// The address for a method.
    pub fn address(&self, method: DeliveryMethod) -> Option<Address> {
        match channel(method) {
            Channel::Email => self.email.map(|it| Address::Email(it.into())),
            Channel::Sms | Channel::Voice => self.phone.map(|it| Address::Phone(it.into())),
        }
    }

    /// Whether the recipient closed a channel.
    pub fn opted_out(&self, channel: Channel) -> bool {
        self.opt_outs.iter().any(|it| it.channel == channel)
    }

    /// E-mail as another way: a mailbox is known, e-mail is enabled, and nothing speaks against it.
    pub fn by_email(&self) -> Option<DeliveryMethod> {
        let open = self.email.is_some()
            && (self.staff || self.enabled.contains(&DeliveryMethod::Email))
            && !self.opted_out(Channel::Email)
            && !self.attempts.iter().any(|it| channel(it.method) == Channel::Email);
        open.then_some(DeliveryMethod::Email)
    }

    /// A text as another way, where a mailbox cannot be reached and no text was tried.
    pub fn by_text(&self) -> Option<DeliveryMethod> {
        let open = self.phone.is_some()
            && !self.opted_out(Channel::Sms)
            && !self.attempts.iter().any(|it| channel(it.method) == Channel::Sms);
        let by_sms = |it: &DeliveryMethod| channel(*it) == Channel::Sms;
        let method = match self.purpose {
            // A text with the link says what the e-mail said.
            Purpose::Invitation | Purpose::Reminder => Some(DeliveryMethod::SmsLink)
                .filter(|it| self.enabled.contains(it))
                .or_else(|| self.enabled.iter().copied().find(by_sms)),
            _ => Some(DeliveryMethod::SmsText),
        };
        method.filter(|_| open)
    }

    /// A call as another way. A survey is asked in it; any other message is only spoken.
    pub fn by_voice(&self) -> Option<DeliveryMethod> {
        let open = self.phone.is_some()
            && self.enabled.contains(&DeliveryMethod::VoiceCall)
            && !self.opted_out(Channel::Voice)
            && !self.attempts.iter().any(|it| {
                channel(it.method) == Channel::Voice
                    && !matches!(it.failure, Failure::NoAnswer | Failure::Busy)
            });
        let method = match self.purpose {
            Purpose::Invitation | Purpose::Reminder | Purpose::Dialogue | Purpose::Acknowledgement => {
                DeliveryMethod::VoiceCall
            }
            Purpose::Alert
            | Purpose::Confirmation
            | Purpose::OptOutConfirmation
            | Purpose::Help
            | Purpose::Notification => DeliveryMethod::VoiceMessage,
        };
        open.then_some(method)
    }
}

/// The channel that carries a method.
pub fn channel(method: DeliveryMethod) -> Channel {
    match method {
        DeliveryMethod::Email => Channel::Email,
        DeliveryMethod::SmsLink
        | DeliveryMethod::SmsConversation
        | DeliveryMethod::SmsToMakeCall
        | DeliveryMethod::SmsToReceiveCall
        | DeliveryMethod::SmsText => Channel::Sms,
        DeliveryMethod::VoiceCall | DeliveryMethod::VoiceMessage => Channel::Voice,
    }
}

/// A method, as a study coordinator calls it.
pub fn name(method: DeliveryMethod) -> &'static str {
    match method {
        DeliveryMethod::Email => "e-mail",
        DeliveryMethod::SmsLink => "a text with a link",
        DeliveryMethod::SmsConversation => "a survey by text",
        DeliveryMethod::VoiceCall => "a call",
        DeliveryMethod::SmsToMakeCall => "a text with a number to call",
        DeliveryMethod::SmsToReceiveCall => "a text that offers a call",
        DeliveryMethod::SmsText => "a text",
        DeliveryMethod::VoiceMessage => "a spoken message",
    }
}
