//! The account: whether it may send, what money it has, and what is ahead of it.
//!
//! An account without money is stopped by Twilio, and everything that waits is kept here and goes on by itself
//! when it is funded. Credentials that are refused are another thing, and stop the sender.

use twilio::{AccountStatus, AccountType, RequestError, decimal, micros};

use crate::floor::Account;
use crate::gateway::{Gateway, chain};
use crate::project::Project;
use crate::store::{Step, StoreError};

/// What was seen at the last look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) account: Account,
    pub(crate) money: Option<Money>,
}

impl Default for Look {
    fn default() -> Look {
        let why = "Twilio has not said yet whether the account may send";
        Look { account: Account::Unknown(why.into()), money: None }
    }
}

/// What is in the account, and what one segment costs, in millionths of the currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// The balance.
    pub balance: i64,
    /// What a segment costs by Twilio's list, without the carriers' fees.
    pub segment: Option<i64>,
    /// An ISO 4217 code.
    pub currency: String,
}

/// What is due within so many seconds is held against the balance; and a warning is repeated as seldom.
const AHEAD: u32 = 86_400;

impl Gateway {
    /// What is known of a project's account.
    pub fn account(&self, project: &str) -> Account {
        match self.work.get(project) {
            Some(work) => work.account.lock().account.clone(),
            None => Look::default().account,
        }
    }

    /// What money a project's account has; none when nobody knows, as for a child account without its parent.
    pub fn money(&self, project: &str) -> Option<Money> {
        self.work.get(project)?.account.lock().money.clone()
    }

    /// Looks at an account. What waited for it is decided when it has become good.
    pub(crate) async fn look_at_account(&self, project: &Project) {
        let mut account = state(project).await;
        let money = if project.account.request_inspector_off.is_some() { money(project).await } else { None };
        if let (Account::Good, Some(money)) = (&account, &money)
            && money.balance <= 0
        {
            account =
                Account::Bad("the Twilio account has no money left; it goes on when it is funded".into());
        }
        let look = Look { account: account.clone(), money: money.clone() };
        let before = std::mem::replace(&mut *self.work[&project.name].account.lock(), look).account;
        let told = async {
            if account == Account::Good && before != Account::Good {
                let wake = Step::Wake { project: project.name.clone(), rule: "floor.account" };
                self.store.commit(wake).await?;
                let wake = Step::Wake { project: project.name.clone(), rule: "send.account" };
                self.store.commit(wake).await?;
                self.wake_deciding(&project.name);
            }
            if let Account::Bad(why) = &account
                && *why != bad(&before)
            {
                tracing::error!(project = project.name, why, "the account may not send");
                self.remind("account", project, &format!("account/{}/{why}", project.name), why.clone())
                    .await?;
            }
            match &money {
                Some(money) => self.warn_of_low(project, money).await,
                None => Ok(()),
            }
        };
        if let Err(error) = told.await {
            tracing::error!(
                error = chain(&error),
                "a task cannot be remembered; the account is looked at again"
            );
        }
    }

    async fn remind(
        &self,
        kind: &'static str,
        project: &Project,
        cause: &str,
        sentence: String,
    ) -> Result<(), StoreError> {
        // Once a day is enough to be reminded of the same.
        let cause = format!("{cause}/{}", self.clock.seconds() / AHEAD);
        let ask = Step::Ask { kind, project: project.name.clone(), cause, sentence };
        self.store.commit(ask).await.map(|_| ())
    }

    /// What is due within a day is held against what is there.
    async fn warn_of_low(&self, project: &Project, money: &Money) -> Result<(), StoreError> {
        let (messages, segments) = self.store.ahead(&project.name, self.clock.seconds() + AHEAD).await?;
        let expected = i64::try_from(segments.max(messages)).unwrap_or(i64::MAX);
        let cost = expected.saturating_mul(money.segment.unwrap_or(0));
        let floor = project.account.low_balance.unwrap_or(0);
        if money.balance > 0 && (money.balance < cost || money.balance < floor) {
            let sentence = format!(
                "the Twilio account has {} {} left, and what is due within a day costs about {}; fund it before it \
                 is empty",
                decimal(money.balance),
                money.currency,
                decimal(cost)
            );
            tracing::warn!(project = project.name, sentence, "money");
            self.remind("low-balance", project, &format!("low-balance/{}", project.name), sentence).await?;
        }
        Ok(())
    }
}

fn bad(account: &Account) -> String {
    match account {
        Account::Bad(why) => why.clone(),
        _ => String::new(),
    }
}

async fn state(project: &Project) -> Account {
    let account = &project.account;
    if account.request_inspector_off.is_none() {
        return Account::Bad(
            "nobody has attested that Request Inspector is off in the Twilio account".into(),
        );
    }
    match account.client.account().await {
        Ok(found) if found.account_type == AccountType::Trial => {
            Account::Bad("the Twilio account is a trial account".into())
        }
        Ok(found) if found.account_type != AccountType::Full => {
            Account::Bad("the Twilio account is of a kind that Consentry does not know".into())
        }
        Ok(found) if found.status != AccountStatus::Active => Account::Bad(
            "the Twilio account is suspended or closed; it goes on when it is active again".into(),
        ),
        Ok(_) => Account::Good,
        // An API key may not read the account. Then a named person's word stands in for Twilio's.
        Err(RequestError::Api(error)) if matches!(error.status, 401 | 403) => {
            if account.full_account.is_some() && account.by_key && error.code == Some(20003) {
                Account::Good
            } else {
                Account::Bad(
                    "Twilio refuses these credentials, or they may not read the account; attest \
                     `full-account` if they are an API key's"
                        .into(),
                )
            }
        }
        Err(error) => {
            tracing::warn!(project = project.name, %error, "Twilio does not answer; it is asked again");
            Account::Unknown("Twilio does not answer".into())
        }
    }
}

/// The balance of the account, or of the parent that pays for it. A child account has none of its own, and
/// some keys may not ask: then nobody knows, and that is said.
async fn money(project: &Project) -> Option<Money> {
    let payer = project.account.parent.as_ref().unwrap_or(&project.account.client);
    let balance = payer.balance().await.ok()?;
    let segment = match project.account.number.region() {
        Some(country) => project.account.client.sms_price(&country).await.ok().flatten(),
        None => None,
    };
    Some(Money {
        balance: micros(&balance.amount)?,
        segment: segment.and_then(|price| micros(&price.amount)),
        currency: balance.currency,
    })
}
