//! What Twilio asks for a text and for a minute. Carriers' surcharges and taxes come on top, so an estimate
//! made of these is a lower bound.

use reqwest::Method;
use serde::Deserialize;

use super::{Client, RequestError};
use crate::{PhoneNumber, money};

/// A list price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// A decimal that [`crate::micros`] reads.
    pub amount: String,
    /// An ISO 4217 code such as `USD`.
    pub currency: String,
}

/// One entry of either price list. Twilio leaves a price empty where it does not offer the thing.
#[derive(Deserialize)]
struct Entry {
    current_price: Option<String>,
}

impl Client {
    /// The price of one outbound segment to a country, which is an ISO 3166 code such as `US`.
    ///
    /// Prices differ by carrier and kind of sender; this is the highest of them. `None` when Twilio lists
    /// none.
    pub async fn sms_price(&self, country: &str) -> Result<Option<Price>, RequestError> {
        #[derive(Deserialize)]
        struct Country {
            #[serde(default)]
            outbound_sms_prices: Vec<Carrier>,
            price_unit: String,
        }
        #[derive(Deserialize)]
        struct Carrier {
            #[serde(default)]
            prices: Vec<Entry>,
        }
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(RequestError::NotACountry { country: country.to_owned() });
        }
        let url = format!("{}/v1/Messaging/Countries/{country}", self.pricing_base);
        let found: Country = self.request(Method::GET, &url, &[]).await?.json("price list")?;
        let prices = found.outbound_sms_prices.into_iter().flat_map(|carrier| carrier.prices);
        Ok(highest(prices, &found.price_unit))
    }

    /// The price of one minute of a call to a number, the highest over the numbers it may come from. `None`
    /// when Twilio lists none.
    pub async fn call_price(&self, to: &PhoneNumber) -> Result<Option<Price>, RequestError> {
        #[derive(Deserialize)]
        struct Number {
            #[serde(default)]
            outbound_call_prices: Vec<Entry>,
            price_unit: String,
        }
        let url = format!("{}/v2/Voice/Numbers/{}", self.pricing_base, to.expose());
        let found: Number = self.request(Method::GET, &url, &[]).await?.json("price list")?;
        Ok(highest(found.outbound_call_prices, &found.price_unit))
    }
}

fn highest(entries: impl IntoIterator<Item = Entry>, currency: &str) -> Option<Price> {
    let readable = entries.into_iter().filter_map(|entry| {
        let amount = entry.current_price?;
        Some((money::micros(&amount)?, amount))
    });
    let (_, amount) = readable.max_by_key(|(micros, _)| *micros)?;
    Some(Price { amount, currency: currency.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{phone, reply, stand};
    use super::*;

    #[tokio::test]
    async fn the_highest_price_of_a_segment() {
        let country = json!({"iso_country": "US", "price_unit": "USD", "outbound_sms_prices": [
            {"carrier": "one", "prices": [
                {"number_type": "local", "base_price": "0.0083", "current_price": "0.0083"},
                {"number_type": "toll-free", "base_price": "0.0100", "current_price": "0.0100"}]},
            {"carrier": "two", "prices": [{"number_type": "local", "current_price": "0.009"},
                                          {"number_type": "mobile", "current_price": null}]},
        ]});
        let nothing = json!({"price_unit": "USD", "outbound_sms_prices": []});
        let stand = stand(vec![reply(200, &country), reply(200, &nothing)]).await;
        let price = Price { amount: "0.0100".to_owned(), currency: "USD".to_owned() };
        assert_eq!(stand.client.sms_price("US").await.unwrap(), Some(price));
        assert_eq!(stand.client.sms_price("AQ").await.unwrap(), None);
        assert_eq!(stand.seen.lock().unwrap()[0].uri, "/v1/Messaging/Countries/US");
        for country in ["", "U", "U/", "USA"] {
            let outcome = stand.client.sms_price(country).await;
            assert!(matches!(outcome, Err(RequestError::NotACountry { .. })), "{country}");
        }
    }

    #[tokio::test]
    async fn the_price_of_a_minute() {
        let number = json!({"price_unit": "USD", "outbound_call_prices": [
            {"base_price": "0.013", "current_price": "0.013", "origination_prefixes": ["ALL"]}]});
        let stand = stand(vec![reply(200, &number)]).await;
        let price = stand.client.call_price(&phone("+16155550199")).await.unwrap().unwrap();
        assert_eq!((price.amount.as_str(), price.currency.as_str()), ("0.013", "USD"));
        assert_eq!(stand.seen.lock().unwrap()[0].uri, "/v2/Voice/Numbers/+16155550199");
    }
}
