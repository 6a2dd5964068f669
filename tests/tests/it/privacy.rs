//! What Twilio still knows of participants when everything has been said.

use anyhow::Result;
use tests::privacy::run;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_at_twilio_but_stop_and_start() -> Result<()> {
    let left = run(200, 20, true).await?;
    assert!(left.sent >= 200, "{left:?}");
    assert_eq!(left.called, 20);
    assert!(left.opt_outs > 0);
    assert!(left.is_private(true), "{left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_at_all_is_left_at_twilio_where_the_project_says_so() -> Result<()> {
    let left = run(60, 10, false).await?;
    assert!(left.opt_outs > 0);
    assert!(left.is_private(false), "{left:?}");
    Ok(())
}
