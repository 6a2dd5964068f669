//! The functions of REDCap's logic, each with what it takes and what it gives. The reference page
//! prints this table, so a function cannot be there without its sentence.

/// A function, by its name in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    If,
    DateDiff,
    AgeAtDate,
    DayOfTheWeek,
    Year,
    Month,
    Day,
    Round,
    RoundUp,
    RoundDown,
    Sqrt,
    Abs,
    Exponential,
    Log,
    Mod,
    Sum,
    Mean,
    Median,
    Min,
    Max,
    Stdev,
    IsNumber,
    IsInteger,
    IsBlankOrMissingCode,
    IsBlankNotMissingCode,
    IsMissingCode,
    HasMissingCode,
    Contains,
    NotContain,
    StartsWith,
    EndsWith,
    Find,
    Left,
    Right,
    Mid,
    Length,
    Trim,
    Upper,
    Lower,
    ReplaceText,
    Concat,
    ConcatWs,
}

/// What a function is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    Number,
    /// A date, a date with a time, a time, or `today` and `now`.
    Moment,
    Text,
    Truth,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    pub function: Function,
    pub name: &'static str,
    /// As shown to people: `round(number, places)`.
    pub form: &'static str,
    /// Fewest and most arguments.
    pub least: usize,
    pub most: usize,
    /// What each argument is; the last one stands for all that follow.
    pub takes: &'static [Kind],
    pub gives: Kind,
    pub does: &'static str,
}

const MANY: usize = usize::MAX;

macro_rules! functions {
    ($($function:ident $form:literal $least:literal..=$most:tt $takes:tt -> $gives:ident: $does:literal;)*) => {
        &[$(Signature {
            function: Function::$function,
            name: name_of($form),
            form: $form,
            least: $least,
            most: $most,
            takes: functions!(@takes $takes),
            gives: Kind::$gives,
            does: $does,
        }),*]
    };
    (@takes [$($kind:ident)*]) => { &[$(Kind::$kind),*] };
}

/// The part of a form before its parenthesis.
const fn name_of(form: &'static str) -> &'static str {
    let mut at = 0;
    while form.as_bytes()[at] != b'(' {
        at += 1;
    }
    form.split_at(at).0
}

/// Every function, in the order of [`Function`].
pub const FUNCTIONS: &[Signature] = functions! {
    If "if(condition, then, otherwise)" 3..=3 [Truth Any Any] -> Any:
        "the second if the condition holds, else the third; only that one is worked out";
    DateDiff "datediff(from, until, unit, format, signed)" 3..=5 [Moment Moment Text Any Any] -> Number:
        "the time between two moments in a unit: `y` 365.2425 days, `M` 30.44 days, `d`, `h`, `m` minutes, `s`; never negative unless the last argument is true";
    AgeAtDate "age_at_date(birth, date, decimals)" 2..=3 [Moment Moment Truth] -> Number:
        "the age in completed years of the calendar, or with true as the third argument in years of 365.2425 days";
    DayOfTheWeek "dayoftheweek(date)" 1..=1 [Moment] -> Number: "1 for Monday to 7 for Sunday";
    Year "year(date)" 1..=1 [Moment] -> Number: "the year of a date";
    Month "month(date)" 1..=1 [Moment] -> Number: "the month of a date, 1 to 12";
    Day "day(date)" 1..=1 [Moment] -> Number: "the day of the month, 1 to 31";
    Round "round(number, places)" 1..=2 [Number Number] -> Number:
        "rounded to so many decimals, to none if left out; halves go away from zero";
    RoundUp "roundup(number, places)" 1..=2 [Number Number] -> Number: "rounded up to so many decimals";
    RoundDown "rounddown(number, places)" 1..=2 [Number Number] -> Number: "rounded down to so many decimals";
    Sqrt "sqrt(number)" 1..=1 [Number] -> Number: "the square root; blank for a negative number";
    Abs "abs(number)" 1..=1 [Number] -> Number: "the number without its sign";
    Exponential "exponential(number)" 1..=1 [Number] -> Number: "e to the power of the number";
    Log "log(number, base)" 1..=2 [Number Number] -> Number:
        "the logarithm, to the base e if none is given; blank for zero and below";
    Mod "mod(dividend, divisor)" 2..=2 [Number Number] -> Number:
        "what a division leaves, with the sign of the dividend; blank if the divisor is 0";
    Sum "sum(number, …)" 1..=MANY [Number] -> Number: "the sum of what is not blank";
    Mean "mean(number, …)" 1..=MANY [Number] -> Number: "the mean of what is not blank";
    Median "median(number, …)" 1..=MANY [Number] -> Number: "the median of what is not blank";
    Min "min(number, …)" 1..=MANY [Number] -> Number: "the least of what is not blank";
    Max "max(number, …)" 1..=MANY [Number] -> Number: "the greatest of what is not blank";
    Stdev "stdev(number, …)" 1..=MANY [Number] -> Number:
        "the standard deviation of the sample (divided by n − 1) of what is not blank";
    IsNumber "isnumber(value)" 1..=1 [Any] -> Truth: "whether the value is a number";
    IsInteger "isinteger(value)" 1..=1 [Any] -> Truth: "whether the value is a whole number";
    IsBlankOrMissingCode "isblankormissingcode(value)" 1..=1 [Any] -> Truth:
        "whether there is no value, or one that says why it is missing";
    IsBlankNotMissingCode "isblanknotmissingcode(value)" 1..=1 [Any] -> Truth:
        "whether there is nothing, not even a missing data code";
    IsMissingCode "ismissingcode(value)" 1..=1 [Any] -> Truth: "whether the value is a missing data code";
    HasMissingCode "hasmissingcode(value, codes)" 2..=2 [Any Text] -> Truth:
        "whether the value is one of these missing data codes, parted by commas";
    Contains "contains(text, part)" 2..=2 [Text Text] -> Truth: "whether a text has a part in it, in any case";
    NotContain "not_contain(text, part)" 2..=2 [Text Text] -> Truth: "whether it has not, in any case";
    StartsWith "starts_with(text, part)" 2..=2 [Text Text] -> Truth: "whether a text begins so, in any case";
    EndsWith "ends_with(text, part)" 2..=2 [Text Text] -> Truth: "whether a text ends so, in any case";
    Find "find(part, text)" 2..=2 [Text Text] -> Number:
        "where a part first stands in a text, counted from 1 and in any case; 0 if nowhere";
    Left "left(text, count)" 2..=2 [Text Number] -> Text: "the first characters";
    Right "right(text, count)" 2..=2 [Text Number] -> Text: "the last characters";
    Mid "mid(text, start, count)" 3..=3 [Text Number Number] -> Text:
        "characters from a place on, which is counted from 1";
    Length "length(text)" 1..=1 [Text] -> Number: "the count of characters; 0 for a blank";
    Trim "trim(text)" 1..=1 [Text] -> Text: "the text without blanks at its ends";
    Upper "upper(text)" 1..=1 [Text] -> Text: "in capitals";
    Lower "lower(text)" 1..=1 [Text] -> Text: "in small letters";
    ReplaceText "replace_text(text, part, other)" 3..=3 [Text Text Text] -> Text:
        "the text with another text for every such part; the case counts";
    Concat "concat(text, …)" 1..=MANY [Text] -> Text: "the texts one after the other";
    ConcatWs "concat_ws(separator, text, …)" 2..=MANY [Text] -> Text:
        "the texts that are not blank, with a separator between them";
};

impl Function {
    /// The function of this name, whatever the case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.function)
    }

    #[must_use]
    pub fn signature(self) -> &'static Signature {
        &FUNCTIONS[self as usize]
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        self.signature().name
    }
}

impl Signature {
    /// What the argument at a place, counted from 0, has to be.
    #[must_use]
    pub fn wants(&self, argument: usize) -> Kind {
        self.takes.get(argument).or(self.takes.last()).copied().unwrap_or(Kind::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_has_its_own_row() {
        for (at, row) in FUNCTIONS.iter().enumerate() {
            assert_eq!(row.function as usize, at, "{}", row.name);
            assert_eq!(Function::named(&row.name.to_uppercase()), Some(row.function));
            assert!(row.least <= row.most && !row.does.ends_with('.'));
        }
        assert_eq!(FUNCTIONS.len(), Function::ConcatWs as usize + 1);
    }
}
