//! An expression as it would be written: what is read back is the same expression.

use std::fmt;

use super::Expression;
use super::step::{COMPARISON, NEGATIVE, NOT, Step, WHOLE};

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each part with how tightly it holds together.
        let mut parts: Vec<(String, u8)> = Vec::new();
        for step in self.steps() {
            let part = match step {
                Step::Number(number) => (number.to_string(), WHOLE),
                Step::Text(text) => (quoted(text), WHOLE),
                Step::Truth(truth) => (truth.to_string(), WHOLE),
                Step::Blank => ("null".to_owned(), WHOLE),
                Step::Today => ("today".to_owned(), WHOLE),
                Step::Now => ("now".to_owned(), WHOLE),
                Step::Reference(operand) => (operand.reference.to_string(), WHOLE),
                Step::Negative => {
                    let inner = wrapped(parts.pop(), NEGATIVE);
                    (format!("-{inner}"), NEGATIVE)
                }
                Step::Not => {
                    let inner = wrapped(parts.pop(), NOT);
                    (format!("not {inner}"), NOT)
                }
                Step::Binary(operator) => {
                    let binding = operator.binding();
                    // Operators lean to the left, and comparisons to neither side.
                    let right = wrapped(parts.pop(), binding + 1);
                    let mut left =
                        wrapped(parts.pop(), if binding == COMPARISON { binding + 1 } else { binding });
                    left.push(' ');
                    left.push_str(operator.sign());
                    left.push(' ');
                    left.push_str(&right);
                    (left, binding)
                }
                Step::Call(function, count) => {
                    let arguments = parts.split_off(parts.len().saturating_sub(*count));
                    let arguments: Vec<String> = arguments.into_iter().map(|(text, _)| text).collect();
                    (format!("{}({})", function.name(), arguments.join(", ")), WHOLE)
                }
                Step::Decided(..) | Step::Unless(_) | Step::Skip(_) => continue,
            };
            parts.push(part);
        }
        f.write_str(&parts.pop().unwrap_or_default().0)
    }
}

fn wrapped(part: Option<(String, u8)>, least: u8) -> String {
    let (text, binding) = part.unwrap_or_default();
    if binding < least { format!("({text})") } else { text }
}

/// In single quotation marks, unless the text has one and no double one.
fn quoted(text: &str) -> String {
    if text.contains('\'') && !text.contains('"') {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "\\'"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::logic::parse;

    #[test]
    fn what_is_printed_is_plain() {
        for (text, wanted) in [
            (
                "( [A]=1)AND[b(X)]!='2' || not([c][last-instance] > .5)",
                "[a] = 1 and [b(X)] <> '2' or not [c][last-instance] > 0.5",
            ),
            ("([a] or [b]) and [c]", "([a] or [b]) and [c]"),
            ("1-(2-3)-4", "1 - (2 - 3) - 4"),
            ("(([w])*10000)/(([h])^(2))", "[w] * 10000 / [h] ^ 2"),
            (
                "IF ([e_arm_1][a:value]=\"it's\", today, null)",
                "if([e_arm_1][a:value] = \"it's\", today, null)",
            ),
            ("-(-[a]) * -(1 + 2)", "--[a] * -(1 + 2)"),
            ("(not [a]) = ([b] = 1)", "(not [a]) = ([b] = 1)"),
            ("'say \\'hi\\' \"there\"' = ''", "'say \\'hi\\' \"there\"' = ''"),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed.to_string(), wanted, "{text}");
            assert_eq!(parse(wanted).unwrap(), parsed, "{text}");
        }
    }

    /// Expressions as people write them, of any depth.
    fn expressions() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            (0..1_000_000_u32).prop_map(|number| number.to_string()),
            (0..1_000_000_u32, 0..100_u32).prop_map(|(whole, part)| format!("{whole}.{part}")),
            "[a-z][a-z0-9_]{0,6}".prop_map(|name| format!("[{name}]")),
            "[a-z]{1,4}\\([A-Z0-9-]{1,3}\\)".prop_map(|name| format!("[{name}]")),
            "[a-z]{1,4}_arm_[1-9]\\]\\[[a-z]{1,4}(:value)?\\]\\[[1-9]".prop_map(|name| format!("[{name}]")),
            "[^'\\\\]{0,6}".prop_map(|text| format!("'{text}'")),
            "[^\"\\\\]{0,6}".prop_map(|text| format!("\"{text}\"")),
            prop::sample::select(vec![
                "true",
                "today",
                "null",
                "'a\\'\"b'",
                "“x”",
                "'&#38;lt;'",
                "'&amp;#39;&'"
            ])
            .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(8, 64, 4, |inner| {
            let signs = vec!["and", "OR", "+", "-", "*", "/", "^", "&&"];
            prop_oneof![
                (inner.clone(), prop::sample::select(signs), inner.clone())
                    .prop_map(|(left, sign, right)| format!("{left} {sign} {right}")),
                (inner.clone(), prop::sample::select(vec!["=", "<>", "<", ">="]), inner.clone())
                    .prop_map(|(left, sign, right)| format!("({left}) {sign} ({right})")),
                inner.clone().prop_map(|inner| format!("({inner})")),
                inner.clone().prop_map(|inner| format!("not {inner}")),
                inner.clone().prop_map(|inner| format!("-{inner}")),
                (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(one, two, three)| format!("if({one}, {two}, {three})")),
                prop::collection::vec(inner, 1..4).prop_map(|all| format!("sum ({})", all.join(" ,"))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(text in expressions()) {
            if let Ok(parsed) = parse(&text) {
                let printed = parsed.to_string();
                prop_assert_eq!(parse(&printed), Ok(parsed), "{} was printed as {}", text, printed);
            }
        }
    }
}
