//! The handset, and the pages that people read before a study starts, in a real browser.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use consentry::demo::{Demo, Options};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use redcap::Place;
use serde_json::{Value, json};
use tests::{BEN, PATIENCE};

use crate::before_start::{Files, SIX};

/// Somebody who is enrolled while the page is open.
const FAY: &str = "+16175550126";

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_gets_an_invitation_answers_it_and_stops_all_texts() -> Result<()> {
    let Some((driver, chromium)) = installed() else { return Ok(()) };
    let options = Options { policies: Some(tests::policies()), ..Options::default() };
    let demo = Demo::start(&options).await.map_err(|report| anyhow!("{report:?}"))?;
    let driver = Driver::start(&driver)?;
    let client = driver.open(&chromium).await?;
    let page = Page { client: client.clone(), driver: driver.url.clone() };
    let told = story(&page, &demo).await;
    // The window is closed whatever became of the story.
    let closed = client.close().await;
    told?;
    Ok(closed?)
}

async fn story(page: &Page, demo: &Demo) -> Result<()> {
    page.client.goto(&demo.sandbox.handset_url()).await?;
    page.run("window.opened = 'once'").await?;

    // Fay is enrolled while the page is open: her phone and her invitation come by themselves.
    let enrolment = [
        ("first_name", "Fay"),
        ("mobile", "(617) 555-0126"),
        ("language", "en"),
        ("preference", "SMS_INVITE_WEB"),
        ("enrolled", "1"),
        ("text_consent", "1"),
        ("text_consent_date", "2026-10-09"),
    ];
    demo.sandbox.redcap().save_form("6", "enrolment", None, 1, &enrolment).await;
    page.click(&format!("#participants button[data-number='{FAY}']")).await?;
    page.see("//*[@class='bubble'][starts-with(., 'Hi Fay,')]").await?;
    page.see("//*[@id='messages']//*[@class='delivered']").await?;
    ensure!(page.run("return window.opened").await? == "once", "the page was loaded again");
    page.picture("1-arrival").await?;

    page.click(&format!("#participants button[data-number='{BEN}']")).await?;
    page.see("//*[@class='bubble'][starts-with(., 'Hi Ben,')]").await?;
    page.see("//*[@id='log']//*[@class='title'][. = 'Invitation to “Sleep diary”: delivered']").await?;
    page.picture("2-invitation").await?;

    page.click(".bubble a").await?;
    page.find("iframe[name='survey']").await?.enter_frame().await?;
    // A time field takes what a person types, which depends on the browser's language.
    page.find("#f-bed_time").await?.send_keys("1045PM").await?;
    page.find("#f-hours_slept").await?.send_keys("7.5").await?;
    page.picture("3-survey").await?;
    page.click("input[name='sleep_quality'][value='4']").await?;
    page.click("input[name='woke_up'][value='0']").await?;
    page.picture("4-answers").await?;
    page.click("button[type='submit']").await?;
    let thanks = page.find("main[data-state='completed']").await?;
    ensure!(thanks.text().await?.contains("Thank you. Your diary is saved."), "the page does not thank");
    page.picture("5-thanks").await?;
    page.client.enter_parent_frame().await?;
    let redcap = demo.sandbox.redcap();
    let stored = ["bed_time", "hours_slept", "sleep_quality", "woke_up"]
        .map(|field| redcap.value("1", field, &Place::default()).unwrap_or_default());
    ensure!(stored == ["22:45", "7.5", "4", "0"], "REDCap holds other answers: {stored:?}");

    page.click("#close-survey").await?;
    page.find("#reply").await?.send_keys("STOP").await?;
    page.click("#send").await?;
    page.see("//li[contains(@class, 'carrier')]/*[@class='bubble']").await?;
    page.see("//*[@id='log']//*[@class='title'][starts-with(., 'Opt-out')]").await?;
    page.picture("6-stop").await?;

    let bubbles = page.client.find_all(Locator::Css(".bubble")).await?.len();
    page.click("#invite").await?;
    page.see("//*[@id='log']//*[@class='title'][. = 'Invitation to “Weekly check-in”: suppressed']").await?;
    page.see("//*[@id='log']//*[@class='detail'][starts-with(., 'PARTICIPANT OPTED OUT')]").await?;
    ensure!(page.client.find_all(Locator::Css(".bubble")).await?.len() == bubbles, "a text came after STOP");
    ensure!(demo.sandbox.handset().received(BEN) == 1, "more than the invitation was sent");
    page.picture("7-suppressed").await?;

    page.click("#of-all").await?;
    page.see("//*[@id='log']//*[@class='when'][contains(., 'Clara')]").await?;
    page.picture("8-everyone").await?;
    ensure!(page.run("return window.opened").await? == "once", "the page was loaded again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_simulation_and_the_plan_fit_a_phone() -> Result<()> {
    let Some((driver, chromium)) = installed() else { return Ok(()) };
    let files = Files::new("Northfield Sleep Study", &SIX)?;
    let simulation = files.folder.join("simulation.html");
    let plan = files.folder.join("plan.html");
    std::fs::write(&simulation, files.page(&["--texts"])?)?;
    std::fs::write(&plan, files.plan(true, &["--html"])?)?;
    let driver = Driver::start(&driver)?;
    let client = driver.open(&chromium).await?;
    let page = Page { client: client.clone(), driver: driver.url.clone() };
    let looked = look(&page, &simulation, &plan).await;
    let closed = client.close().await;
    looked?;
    Ok(closed?)
}

async fn look(page: &Page, simulation: &Path, plan: &Path) -> Result<()> {
    page.client.goto(&format!("file://{}", simulation.display())).await?;
    page.find("#calendar .month-grid b").await?;
    page.find("#calendar .strip tbody th").await?;
    page.find("#timeline use.mark.invitation").await?;
    // Looking for a record leaves only what has it in its name.
    page.find("#find").await?.send_keys("<b>").await?;
    let shown =
        page.run("return [...document.querySelectorAll('.lane')].filter(it => !it.hidden).length").await?;
    ensure!(shown == 1, "{shown} participants are shown");
    page.run("find.value = ''; filter()").await?;
    page.click("#timeline summary").await?;
    page.see("//*[@id='timeline']//*[@class='words'][starts-with(., 'Hi Sam')]").await?;
    page.picture("9-simulation").await?;
    page.fits().await?;
    page.client.goto(&format!("file://{}", plan.display())).await?;
    page.see("//*[@id='t1']//mark[. = '[first_name]'][@class = 'identifier']").await?;
    page.find("#calendar .strip").await?;
    page.picture("10-plan").await?;
    page.fits().await
}

/// What is in the window.
struct Page {
    client: Client,
    driver: String,
}

impl Page {
    /// Waits for an element, by CSS.
    async fn find(&self, css: &str) -> Result<Element> {
        self.wait(Locator::Css(css)).await.with_context(|| format!("`{css}` is not there"))
    }

    /// Waits for an element, by `XPath`, which can ask for words.
    async fn see(&self, path: &str) -> Result<Element> {
        self.wait(Locator::XPath(path)).await.with_context(|| format!("`{path}` is not there"))
    }

    async fn wait(&self, it: Locator<'_>) -> Result<Element> {
        Ok(self.client.wait().at_most(PATIENCE).every(Duration::from_millis(20)).for_element(it).await?)
    }

    async fn click(&self, css: &str) -> Result<()> {
        let element = self.find(css).await?;
        element.click().await.with_context(|| format!("`{css}` cannot be clicked"))
    }

    /// On the narrowest phone nothing has to be pushed to the side.
    async fn fits(&self) -> Result<()> {
        let screen = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await?;
        let width = self.run("return document.documentElement.scrollWidth").await?;
        ensure!(width.as_u64().is_some_and(|width| width <= 360), "the page is {width} pixels wide");
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await
    }

    async fn run(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, vec![]).await?)
    }

    /// Saves what the window shows, light and dark, wide and narrow, if `CONSENTRY_SCREENSHOTS` names a folder.
    async fn picture(&self, name: &str) -> Result<()> {
        let Some(folder) = std::env::var_os("CONSENTRY_SCREENSHOTS").map(PathBuf::from) else {
            return Ok(());
        };
        std::fs::create_dir_all(&folder)?;
        for (size, width, height) in [("wide", 1280, 900), ("narrow", 390, 844)] {
            let screen =
                json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 400 });
            self.devtools("Emulation.setDeviceMetricsOverride", screen).await?;
            for scheme in ["light", "dark"] {
                let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
                self.devtools("Emulation.setEmulatedMedia", media).await?;
                let image = self.client.screenshot().await?;
                std::fs::write(folder.join(format!("{name}-{size}-{scheme}.png")), image)?;
            }
        }
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await?;
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await
    }

    /// Speaks to Chromium itself: `WebDriver` knows of no dark mode.
    async fn devtools(&self, command: &str, parameters: Value) -> Result<()> {
        let session = self.client.session_id().await?.context("there is no session")?;
        let url = format!("{}/session/{session}/goog/cdp/execute", self.driver);
        let request = json!({ "cmd": command, "params": parameters });
        reqwest::Client::new().post(url).json(&request).send().await?.error_for_status()?;
        Ok(())
    }
}

/// Chromedriver at work, with a folder for the browser's profile. Both go when it is dropped.
struct Driver {
    url: String,
    child: Child,
    profile: PathBuf,
    /// Kept open, so that what it says later does not fail.
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start(program: &Path) -> Result<Driver> {
        let profile = tests::folder()?;
        let mut child = Command::new(program)
            .arg("--port=0")
            .envs([("LC_ALL", "en_US.UTF-8"), ("LANGUAGE", "en_US")])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("chromedriver has no output")?);
        let mut driver = Driver { url: String::new(), child, profile, output };
        let mut said = String::new();
        while driver.output.read_line(&mut said)? > 0 {
            if let Some((_, port)) = said.trim_end().split_once("started successfully on port ") {
                driver.url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
                return Ok(driver);
            }
        }
        Err(anyhow!("chromedriver does not start: {said}"))
    }

    async fn open(&self, chromium: &Path) -> Result<Client> {
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ];
        let mut args: Vec<String> = args.map(str::to_owned).into();
        args.push(format!("--user-data-dir={}", self.profile.display()));
        let options = json!({ "goog:chromeOptions": { "binary": chromium, "args": args } });
        let capabilities = options.as_object().cloned().context("capabilities are an object")?;
        let client =
            ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&self.url).await;
        client.context("Chromium does not start")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Chromedriver and Chromium. Without them there is nothing to see, which CI does not accept.
#[expect(clippy::print_stdout, reason = "a test that did not run says so")]
fn installed() -> Option<(PathBuf, PathBuf)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file());
    let found = find("chromedriver").zip(find("chromium").or_else(|| find("google-chrome")));
    if found.is_none() {
        let missing = "chromedriver or Chromium is missing: apt-get install chromium chromium-driver";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        println!("skipped: {missing}");
    }
    found
}
