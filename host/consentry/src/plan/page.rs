//! The plan as a page, which prints well.

use askama::Template;
use miette::IntoDiagnostic;

use super::{OptOut, Plan};

#[derive(Template)]
#[template(path = "plan.html")]
struct Page<'a> {
    plan: &'a Plan,
}

/// Draws a plan.
pub fn html(plan: &Plan) -> miette::Result<String> {
    Page { plan }.render().into_diagnostic()
}
