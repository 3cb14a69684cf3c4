//! Progress on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over a number of bytes, with a count of items as its message.
pub(crate) fn bytes(total: u64) -> ProgressBar {
    styled(
        ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
        "{bar:32} {percent:>3} %  {msg}, {eta} left",
    )
}

/// A bar over a number of items.
pub(crate) fn of(total: u64, items: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    styled(bar, "{bar:32} {human_pos} of {human_len} {msg}, {eta} left").with_message(items)
}

/// A count of items whose total is unknown.
pub(crate) fn items(of: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    styled(bar, "{spinner} {human_pos} {msg}, {per_sec}, {elapsed}").with_message(of)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
